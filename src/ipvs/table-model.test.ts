import { describe, expect, it } from "vitest";
import type { IpvsCommand } from "./client.ts";
import { serviceKey } from "./model.ts";
import { applyToModel, applyToService, TableModel } from "./table-model.ts";
import {
  aDestination,
  anIdentity,
  anObserved,
  anObservedDestination,
  aService,
  observedTable,
} from "./testing/builders.ts";

const identity = anIdentity();
const KEY = serviceKey(identity);
const A = aDestination({ address: "192.0.2.21" });
const B = aDestination({ address: "192.0.2.22" });

describe("applyToModel", () => {
  it("follows commands in order and leaves the table it was given alone", () => {
    const before = observedTable(anObserved(aService(), [A]));
    const after = applyToModel(before, [
      { op: "create-destination", identity, destination: B },
      { op: "update-destination", identity, destination: { ...A, weight: 0 } },
      { op: "update-service", service: aService({ scheduler: "rr" }) },
      { op: "create-service", service: aService({ identity: anIdentity("192.0.2.11") }) },
    ]);
    expect(before).toEqual(observedTable(anObserved(aService(), [A])));
    expect(after.services.size).toBe(2);
    expect(after.services.get(KEY)?.service.scheduler).toBe("rr");
    expect(after.services.get(KEY)?.destinations.map((d) => d.destination)).toEqual([
      { ...A, weight: 0 },
      B,
    ]);
  });

  it("ignores commands that are about no service", () => {
    const table = observedTable(anObserved(aService()));
    const after = applyToModel(table, [
      { op: "zero", identity: undefined },
      { op: "stop-daemon", role: "master" },
      { op: "zero", identity },
    ]);
    expect(after).toEqual(table);
  });
});

describe("applyToService", () => {
  const service = anObserved(aService(), [anObservedDestination(A, { active: 2 })]);
  const refused: readonly (readonly [string, IpvsCommand])[] = [
    ["EEXIST", { op: "create-service", service: aService({ scheduler: "rr" }) }],
    ["EEXIST", { op: "create-destination", identity, destination: { ...A, weight: 9 } }],
    ["ENOENT", { op: "update-destination", identity, destination: B }],
    ["ENOENT", { op: "delete-destination", identity, destination: B }],
  ];

  it.each(refused)("changes nothing where the kernel answers %s", (_errno, command) => {
    expect(applyToService(service, command)).toEqual(service);
  });

  it("has nothing to change where there is no service", () => {
    expect(
      applyToService(undefined, { op: "update-service", service: aService() }),
    ).toBeUndefined();
    const destination = A;
    expect(
      applyToService(undefined, { op: "create-destination", identity, destination }),
    ).toBeUndefined();
  });

  it("keeps counts across an update and says that they are old", () => {
    const after = applyToService(service, {
      op: "update-destination",
      identity,
      destination: { ...A, weight: 0 },
    });
    expect(after?.destinations).toEqual([
      { ...anObservedDestination({ ...A, weight: 0 }, { active: 2 }), stale: true },
    ]);
  });
});

describe("TableModel", () => {
  it("shows later changes through the table it gave out", () => {
    const model = new TableModel();
    const { table } = model;
    model.acknowledge({ op: "create-service", service: aService() });
    expect(table.services.has(KEY)).toBe(true);
    model.put(KEY, undefined);
    expect(table.services.size).toBe(0);
    model.put(KEY, anObserved(aService(), [A]));
    model.acknowledge({ op: "delete-service", identity });
    expect(table.services.size).toBe(0);
  });
});
