import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { objectKey, type Condition } from "../api/conditions.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { ObjectSet } from "../source/source.ts";
import { compileDirector, createDirectorCompiler } from "./director.ts";
import { addressesToLookUp } from "./look-ups.ts";
import type { DirectorState, DirectorUpdate, NodeFacts } from "./model.ts";
import {
  anAddress,
  aRealServer,
  aVirtualService,
  objectsOf,
  servers,
  someFacts,
} from "./testing/builders.ts";

// Few names and addresses, so that objects meet, conflict and refer to each other all the time.
const namespaces = fc.constantFrom("shop", "zoo");
const names = fc.constantFrom("a", "b", "c", "d");
const vips = fc.constantFrom(
  "192.0.2.10",
  "192.0.2.11",
  "192.0.2.21",
  "203.0.113.9",
  "2001:db8::10",
);
const serverAddresses = fc.constantFrom(
  "192.0.2.21",
  "192.0.2.22",
  "192.0.2.1",
  "198.51.100.7",
  "2001:db8::21",
);
const created = fc.constantFrom(undefined, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
const labels = fc.constantFrom({ app: "x" }, { app: "y" }, { app: "x", tier: "1" });

const backend = fc.oneof(
  fc
    .uniqueArray(serverAddresses, { minLength: 1, maxLength: 3 })
    .map((list) => servers(...list.map((address, i) => ({ address, weight: i })))),
  fc
    .uniqueArray(names, { minLength: 1, maxLength: 3 })
    .map((list) => ({ type: "RealServers", realServers: { names: list } })),
  fc.constantFrom({}, { matchLabels: { app: "x" } }).map((selector) => ({
    type: "RealServers",
    realServers: { selector },
  })),
);

interface Plan {
  readonly identity: Parameters<typeof aVirtualService>[0];
  readonly spec: Parameters<typeof aVirtualService>[1];
}

const servicePlan: fc.Arbitrary<Plan> = fc
  .record({
    name: names,
    namespace: namespaces,
    created,
    ips: fc.uniqueArray(vips, { minLength: 1, maxLength: 2 }),
    port: fc.constantFrom({ port: 80 }, { port: 443 }, { port: 79, endPort: 81 }),
    method: fc.constantFrom("DR", "NAT", "TUN"),
    enforcement: fc.constantFrom("Enforce", "Enforce", "DryRun", "Paused"),
    scheduler: fc.constantFrom("wlc", "wlc", "sh", "twos"),
    mark: fc.constantFrom(undefined, undefined, 7),
    group: fc.constantFrom("default", "default", "default", "edge"),
    backend,
  })
  .map((r) => ({
    identity: {
      name: r.name,
      namespace: r.namespace,
      ...(r.created === undefined ? {} : { created: r.created }),
    },
    spec: {
      addresses: r.ips.map((ip, i) => ({ name: `a${i}`, ip })),
      ports: [r.port],
      forwarding: { method: r.method },
      enforcement: r.enforcement,
      scheduler: r.scheduler,
      directorGroupName: r.group,
      backends: [r.backend],
      ...(r.mark === undefined ? {} : { firewallMark: { type: "External", value: r.mark } }),
    },
  }));

const service = servicePlan.map(({ identity, spec }) => aVirtualService(identity, spec));
const realServer = fc
  .record({
    name: names,
    namespace: namespaces,
    labels,
    address: serverAddresses,
    adminState: fc.constantFrom("Enabled", "Draining", "Disabled"),
    weight: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ address, adminState, weight, ...identity }) =>
    aRealServer(identity, { address, adminState, weight }),
  );

const invalid: Condition = { type: "Accepted", status: "False", reason: "Invalid", message: "m" };

/** Objects once for each key, as a source delivers them. */
const unique = <T extends VirtualService | RealServer>(list: readonly T[]): readonly T[] => [
  ...new Map(list.map((object) => [objectKey(object), object])).values(),
];

const objectSet: fc.Arbitrary<ObjectSet> = fc
  .record({
    services: fc.array(service, { maxLength: 8 }),
    realServers: fc.array(realServer, { maxLength: 6 }),
    refused: fc.uniqueArray(fc.constantFrom("RealServer shop/a", "VirtualService shop/a"), {
      maxLength: 2,
    }),
  })
  .map((r) =>
    objectsOf([...unique(r.services), ...unique(r.realServers)], {
      refused: new Map(r.refused.map((key) => [key, invalid])),
    }),
  );

const facts: fc.Arbitrary<NodeFacts> = fc
  .record({
    bound: fc.uniqueArray(vips, { maxLength: 2 }),
    extra: fc.constantFrom([], ["203.0.113.1/24 eth0"]),
    missingSchedulers: fc.constantFrom(new Set<string>(), new Set(["twos"])),
    occupied: fc.uniqueArray(vips, { maxLength: 1 }),
    interfaceName: fc.constantFrom(undefined, undefined, "eth9"),
  })
  .map(({ bound, extra, missingSchedulers, occupied, interfaceName }) =>
    someFacts({
      addresses: [
        "192.0.2.1/24 eth0",
        "2001:db8::1/64 eth0",
        ...extra,
        ...bound.map((vip) => `${vip}/${vip.includes(":") ? 128 : 32} eth0 ours`),
      ].map(anAddress),
      missingSchedulers,
      occupiedAddresses: new Map(occupied.map((vip) => [vip, "02:00:00:00:00:99"])),
      interfaceName,
    }),
  );

/** A copy, as the incremental compiler changes its maps in place. */
const snapshot = ({ table, owners, withheld, conditions, host, ...rest }: DirectorState) => ({
  services: new Map(table.services),
  owners: new Map(owners),
  withheld: new Map(withheld),
  conditions: new Map(conditions),
  addresses: host.addresses,
  sysctls: host.sysctls,
  withheldAddresses: rest.withheldAddresses,
  retained: rest.retained,
});

/** The next object set shares what it can with the one before, as a source does. */
const step = fc.record({
  add: fc.array(service, { maxLength: 2 }),
  addServers: fc.array(realServer, { maxLength: 2 }),
  drop: fc.nat(20),
  refuse: fc.boolean(),
  facts: fc.option(facts, { nil: undefined }),
  shuffle: fc.boolean(),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

function nextObjects(before: ObjectSet, change: Step): ObjectSet {
  const services = before.virtualServices.filter((_, i) => i !== change.drop);
  const realServers = before.realServers.filter((_, i) => i + 10 !== change.drop);
  const merged = unique([...services, ...change.add]);
  return {
    virtualServices: change.shuffle ? merged.toReversed() : merged,
    realServers: unique([...realServers, ...change.addServers]),
    refused: change.refuse
      ? new Map([
          ["VirtualService shop/a", invalid],
          ["RealServer zoo/b", invalid],
        ])
      : before.refused,
  };
}

describe("compileDirector", () => {
  it("does not depend on the order of the objects", { timeout: 30_000 }, () => {
    fc.assert(
      fc.property(objectSet, facts, fc.infiniteStream(fc.nat()), (objects, node, stream) => {
        const shuffled = <T>(list: readonly T[]): readonly T[] =>
          list
            .map((item) => ({ item, rank: stream.next().value }))
            .sort((a, b) => a.rank - b.rank)
            .map(({ item }) => item);
        const other = {
          ...objects,
          virtualServices: shuffled(objects.virtualServices),
          realServers: shuffled(objects.realServers),
        };
        expect(snapshot(compileDirector(other, node))).toEqual(
          snapshot(compileDirector(objects, node)),
        );
      }),
      { numRuns: 300 },
    );
  });

  it(
    "makes services and binds VIPs only for objects that ask for them",
    { timeout: 30_000 },
    () => {
      fc.assert(
        fc.property(objectSet, facts, (objects, node) => {
          const state = compileDirector(objects, node);
          const byKey = new Map(
            objects.virtualServices.map((object) => [objectKey(object), object]),
          );
          const wanted = objects.virtualServices
            .filter(({ spec }) => spec.enforcement === "Enforce")
            .flatMap(({ spec }) => spec.addresses.map(({ ip }) => ip));
          for (const [key, { service: made, destinations }] of state.table.services) {
            const owner = byKey.get(state.owners.get(key) ?? "");
            expect(owner?.spec.directorGroupName).toBe("default");
            const { identity } = made;
            if (identity.kind === "address") {
              expect(owner?.spec.addresses.map(({ ip }) => ip)).toContain(identity.address);
            }
            expect(destinations.every(({ family }) => family === identity.family)).toBe(true);
          }
          for (const { address } of state.host.addresses) expect(wanted).toContain(address);
        }),
        { numRuns: 300 },
      );
    },
  );

  it(
    "never lets a later object of another namespace change what the others get",
    { timeout: 30_000 },
    () => {
      fc.assert(
        fc.property(objectSet, facts, servicePlan, (objects, node, plan) => {
          const identity = { name: "zzz", namespace: "zzz", created: "2027-01-01T00:00:00Z" };
          const intruder = aVirtualService(identity, plan.spec);
          const alone = compileDirector(objects, node);
          const virtualServices = [intruder, ...objects.virtualServices];
          const together = compileDirector({ ...objects, virtualServices }, node);
          for (const [key, made] of alone.table.services) {
            expect(together.table.services.get(key)).toEqual(made);
            expect(together.owners.get(key)).toBe(alone.owners.get(key));
          }
          for (const [key, conditions] of alone.conditions) {
            expect(together.conditions.get(key)).toEqual(conditions);
          }
        }),
        { numRuns: 300 },
      );
    },
  );
});

describe("createDirectorCompiler", () => {
  it(
    "comes to the same as a fresh start, and names every service that changed",
    { timeout: 30_000 },
    () => {
      fc.assert(
        fc.property(objectSet, facts, fc.array(step, { maxLength: 8 }), (first, node, steps) => {
          const compiler = createDirectorCompiler();
          let objects = first;
          let known = node;
          let before = snapshot(compiler.compile(objects, known));
          for (const change of steps) {
            objects = nextObjects(objects, change);
            known = change.facts ?? known;
            expect(new Set<string>().union(compiler.lookUps(objects).all)).toEqual(
              addressesToLookUp(objects),
            );
            const update: DirectorUpdate = compiler.compile(objects, known);
            const after = snapshot(update);
            expect(after).toEqual(snapshot(compileDirector(objects, known)));
            for (const key of new Set([...before.services.keys(), ...after.services.keys()])) {
              if (update.changed === undefined || update.changed.has(key)) continue;
              expect(after.services.get(key)).toEqual(before.services.get(key));
              expect(after.withheld.get(key)).toBe(before.withheld.get(key));
            }
            before = after;
          }
        }),
        { numRuns: 250 },
      );
    },
  );

  it("touches only the services of the object that changed", () => {
    const many = Array.from({ length: 50 }, (_, i) =>
      aVirtualService({ name: `vs${i}` }, { addresses: [{ ip: `192.0.2.${i + 100}` }] }),
    );
    const compiler = createDirectorCompiler();
    const node = someFacts();
    expect(compiler.compile(objectsOf(many), node).changed).toBeUndefined();
    const edited = many.with(
      7,
      aVirtualService({ name: "vs7" }, { addresses: [{ ip: "192.0.2.107" }], scheduler: "rr" }),
    );
    const update = compiler.compile(objectsOf(edited), node);
    expect(update.changed).toEqual(new Set(["TCP 192.0.2.107:80"]));
    expect(compiler.compile(objectsOf(edited), { ...node }).changed).toEqual(new Set());
  });

  it("asks for a comparison of everything when something is no longer retained", () => {
    const compiler = createDirectorCompiler();
    const refused = new Map([["VirtualService shop/old", invalid]]);
    const objects = objectsOf([aVirtualService()], { refused });
    const node = someFacts();
    compiler.compile(objects, node);
    expect(compiler.compile({ ...objects }, node).changed).toEqual(new Set());
    const repaired = { ...objects, refused: new Map<string, Condition>() };
    expect(compiler.compile(repaired, node).changed).toBeUndefined();
    expect(compiler.compile({ ...repaired }, node).changed).toEqual(new Set());
  });

  it("says which addresses joined since the last compilation", () => {
    const compiler = createDirectorCompiler();
    const first = objectsOf([aVirtualService()]);
    expect([...compiler.lookUps(first).added]).toEqual(["192.0.2.21", "192.0.2.22"]);
    compiler.compile(first, someFacts());
    const more = objectsOf([...first.virtualServices, aRealServer({}, { address: "192.0.2.30" })]);
    expect([...compiler.lookUps(more).added]).toEqual(["192.0.2.30"]);
  });
});
