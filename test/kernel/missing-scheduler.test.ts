/**
 * Runs on each kernel of the lab: the project's own has every scheduler, Debian's 6.1 is older
 * than `twos`. What the kernel has is found out with ipvsadm, so the test holds on both.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import { servers, virtualService } from "../e2e/support/manifests.ts";
import { troublesOf } from "../e2e/support/status.ts";
import { until } from "../e2e/support/until.ts";
import { DIRECTOR, useLab } from "../e2e/support/use-lab.ts";
import { savedTable } from "../e2e/support/kernel.ts";

const SCHEDULERS = "rr wrr lc wlc lblc lblcr dh sh sed nq mh fo ovf twos".split(" ");
const VIP = "10.10.0.100";
const portOf = (scheduler: string): number => 2000 + SCHEDULERS.indexOf(scheduler);

/** A kernel that runs in ptrace mode takes its time. */
const SLOW_MS = 120_000;

describe("schedulers that the kernel may lack", { timeout: SLOW_MS }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1"], web: false });
  let director: Agent;
  let missing: ReadonlySet<string>;

  beforeAll(async () => {
    const lacks = await Promise.all(
      SCHEDULERS.map(async (scheduler) => {
        const service = ["-t", `10.10.0.99:${portOf(scheduler)}`];
        const add = ["ipvsadm", "-A", ...service, "-s", scheduler];
        const { code } = await lab().topology.exec(DIRECTOR, add, { check: false });
        if (code !== 0) return [scheduler];
        await lab().topology.exec(DIRECTOR, ["ipvsadm", "-D", ...service]);
        return [];
      }),
    );
    missing = new Set(lacks.flat());
    if (process.env["LVS_LAB_KERNEL"] === "6.1") expect([...missing]).toEqual(["twos"]);
    lab().manifests.write(
      "all.yaml",
      ...SCHEDULERS.map((scheduler) =>
        virtualService(scheduler, {
          addresses: [{ ip: VIP }],
          ports: [{ port: portOf(scheduler) }],
          scheduler,
          backends: servers("10.10.0.21"),
        }),
      ),
    );
    director = await lab().startDirector({ readyTimeoutMs: SLOW_MS });
    await lab().untilBound(VIP);
  }, SLOW_MS);

  it("a service whose scheduler the kernel has is programmed, whatever others lack", async () => {
    const present = SCHEDULERS.filter((scheduler) => !missing.has(scheduler));
    expect(present.length).toBeGreaterThan(10);
    const table = (await savedTable(lab().topology, DIRECTOR)).join("\n");
    for (const scheduler of present) {
      expect(table).toMatch(new RegExp(`-A -t ${VIP}:${portOf(scheduler)} -s ${scheduler}\\b`));
    }
    for (const scheduler of missing) expect(table).not.toContain(`-s ${scheduler}`);
  });

  it("a service whose scheduler is missing says which module to load", async () => {
    for (const scheduler of SCHEDULERS) {
      const key = `VirtualService test/${scheduler}`;
      if (missing.has(scheduler)) {
        const [trouble] = await until(`a condition of ${scheduler}`, async () => {
          const found = await troublesOf(director, key);
          return found.length > 0 ? found : undefined;
        });
        expect(trouble).toMatchObject({ reason: "KernelFeatureMissing" });
        expect(trouble?.message).toMatch(
          new RegExp(`ip_vs_${scheduler}\\b.*or use another scheduler`),
        );
      } else {
        expect(await troublesOf(director, key)).toEqual([]);
      }
    }
  });
});
