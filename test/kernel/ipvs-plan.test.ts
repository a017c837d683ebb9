/** Planner, apply and the model in memory against the running kernel. */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { applyPlan, type ApplyResult } from "../../src/ipvs/apply.ts";
import type { IpvsClient, IpvsCommand } from "../../src/ipvs/client.ts";
import type { DesiredTable, ObservedTable } from "../../src/ipvs/model.ts";
import { destinationKey, serviceKey } from "../../src/ipvs/model.ts";
import { openIpvsClient } from "../../src/ipvs/netlink-client.ts";
import { planIpvs, type PlanInput } from "../../src/ipvs/plan.ts";
import { TableModel } from "../../src/ipvs/table-model.ts";
import {
  aDesired,
  aDestination,
  anIdentity,
  aService,
  desiredTable,
} from "../../src/ipvs/testing/builders.ts";
import { smallWorlds, type SmallWorld } from "../../src/ipvs/testing/small-worlds.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";

const signal = AbortSignal.timeout(300_000);
const numRuns = Number(process.env["LVS_KERNEL_PROPERTY_RUNS"] ?? 200);
let client: IpvsClient;
let netns = "";
let namespaces = 0;

beforeEach(() => {
  namespaces += 1;
  netns = `ipvs-plan-${process.pid}-${namespaces}`;
  execFileSync("ip", ["netns", "add", netns]);
  execFileSync("ip", ["-n", netns, "link", "set", "lo", "up"]);
  client = openIpvsClient({ transport: nativeTransport, netnsPath: `/run/netns/${netns}` });
});

afterEach(() => {
  client.close();
  execFileSync("ip", ["netns", "delete", netns]);
});

/** What counts as the state of a table: settings and order of destinations, no counters. */
function settings(table: ObservedTable): unknown {
  return [...table.services]
    .map(([key, { service, destinations }]) => ({
      key,
      service,
      destinations: destinations.map(({ destination }) => destination),
    }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

async function clear(): Promise<void> {
  const { services } = await client.readTable(signal);
  const commands = [...services.values()].map(({ service }): IpvsCommand => ({
    op: "delete-service",
    identity: service.identity,
  }));
  await client.execute(commands, signal);
}

async function load(table: ObservedTable): Promise<void> {
  const commands = [...table.services.values()].flatMap(
    ({ service, destinations }): IpvsCommand[] => [
      { op: "create-service", service },
      ...destinations.map(({ destination }): IpvsCommand => ({
        op: "create-destination",
        identity: service.identity,
        destination,
      })),
    ],
  );
  expect((await client.execute(commands, signal)).failures).toEqual([]);
}

/** One pass: plans from a fresh read, applies, and holds the model against another read. */
async function pass(
  wish: DesiredTable,
  over: Pick<PlanInput, "owns" | "drains"> & Partial<PlanInput>,
): Promise<ApplyResult> {
  const observed = await client.readTable(signal);
  const model = new TableModel(observed);
  const plan = planIpvs({ desired: wish, observed, nowMs: Date.now(), ...over });
  const before = client.counters.commands;
  const result = await applyPlan({ plan, client, model, signal });
  expect(result.refused).toEqual([]);
  expect(result.skipped).toEqual([]);
  expect(client.counters.commands - before).toBe(plan.steps.length);
  expect(settings(await client.readTable(signal))).toEqual(settings(model.table));
  return result;
}

async function converges(world: SmallWorld): Promise<void> {
  await clear();
  await load(world.observed);
  const owns: PlanInput["owns"] = (_, key) => world.owned.has(key);
  const first = await pass(world.desired, { owns, drains: world.drains });
  const second = await pass(world.desired, { owns, drains: first.drains });
  expect((await pass(world.desired, { owns, drains: second.drains })).executed).toBe(0);
  const { services } = await client.readTable(signal);
  for (const [key, { service, destinations }] of world.desired.services) {
    const seen = services.get(key);
    expect(seen?.service).toEqual(service);
    const byKey = new Map(
      seen?.destinations.map((d) => [destinationKey(d.destination), d.destination]),
    );
    expect(byKey).toEqual(new Map(destinations.map((d) => [destinationKey(d), d])));
  }
  for (const [key, { service }] of world.observed.services) {
    if (world.desired.services.has(key)) continue;
    expect(services.get(key)?.service).toEqual(world.owned.has(key) ? undefined : service);
  }
}

it("reaches any table from any other, and the model follows the kernel", async () => {
  await fc.assert(fc.asyncProperty(smallWorlds, converges), { numRuns });
}, 300_000);

it("loads an mh service in bulk, and a restart writes nothing", async () => {
  const destinations = Array.from({ length: 50 }, (_, i) =>
    aDestination({ address: `198.51.100.${i + 1}`, method: "DR" }),
  );
  const schedulerFlags = { fallback: true, port: false, third: false };
  const service = aService({ scheduler: "mh", schedulerFlags });
  const wish = desiredTable(aDesired(service, destinations));
  const none = { owns: () => false, drains: new Map() };
  expect((await pass(wish, none)).executed).toBe(52);
  expect((await pass(wish, none)).executed).toBe(0);
});

it("repairs the order of an sh service by moves that the kernel accepts in one send", async () => {
  const identity = anIdentity();
  const destinations = Array.from({ length: 40 }, (_, i) =>
    aDestination({ address: `198.51.100.${i + 1}` }),
  );
  const service = aService({ scheduler: "sh" });
  await load({
    services: new Map([
      [
        serviceKey(identity),
        {
          service,
          destinations: destinations.toReversed().map((destination) => ({
            destination,
            connections: { active: 0, inactive: 0, persistent: 0 },
            stats: undefined,
          })),
          stats: undefined,
        },
      ],
    ]),
  });
  const wish = desiredTable(aDesired(service, destinations));
  const batches = client.counters.batches;
  const result = await pass(wish, { owns: () => false, drains: new Map(), reorder: true });
  expect(result.executed).toBe(78);
  expect(client.counters.batches - batches).toBe(2);
  const seen = await client.readService(identity, signal);
  expect(seen?.destinations.map((d) => d.destination)).toEqual(destinations);
});

it("is seen by ipvsadm as it was meant", async () => {
  const tunnel = { type: "GUE", port: 6080, checksum: "Checksum" } as const;
  const wish = desiredTable(
    aDesired(
      aService({ scheduler: "sh", schedulerFlags: { fallback: true, port: true, third: false } }),
      [
        aDestination({ weight: 5, upperThreshold: 100, lowerThreshold: 10 }),
        aDestination({ address: "192.0.2.22", method: "TUN", tunnel }),
      ],
    ),
    aDesired(
      aService({
        identity: anIdentity("2001:db8::10", 443),
        persistence: { timeoutSeconds: 360, mask: 64 },
      }),
      [aDestination({ address: "2001:db8::21", port: 443, method: "DR" })],
    ),
  );
  await pass(wish, { owns: () => false, drains: new Map() });
  const saved = execFileSync("ip", ["netns", "exec", netns, "ipvsadm", "-S", "-n"]).toString();
  expect(
    saved
      .trim()
      .split("\n")
      .map((line) => line.trim())
      .toSorted(),
  ).toEqual(
    [
      "-A -t 192.0.2.10:80 -s sh -b sh-fallback,sh-port",
      // Thresholds are there, but ipvsadm 1.31 does not save them.
      "-a -t 192.0.2.10:80 -r 192.0.2.21:80 -m -w 5",
      "-a -t 192.0.2.10:80 -r 192.0.2.22:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
      "-A -t [2001:db8::10]:443 -s wlc -p 360 -M 64",
      "-a -t [2001:db8::10]:443 -r [2001:db8::21]:443 -g -w 1",
    ].toSorted(),
  );
});
