import { describe, expect, it } from "vitest";

import type { ObservedTable, ServiceKey } from "../ipvs/model.ts";
import type { Retention } from "./model.ts";
import { retainObserved, type ServiceRecord } from "./retention.ts";
import { aVirtualService } from "./testing/builders.ts";
import { compile } from "./testing/read-state.ts";

const none: Retention = {
  everything: false,
  owners: new Set(),
  services: new Set(),
  destinations: new Set(),
  addresses: new Set(),
  settings: false,
};

const KEY = "TCP 192.0.2.10:80";
const counts = { active: 0, inactive: 0, persistent: 0 };

/** A table as the kernel would report it after the state was programmed. */
const observed: ObservedTable = {
  services: new Map(
    [...compile([aVirtualService()]).table.services].map(([key, { service, destinations }]) => [
      key,
      {
        service,
        destinations: destinations.map((destination) => ({
          destination,
          connections: counts,
          stats: undefined,
        })),
        stats: undefined,
      },
    ]),
  ),
};

const record = (owner: string | undefined, owns = true): ServiceRecord => ({
  owns: () => owns,
  ownerOf: () => owner,
});

const empty = { services: new Map() };
const keysAfter = (retained: Partial<Retention>, of: ServiceRecord): readonly ServiceKey[] => [
  ...retainObserved(
    { table: empty, retained: { ...none, ...retained } },
    observed,
    of,
  ).services.keys(),
];

describe("retainObserved", () => {
  it("gives the table itself when nothing is retained", () => {
    expect(retainObserved({ table: empty, retained: none }, observed, record("x"))).toBe(empty);
  });

  it.each([
    {
      name: "of a retained owner stays",
      retained: { owners: new Set(["x"]) },
      owner: "x",
      owns: true,
      keys: [KEY],
    },
    {
      name: "of another owner goes",
      retained: { owners: new Set(["y"]) },
      owner: "x",
      owns: true,
      keys: [],
    },
    {
      name: "of unknown owner stays while any owner is retained",
      retained: { owners: new Set(["y"]) },
      owner: undefined,
      owns: true,
      keys: [KEY],
    },
    {
      name: "that is retained by key stays",
      retained: { services: new Set([KEY]) },
      owner: "x",
      owns: true,
      keys: [KEY],
    },
    {
      name: "of ours stays while everything does",
      retained: { everything: true },
      owner: "x",
      owns: true,
      keys: [KEY],
    },
    {
      name: "of somebody else is left out",
      retained: { everything: true },
      owner: undefined,
      owns: false,
      keys: [],
    },
  ])("a service $name", ({ retained, owner, owns, keys }) => {
    expect(keysAfter(retained, record(owner, owns))).toEqual(keys);
  });

  it("keeps destinations that are not wanted, in canonical order, when they may be wanted", () => {
    const { table } = compile([
      aVirtualService(
        {},
        { backends: [{ type: "Servers", servers: [{ address: "192.0.2.22", weight: 7 }] }] },
      ),
    ]);
    const retained = { ...none, destinations: new Set([KEY]) };
    const kept = retainObserved({ table, retained }, observed, record("x")).services.get(KEY);
    expect(kept?.destinations.map(({ address, weight }) => `${address} ${weight}`)).toEqual([
      "192.0.2.21 1",
      "192.0.2.22 7",
    ]);
  });
});
