import { describe, expect, it } from "vitest";
import type { ConnectionCounts, DesiredTable, ObservedTable, Service } from "./model.ts";
import { destinationKey, serviceKey } from "./model.ts";
import { planIpvs, type PlanInput } from "./plan.ts";
import { drainKey, type DrainRecord, type IpvsPlan } from "./steps.ts";
import {
  aDesired,
  aDestination,
  aMark,
  anIdentity,
  anObserved,
  anObservedDestination,
  aService,
  desiredTable,
  observedTable,
} from "./testing/builders.ts";

const NOW = 1_800_000_000_000;
const KEY = serviceKey(anIdentity());
const A = aDestination({ address: "192.0.2.21" });
const B = aDestination({ address: "192.0.2.22" });
const NOTHING = { services: new Map() };

function plan(
  desired: DesiredTable,
  observed: ObservedTable,
  over: Partial<PlanInput> = {},
): IpvsPlan {
  return planIpvs({ desired, observed, owns: () => false, drains: new Map(), nowMs: NOW, ...over });
}

/** One word per step: what is done to what, in order. */
function summary({ steps }: Pick<IpvsPlan, "steps">): readonly string[] {
  return steps.map(({ command, service, destination }) => {
    const weight =
      command.op === "update-destination" ? ` weight ${command.destination.weight}` : "";
    const scheduler = "service" in command ? ` ${command.service.scheduler}` : "";
    return `${command.op} ${destination ?? service ?? "all"}${weight}${scheduler}`;
  });
}

function drainsOf(...records: readonly DrainRecord[]): ReadonlyMap<string, DrainRecord> {
  return new Map(records.map((r) => [drainKey(r.service, r.destination), r]));
}

describe("planIpvs", () => {
  it("plans nothing when the kernel has what is wanted", () => {
    const service = aService();
    const result = plan(
      desiredTable(aDesired(service, [A, B])),
      observedTable(anObserved(service, [A, B])),
    );
    expect(result).toEqual({
      steps: [],
      withheld: [],
      drains: new Map(),
      nextDeadlineMs: undefined,
    });
  });

  it("creates services before others are deleted, each with its destinations in order", () => {
    const old = aService({ identity: anIdentity("192.0.2.10", 81) });
    const first = aService({ identity: anIdentity("192.0.2.9", 80) });
    const result = plan(
      desiredTable(aDesired(aService(), [B, A]), aDesired(first, [A])),
      observedTable(anObserved(old, [A])),
      { owns: () => true },
    );
    expect(summary(result)).toEqual([
      "create-service TCP 192.0.2.9:80 wlc",
      "create-destination 192.0.2.21:80",
      "create-service TCP 192.0.2.10:80 wlc",
      "create-destination 192.0.2.21:80",
      "create-destination 192.0.2.22:80",
      "delete-service TCP 192.0.2.10:81",
    ]);
  });

  it("leaves a service alone that is neither wanted nor ours", () => {
    const foreign = anObserved(aService({ identity: aMark(7) }), [A]);
    expect(plan(NOTHING, observedTable(foreign)).steps).toEqual([]);
  });

  it("adopts a foreign service that is wanted by editing it in place", () => {
    const foreign = anObserved(aService({ scheduler: "wlc" }), [{ ...A, weight: 9 }]);
    const wish = aDesired(aService({ scheduler: "rr" }), [A, B]);
    expect(summary(plan(desiredTable(wish), observedTable(foreign)))).toEqual([
      "create-destination 192.0.2.22:80",
      "update-service TCP 192.0.2.10:80 rr",
      "update-destination 192.0.2.21:80 weight 1",
    ]);
  });

  it("ignores the insertion order of destinations", () => {
    const service = aService({ scheduler: "sh" });
    const observed = observedTable(anObserved(service, [B, A]));
    expect(plan(desiredTable(aDesired(service, [A, B])), observed).steps).toEqual([]);
  });

  it("plans the timeouts of the namespace when they differ", () => {
    const observed = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };
    const desired = { tcpSeconds: 3600, tcpFinSeconds: undefined, udpSeconds: undefined };
    const steps = plan(NOTHING, NOTHING, { timeouts: { desired, observed } }).steps;
    expect(steps).toMatchObject([{ command: { op: "set-timeouts", timeouts: desired } }]);
    const held = { ...desired, tcpSeconds: 900 };
    expect(plan(NOTHING, NOTHING, { timeouts: { desired: held, observed } }).steps).toEqual([]);
  });

  it("compares only the services it is told to", () => {
    const other = aService({ identity: anIdentity("192.0.2.9") });
    const desired = desiredTable(aDesired(aService(), [A]), aDesired(other, [A]));
    const result = plan(desired, NOTHING, { only: new Set([KEY]) });
    expect(result.steps.map((step) => step.service)).toEqual([KEY, KEY]);
  });

  it("shows the steps of a withheld service apart and keeps its drains as they are", () => {
    const record = { service: KEY, destination: destinationKey(B), startedAtMs: NOW - 1e9 };
    const observed = observedTable(
      anObserved(aService(), [anObservedDestination({ ...B, weight: 0 }, { active: 1 })]),
    );
    const result = plan(desiredTable(aDesired(aService(), [A])), observed, {
      withheld: new Set([KEY]),
      drains: drainsOf(record),
    });
    expect(result.steps).toEqual([]);
    expect(summary({ steps: result.withheld })).toEqual([
      "create-destination 192.0.2.21:80",
      "delete-destination 192.0.2.22:80",
    ]);
    expect(result.drains).toEqual(drainsOf(record));
    expect(result.nextDeadlineMs).toBeUndefined();
  });
});

describe("planIpvs on schedulers", () => {
  const flags = (fallback: boolean): Service["schedulerFlags"] => ({
    fallback,
    port: false,
    third: false,
  });

  it("loads a new mh service without a scheduler and sets it at the end", () => {
    const wish = aDesired(aService({ scheduler: "mh" }), [A, B]);
    expect(summary(plan(desiredTable(wish), NOTHING))).toEqual([
      "create-service TCP 192.0.2.10:80 none",
      "create-destination 192.0.2.21:80",
      "create-destination 192.0.2.22:80",
      "update-service TCP 192.0.2.10:80 mh",
    ]);
  });

  it.each(["mh", "sh"])("makes a new %s service of one destination directly", (scheduler) => {
    const wish = aDesired(aService({ scheduler }), [A]);
    expect(summary(plan(desiredTable(wish), NOTHING))).toEqual([
      `create-service TCP 192.0.2.10:80 ${scheduler}`,
      "create-destination 192.0.2.21:80",
    ]);
  });

  it("finishes a bulk load that was interrupted: destinations first, then the scheduler", () => {
    const observed = observedTable(anObserved(aService({ scheduler: "none" }), [A]));
    const wish = aDesired(aService({ scheduler: "mh" }), [A, B]);
    expect(summary(plan(desiredTable(wish), observed))).toEqual([
      "create-destination 192.0.2.22:80",
      "update-service TCP 192.0.2.10:80 mh",
    ]);
  });

  it("changes a scheduler after what grows and before what shrinks", () => {
    const observed = observedTable(anObserved(aService({ scheduler: "rr" }), [A]));
    const wish = aDesired(aService({ scheduler: "mh" }), [B]);
    const result = plan(desiredTable(wish), observed);
    expect(result.steps.map(({ effect }) => effect)).toEqual(["grow", "switch", "shrink"]);
    expect(result.steps[1]?.reason).toBe("scheduler differs");
  });

  it("takes the scheduler away last", () => {
    const observed = observedTable(anObserved(aService({ scheduler: "rr" }), [A]));
    const wish = aDesired(aService({ scheduler: "none" }), [A, B]);
    expect(summary(plan(desiredTable(wish), observed))).toEqual([
      "create-destination 192.0.2.22:80",
      "update-service TCP 192.0.2.10:80 none",
    ]);
  });

  it("edits flags and persistence in place, and takes a fallback away with what shrinks", () => {
    const have = aService({ scheduler: "sh", schedulerFlags: flags(true) });
    const want = aService({ scheduler: "sh", schedulerFlags: flags(false) });
    const lose = plan(desiredTable(aDesired(want, [A, B])), observedTable(anObserved(have, [A])));
    expect(lose.steps.map(({ effect }) => effect)).toEqual(["grow", "shrink"]);
    const gain = plan(desiredTable(aDesired(have, [A, B])), observedTable(anObserved(want, [A])));
    expect(gain.steps.map(({ effect }) => effect)).toEqual(["edit", "grow"]);
  });

  const SH = aService({ scheduler: "sh" });
  const C = aDestination({ address: "192.0.2.23" });

  it("moves only the destinations that stand out of order, when asked to", () => {
    const observed = observedTable(anObserved(SH, [A, C, B]));
    const desired = desiredTable(aDesired(SH, [A, B, C]));
    expect(plan(desired, observed).steps).toEqual([]);
    expect(summary(plan(desired, observed, { reorder: true }))).toEqual([
      "delete-destination 192.0.2.23:80",
      "create-destination 192.0.2.23:80",
    ]);
  });

  it("does not reorder what is in order, has other work, or hashes without an order", () => {
    const desired = desiredTable(aDesired(SH, [A, B]));
    const reorder = true;
    expect(plan(desired, observedTable(anObserved(SH, [A, B])), { reorder }).steps).toEqual([]);
    const busy = observedTable(anObserved(SH, [B, { ...A, weight: 3 }]));
    expect(summary(plan(desired, busy, { reorder }))).toEqual([
      "update-destination 192.0.2.21:80 weight 1",
    ]);
    const wlc = aService();
    const mixed = observedTable(anObserved(wlc, [B, A]));
    expect(plan(desiredTable(aDesired(wlc, [A, B])), mixed, { reorder }).steps).toEqual([]);
  });
});

describe("planIpvs on destinations", () => {
  it("raises weights before it lowers any", () => {
    const observed = observedTable(
      anObserved(aService(), [
        { ...A, weight: 5 },
        { ...B, weight: 0 },
      ]),
    );
    const wish = aDesired(aService(), [
      { ...A, weight: 0 },
      { ...B, weight: 5 },
    ]);
    expect(summary(plan(desiredTable(wish), observed))).toEqual([
      "update-destination 192.0.2.22:80 weight 5",
      "update-destination 192.0.2.21:80 weight 0",
    ]);
  });

  it("counts a tighter limit as less capacity only where the destination takes connections", () => {
    const effect = (weight: number, upperThreshold: number): unknown => {
      const observed = observedTable(anObserved(aService(), [{ ...A, weight }]));
      const wish = aDesired(aService(), [{ ...A, weight: weight + 1, upperThreshold }]);
      return plan(desiredTable(wish), observed).steps[0]?.effect;
    };
    expect([effect(1, 100), effect(0, 100), effect(1, 0)]).toEqual(["shrink", "grow", "grow"]);
  });

  it("edits method and tunnel in place", () => {
    const tunnel = { type: "IPIP", port: 0, checksum: "None" } as const;
    const observed = observedTable(anObserved(aService(), [A]));
    const wish = aDesired(aService(), [{ ...A, method: "TUN", tunnel }]);
    expect(plan(desiredTable(wish), observed).steps).toMatchObject([
      { command: { op: "update-destination" }, effect: "edit", reason: "settings differ" },
    ]);
  });

  it("keeps a destination that is wanted at weight 0, without a deadline", () => {
    const observed = observedTable(anObserved(aService(), [A]));
    const wish = aDesired(aService(), [{ ...A, weight: 0 }]);
    const result = plan(desiredTable(wish), observed);
    expect(summary(result)).toEqual(["update-destination 192.0.2.21:80 weight 0"]);
    expect(result.drains.size).toBe(0);
  });
});

describe("planIpvs on drains", () => {
  const wish = desiredTable(aDesired(aService(), [A]));
  const withB = (weight: number, counts: Partial<ConnectionCounts>): ObservedTable =>
    observedTable(anObserved(aService(), [A, anObservedDestination({ ...B, weight }, counts)]));
  const record = (age: number): DrainRecord => ({
    service: KEY,
    destination: destinationKey(B),
    startedAtMs: NOW - age,
  });

  it("begins with weight 0, whatever the counts, and notes the deadline", () => {
    const result = plan(wish, withB(3, { active: 0 }));
    expect(summary(result)).toEqual(["update-destination 192.0.2.22:80 weight 0"]);
    expect(result.drains).toEqual(drainsOf(record(0)));
    expect(result.nextDeadlineMs).toBe(NOW + 300_000);
  });

  it("waits while connections remain, active or not", () => {
    for (const counts of [{ active: 1 }, { inactive: 1 }]) {
      const result = plan(wish, withB(0, counts), { drains: drainsOf(record(10_000)) });
      expect(result.steps).toEqual([]);
      expect(result.drains).toEqual(drainsOf(record(10_000)));
      expect(result.nextDeadlineMs).toBe(NOW + 290_000);
    }
  });

  it("does not take counts for news that were read before the last write", () => {
    const stale = { ...anObservedDestination({ ...B, weight: 0 }), stale: true } as const;
    const observed = observedTable(anObserved(aService(), [A, stale]));
    const result = plan(wish, observed, { drains: drainsOf(record(10_000)) });
    expect(result.steps).toEqual([]);
    expect(result.drains.size).toBe(1);
  });

  it("deletes when the kernel counts none", () => {
    const result = plan(wish, withB(0, { persistent: 4 }), { drains: drainsOf(record(10_000)) });
    expect(result.steps).toMatchObject([
      { command: { op: "delete-destination" }, reason: "drained" },
    ]);
    expect(result.drains.size).toBe(0);
  });

  it("deletes at the deadline although connections remain", () => {
    const at = (age: number): IpvsPlan =>
      plan(wish, withB(0, { active: 1 }), { drains: drainsOf(record(age)) });
    expect(at(299_999).steps).toEqual([]);
    expect(at(300_000).steps).toMatchObject([{ reason: "drain deadline passed" }]);
  });

  it("waits for ever when the policy says so", () => {
    const patient = desiredTable(
      aDesired(aService(), [A], { timeoutSeconds: 300, whenExpired: "Wait" }),
    );
    const result = plan(patient, withB(0, { active: 1 }), { drains: drainsOf(record(1e9)) });
    expect(result.steps).toEqual([]);
    expect(result.nextDeadlineMs).toBeUndefined();
  });

  it("takes a start in the future for now, after a step of the clock", () => {
    const result = plan(wish, withB(0, { active: 1 }), { drains: drainsOf(record(-1e9)) });
    expect(result.drains).toEqual(drainsOf(record(0)));
    expect(result.nextDeadlineMs).toBe(NOW + 300_000);
  });

  it("raises the weight again when the destination is wanted again, and forgets the drain", () => {
    const both = desiredTable(aDesired(aService(), [A, B]));
    const result = plan(both, withB(0, { active: 1 }), { drains: drainsOf(record(10_000)) });
    expect(summary(result)).toEqual(["update-destination 192.0.2.22:80 weight 1"]);
    expect(result.steps[0]?.reason).toBe("wanted again");
    expect(result.drains.size).toBe(0);
  });

  it.each([
    ["UDP", aService({ identity: anIdentity("192.0.2.10", 53, "UDP") }), 300],
    ["a timeout of zero", aService(), 0],
  ] as const)("deletes at once, after what is added, for %s", (_what, service, timeoutSeconds) => {
    const desired = aDesired(service, [A], { timeoutSeconds, whenExpired: "Remove" });
    const observed = anObserved(service, [anObservedDestination(B, { active: 5 })]);
    const result = plan(desiredTable(desired), observedTable(observed));
    expect(summary(result)).toEqual([
      "create-destination 192.0.2.21:80",
      "delete-destination 192.0.2.22:80",
    ]);
    expect(result.drains.size).toBe(0);
  });

  it("drains the only destination too when that is the wish", () => {
    const observed = observedTable(anObserved(aService(), [A]));
    expect(summary(plan(desiredTable(aDesired(aService())), observed))).toEqual([
      "update-destination 192.0.2.21:80 weight 0",
    ]);
  });

  it("looks after running drains when it compares only some services", () => {
    const result = plan(wish, withB(0, {}), {
      only: new Set(),
      drains: drainsOf(record(10_000)),
    });
    expect(result.steps).toMatchObject([{ reason: "drained" }]);
  });

  it("forgets the drains of a service that is deleted or gone", () => {
    const drains = drainsOf(record(10_000));
    expect(plan(NOTHING, withB(0, { active: 1 }), { drains, owns: () => true }).drains.size).toBe(
      0,
    );
    expect(plan(wish, NOTHING, { drains }).drains.size).toBe(0);
  });
});
