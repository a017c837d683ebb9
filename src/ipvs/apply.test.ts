import { describe, expect, it } from "vitest";
import { NetlinkLostError } from "../netlink/errors.ts";
import { applyPlan, type ApplyResult } from "./apply.ts";
import type { IpvsClient, IpvsCommand } from "./client.ts";
import type { DesiredService, DesiredTable } from "./model.ts";
import { destinationKey, serviceKey } from "./model.ts";
import { planIpvs } from "./plan.ts";
import type { IpvsPlan } from "./steps.ts";
import { TableModel } from "./table-model.ts";
import { aDesired, aDestination, anIdentity, aService, desiredTable } from "./testing/builders.ts";
import { FakeKernel, type FakeKernelOptions } from "./testing/fake-kernel.ts";

const signal = AbortSignal.timeout(20_000);
const KEY = serviceKey(anIdentity());
const A = aDestination({ address: "192.0.2.21" });
const B = aDestination({ address: "192.0.2.22" });
const other = aService({ identity: anIdentity("192.0.2.11") });

/** A director of one kernel: plans from its model, applies, remembers. */
class Bench {
  readonly kernel: FakeKernel;
  readonly client: IpvsClient;
  readonly model = new TableModel();

  constructor(options?: FakeKernelOptions) {
    this.kernel = new FakeKernel(options);
    this.client = this.kernel.open();
  }

  plan(desired: DesiredTable): IpvsPlan {
    const observed = this.model.table;
    return planIpvs({ desired, observed, owns: () => true, drains: new Map(), nowMs: 1000 });
  }

  apply(plan: IpvsPlan): Promise<ApplyResult> {
    return applyPlan({ plan, client: this.client, model: this.model, signal });
  }

  reach(...services: readonly DesiredService[]): Promise<ApplyResult> {
    return this.apply(this.plan(desiredTable(...services)));
  }
}

describe("applyPlan", () => {
  it("brings kernel and model to what is wanted", async () => {
    const bench = new Bench();
    const wish = aDesired(aService({ scheduler: "mh" }), [A, B]);
    const result = await bench.reach(wish);
    expect(result).toMatchObject({ executed: 4, refused: [], skipped: [] });
    expect(bench.kernel.service(anIdentity())?.service).toEqual(wish.service);
    expect(bench.plan(desiredTable(wish)).steps).toEqual([]);
  });

  it("sends nothing for an empty plan", async () => {
    const bench = new Bench();
    const result = await bench.reach();
    expect(result.executed).toBe(0);
    expect(bench.client.counters).toEqual({ commands: 0, batches: 0, reads: 0 });
  });

  it("keeps the old capacity of a service whose new capacity is refused; others go on", async () => {
    const bench = new Bench();
    await bench.reach(aDesired(aService(), [A]), aDesired(other, [A]));
    bench.kernel.failWhen((command) =>
      command.op === "create-destination" && serviceKey(command.identity) === KEY
        ? "ENOMEM"
        : undefined,
    );
    const result = await bench.reach(aDesired(aService(), [B]), aDesired(other, [B]));
    expect(result.refused).toMatchObject([{ errno: "ENOMEM", refusal: { kind: "transient" } }]);
    expect(result.skipped.map((step) => step.destination)).toEqual([destinationKey(A)]);
    const weights = (identity = anIdentity()): unknown =>
      bench.kernel.service(identity)?.destinations.map((d) => d.destination.weight);
    expect(weights()).toEqual([1]);
    expect(weights(other.identity)).toEqual([0, 1]);
    expect([...result.drains.values()].map((record) => record.service)).toEqual([
      serviceKey(other.identity),
    ]);
  });

  it("names services that are not as the model says", async () => {
    const bench = new Bench();
    await bench.reach(aDesired(aService(), [A]), aDesired(other, [A]));
    const foreignTool = bench.kernel.open();
    const gone: IpvsCommand = { op: "delete-destination", identity: anIdentity(), destination: A };
    const taken: IpvsCommand = {
      op: "create-destination",
      identity: other.identity,
      destination: B,
    };
    await foreignTool.execute([gone, taken], signal);
    const heavier = { ...A, weight: 9 };
    const result = await bench.reach(aDesired(aService(), [heavier]), aDesired(other, [A, B]));
    expect(result.refused.map(({ errno }) => errno)).toEqual(["ENOENT", "EEXIST"]);
    expect(result.stale).toEqual(new Set([KEY, serviceKey(other.identity)]));
  });

  it("names a missing scheduler once and leaves out what follows from it", async () => {
    const bench = new Bench({ schedulers: ["rr", "wlc", "none"] });
    const wish = aDesired(aService({ scheduler: "lblc" }), [A, B]);
    const result = await bench.reach(wish, aDesired(other, [A]));
    expect(result.missingSchedulers).toEqual(new Map([[KEY, "lblc"]]));
    expect(result.refused).toHaveLength(1);
    expect(result.refused[0]?.refusal.meaning).toContain("ip_vs_lblc");
    expect(result.stale.size).toBe(0);
    expect(result.skipped).toHaveLength(2);
    expect(bench.kernel.table().services.has(serviceKey(other.identity))).toBe(true);
    expect(bench.model.table.services.has(KEY)).toBe(false);
  });

  it("does not blame the scheduler when a persistence engine may be missing", async () => {
    const bench = new Bench({ engines: [] });
    const result = await bench.reach(aDesired(aService({ persistenceEngine: "sip" })));
    expect(result.missingSchedulers.size).toBe(0);
    expect(result.refused).toMatchObject([{ refusal: { kind: "missing-module" } }]);
    expect(result.refused[0]?.refusal.meaning).toContain("ip_vs_wlc or ip_vs_pe_sip");
  });

  it("throws when answers are lost", async () => {
    const bench = new Bench();
    bench.kernel.loseAnswers(1, () => new NetlinkLostError("test", "silence"));
    await expect(bench.reach(aDesired(aService()))).rejects.toMatchObject({
      code: "LVS_NETLINK_LOST",
    });
  });

  it("skips what was not sent when the signal fires in between", async () => {
    const bench = new Bench();
    await bench.reach(aDesired(aService(), [A]));
    const plan = bench.plan(desiredTable(aDesired(aService(), [B])));
    const half: IpvsClient = {
      ...bench.client,
      counters: bench.client.counters,
      execute: () => Promise.resolve({ sent: 0, failures: [] }),
    };
    const result = await applyPlan({ plan, client: half, model: bench.model, signal });
    expect(result.executed).toBe(0);
    expect(result.skipped).toHaveLength(2);
    expect(result.drains.size).toBe(0);
  });

  it("marks the counts of a destination it has written as stale", async () => {
    const bench = new Bench();
    await bench.reach(aDesired(aService(), [A, B]));
    bench.model.put(KEY, bench.kernel.service(anIdentity()));
    await bench.reach(aDesired(aService(), [A]));
    const seen = bench.model.table.services.get(KEY)?.destinations;
    expect(seen?.map((d) => d.stale)).toEqual([undefined, true]);
  });
});
