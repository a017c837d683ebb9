import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Agent, AgentRole } from "../lab/agents.ts";
import type { ExecResult } from "../lab/lab-process.ts";
import type { HostName } from "../lab/network.ts";
import { savedTable, setSysctl, worldOf } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import {
  crashPoints,
  killAt,
  ONE_FILE_THREAD,
  traceChangesTo,
  type CrashPoint,
} from "./support/trace.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const VIPS = ["10.10.0.101", "10.10.0.102", "10.10.0.103", "fd10::101", "fd10::102", "fd10::103"];
/** What other software has on the nodes, ours or not. */
const FOREIGN_SERVICE = "-t 10.10.0.200:80";
const STATUS_RUNNING = 6;
/** Crashes tried for each agent; each costs a start and a clean-up. */
const MAX_CRASHES = 7;

const ROLES: readonly (readonly [HostName, AgentRole])[] = [
  [DIRECTOR, "director"],
  ["rs1", "realserver"],
];

describe("lvsctl cleanup", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1"], web: false });

  /** The world of both nodes. */
  const worlds = (): Promise<readonly (readonly string[])[]> =>
    Promise.all(ROLES.map(([host]) => worldOf(lab().topology, host)));

  const startBoth = (): Promise<readonly Agent[]> =>
    Promise.all(ROLES.map(([host, role]) => lab().start(host, role)));

  const cleanUpBoth = (...args: readonly string[]): Promise<readonly ExecResult[]> =>
    Promise.all(ROLES.map(([host]) => lab().lvsctl(host, "cleanup", ...args)));

  beforeAll(async () => {
    const { manifests, topology } = lab();
    const [dr, nat, tun, dr6, nat6, tun6] = VIPS;
    const spec = (ip: string | undefined, method: string, server: string): object => ({
      addresses: [{ ip }],
      forwarding: { method },
      backends: servers(server),
    });
    manifests.write(
      "all.yaml",
      virtualService("dr", spec(dr, "DR", "10.10.0.21")),
      virtualService("nat", spec(nat, "NAT", "10.30.0.21")),
      virtualService("tun", spec(tun, "TUN", "10.10.0.21")),
      virtualService("dr6", spec(dr6, "DR", "fd10::21")),
      virtualService("nat6", spec(nat6, "NAT", "fd30::21")),
      virtualService("tun6", spec(tun6, "TUN", "fd10::21")),
    );
    await topology.exec(DIRECTOR, ["ipvsadm", "-A", ...FOREIGN_SERVICE.split(" ")]);
    await topology.exec(DIRECTOR, ["ip", "addr", "add", "10.10.0.200/32", "dev", "eth0"]);
    await topology.exec("rs1", ["ip", "addr", "add", "10.10.0.200/32", "dev", "lo"]);
    await setSysctl(topology, DIRECTOR, "net.ipv4.vs.drop_entry", "1");
    await setSysctl(topology, "rs1", "net.ipv4.conf.eth1.arp_ignore", "2");
  }, 60_000);

  it("a node that the agents never touched stays as it is", async () => {
    const before = await worlds();
    for (const { code, stdout } of await cleanUpBoth()) {
      expect({ code, stdout }).toEqual({ code: 0, stdout: "Nothing of ours is on this node.\n" });
    }
    expect(await worlds()).toEqual(before);
  });

  it("everything that the agents changed is taken back, and only that", async () => {
    const before = await worlds();
    const agents = await startBoth();
    await lab().untilBound(...VIPS);
    const during = await worlds();

    for (const { code, stderr } of await cleanUpBoth()) {
      expect(code).toBe(STATUS_RUNNING);
      expect(stderr).toMatch(/lvsctl: .*(director|realserver)/);
    }
    expect(await worlds()).toEqual(during);

    await Promise.all(agents.map((agent) => agent.stop()));
    const preview = await cleanUpBoth("--dry-run");
    expect(await worlds()).toEqual(during);

    const done = await cleanUpBoth();
    expect(done.map(({ code }) => code)).toEqual([0, 0]);
    expect(done.map(({ stdout }) => stdout)).toEqual(
      preview.map(({ stdout }) => stdout.replace("Would be taken back:", "Taken back:")),
    );
    for (const [node, world] of (await worlds()).entries()) {
      expect(world).toEqual(before[node]);
      expect(during[node]).not.toEqual(world);
    }
    for (const { stdout } of await cleanUpBoth()) {
      expect(stdout).toBe("Nothing of ours is on this node.\n");
    }
  });

  describe("after somebody else changed what is ours", () => {
    let before: readonly (readonly string[])[];
    let results: readonly ExecResult[];
    beforeAll(async () => {
      const { topology } = lab();
      before = await worlds();
      const agents = await startBoth();
      await lab().untilBound(...VIPS);
      await Promise.all(agents.map((agent) => agent.stop()));
      await setSysctl(topology, DIRECTOR, "net.ipv4.vs.sync_threshold", "5 60");
      await setSysctl(topology, "rs1", "net.ipv4.conf.eth0.arp_ignore", "3");
      const foreign = ["-A", "-t", "10.10.0.201:80", "-s", "lc"];
      await topology.exec(DIRECTOR, ["ipvsadm", ...foreign]);
      results = await cleanUpBoth();
    }, 60_000);
    afterAll(async () => {
      const { topology } = lab();
      await setSysctl(topology, DIRECTOR, "net.ipv4.vs.sync_threshold", "3 50");
      await setSysctl(topology, "rs1", "net.ipv4.conf.eth0.arp_ignore", "0");
      await topology.exec(DIRECTOR, ["ipvsadm", "-D", "-t", "10.10.0.201:80"]);
    });

    it("their values stay", async () => {
      const after = await worlds();
      const added = after.map((world, node) => world.filter((l) => !before[node]?.includes(l)));
      expect(added).toEqual([
        ["ipv4/vs/sync_threshold:5 60", "ipvs -A -t 10.10.0.201:80 -s lc"],
        ["ipv4/conf/eth0/arp_ignore:3"],
      ]);
      const gone = after.map((world, node) => before[node]?.filter((l) => !world.includes(l)));
      expect(gone).toEqual([["ipv4/vs/sync_threshold:3 50"], ["ipv4/conf/eth0/arp_ignore:0"]]);
    });

    it("the answer names them", () => {
      expect(results.map(({ code }) => code)).toEqual([0, 0]);
      const [director, realServer] = results.map(({ stdout }) => stdout.split("Left as it is:")[1]);
      expect(director).toMatch(/vs\/sync_threshold.* 5 60/);
      expect(realServer).toMatch(/conf\/eth0\/arp_ignore.* 3/);
    });
  });

  describe.each(ROLES)("on %s after kill -9 during the first pass", (host, role) => {
    let points: readonly CrashPoint[] = [];
    beforeAll(async () => {
      const file = join(lab().topology.directory, `${role}.changes`);
      const whole = await lab().start(host, role, {
        args: ["--once", "--health-port", "0"],
        env: ONE_FILE_THREAD,
        waitReady: false,
        wrapper: traceChangesTo(file),
      });
      expect(await whole.process.exited).toMatchObject({ code: 0 });
      points = crashPoints(file);
      await lab().lvsctl(host, "cleanup");
    }, 60_000);

    it("the world before comes back, whatever was done", { timeout: 240_000 }, async () => {
      expect(points.length).toBeGreaterThan(5);
      const before = await worldOf(lab().topology, host);
      let killed = 0;
      for (const point of spread(points, MAX_CRASHES)) {
        const agent = await lab().start(host, role, {
          args: ["--once", "--health-port", "0"],
          env: ONE_FILE_THREAD,
          waitReady: false,
          wrapper: killAt(point),
        });
        const { signal } = await agent.process.exited;
        if (signal === "SIGKILL") killed += 1;
        const { code, stdout, stderr } = await lab().lvsctl(host, "cleanup");
        expect({ point, code, stderr }).toEqual({ point, code: 0, stderr: "" });
        expect(await worldOf(lab().topology, host), `${JSON.stringify(point)}\n${stdout}`).toEqual(
          before,
        );
      }
      // How often the node is looked at depends on timing, so the last points may not be reached.
      expect(killed).toBeGreaterThan(MAX_CRASHES / 2);
    });
  });

  it("an agent that was killed while it started is not in the way of the next", async () => {
    const killed = await lab().startDirector({
      waitReady: false,
      wrapper: killAt({ call: "rename", count: 2 }),
      env: ONE_FILE_THREAD,
    });
    expect(await killed.process.exited).toMatchObject({ signal: "SIGKILL" });
    const director = await lab().startDirector();
    await lab().untilBound(...VIPS);
    await until("all services", async () => {
      return (await savedTable(lab().topology, DIRECTOR)).length === 2 * VIPS.length + 1;
    });
    await director.stop();
  });
});

/** At most `count` of the items, evenly spread, the first and the last among them. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  const step = (items.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, index) => items[Math.round(index * step)]).filter(
    (item) => item !== undefined,
  );
}
