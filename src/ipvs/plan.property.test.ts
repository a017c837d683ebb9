/**
 * Properties of the planner over random pairs of tables. LVS_PROPERTY_RUNS sets how many pairs each
 * sees: 15,000 by default, more than 10^5 in all; CI asks for 100,000.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { sameDestination, sameServiceSettings } from "./equality.ts";
import type {
  DesiredService,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  ServiceKey,
} from "./model.ts";
import { destinationKey, serviceKey } from "./model.ts";
import { planIpvs } from "./plan.ts";
import { drainKey, type IpvsPlan } from "./steps.ts";
import { TableModel } from "./table-model.ts";
import { smallWorlds, type SmallWorld } from "./testing/small-worlds.ts";

const numRuns = Number(process.env["LVS_PROPERTY_RUNS"] ?? 15_000);
const BUDGET_MS = 600_000;

function planOf(world: SmallWorld): IpvsPlan {
  const { desired, observed, owned, drains, nowMs } = world;
  return planIpvs({ desired, observed, owns: (_, key) => owned.has(key), drains, nowMs });
}

function apply(table: ObservedTable, plan: IpvsPlan): ObservedTable {
  const model = new TableModel(table);
  for (const { command } of plan.steps) model.acknowledge(command);
  return model.table;
}

/** A fresh read by a kernel in which every connection has ended. */
function readIdle(table: ObservedTable): ObservedTable {
  const services = new Map<ServiceKey, ObservedService>();
  for (const [key, service] of table.services) {
    const destinations = service.destinations.map(({ destination }): ObservedDestination => ({
      destination,
      connections: { active: 0, inactive: 0, persistent: 0 },
      stats: undefined,
    }));
    services.set(key, { ...service, destinations });
  }
  return { services };
}

function serves(service: ObservedService | undefined): boolean {
  return (
    service !== undefined &&
    service.service.scheduler !== "none" &&
    service.destinations.some(({ destination }) => destination.weight > 0)
  );
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

function property(title: string, holds: (world: SmallWorld) => void): void {
  it(title, () => fc.assert(fc.property(smallWorlds, holds), { numRuns }), BUDGET_MS);
}

property("ends where it wants to be, with nothing left to do", (world) => {
  const first = planOf(world);
  const idle = readIdle(apply(world.observed, first));
  const second = planOf({ ...world, observed: idle, drains: first.drains });
  const after = readIdle(apply(idle, second));
  const third = planOf({ ...world, observed: after, drains: second.drains });
  check(third.steps.length === 0, "a third plan has steps");
  check(third.drains.size === 0, "a drain still runs");
  for (const [key, want] of world.desired.services) {
    check(isAsWanted(want, after.services.get(key)), `${key} is not as wanted`);
  }
  for (const key of after.services.keys()) {
    const mayStay = world.desired.services.has(key) || !world.owned.has(key);
    check(mayStay, `${key} is still there`);
  }
});

function isAsWanted(want: DesiredService, have: ObservedService | undefined): boolean {
  if (have === undefined || !sameServiceSettings(want.service, have.service)) return false;
  const byKey = new Map(have.destinations.map((d) => [destinationKey(d.destination), d]));
  return (
    byKey.size === want.destinations.length &&
    want.destinations.every((destination) => {
      const found = byKey.get(destinationKey(destination));
      return found !== undefined && sameDestination(destination, found.destination);
    })
  );
}

property("costs exactly one command for each difference", (world) => {
  let expected = 0;
  for (const [key, want] of world.desired.services) {
    expected += differences(world, key, want);
  }
  for (const key of world.observed.services.keys()) {
    if (!world.desired.services.has(key) && world.owned.has(key)) expected += 1;
  }
  check(planOf(world).steps.length === expected, `expected ${expected} commands`);
});

function differences(world: SmallWorld, key: ServiceKey, want: DesiredService): number {
  const have = world.observed.services.get(key);
  const count = want.destinations.length;
  if (have === undefined) return 1 + count + (want.service.scheduler === "mh" && count > 1 ? 1 : 0);
  const wanted = new Map(want.destinations.map((d) => [destinationKey(d), d]));
  let sum = sameServiceSettings(want.service, have.service) ? 0 : 1;
  for (const observed of have.destinations) {
    const wish = wanted.get(destinationKey(observed.destination));
    wanted.delete(destinationKey(observed.destination));
    if (wish === undefined) sum += retirementCost(world, key, want, observed);
    else if (!sameDestination(wish, observed.destination)) sum += 1;
  }
  return sum + wanted.size;
}

/** One command to begin a drain or to end it, none while it goes on. */
// oxlint-disable-next-line max-params -- a helper of one property
function retirementCost(
  world: SmallWorld,
  key: ServiceKey,
  want: DesiredService,
  { destination, connections }: ObservedDestination,
): number {
  const { drain, service } = want;
  if (destination.weight > 0 || drain.timeoutSeconds === 0) return 1;
  if (service.identity.kind === "address" && service.identity.protocol === "UDP") return 1;
  if (connections.active + connections.inactive === 0) return 1;
  const record = world.drains.get(drainKey(key, destinationKey(destination)));
  const age = record === undefined ? 0 : world.nowMs - record.startedAtMs;
  return drain.whenExpired === "Remove" && age >= drain.timeoutSeconds * 1000 ? 1 : 0;
}

property("keeps a service that can serve before and after able to at every step", (world) => {
  const plan = planOf(world);
  const end = apply(world.observed, plan);
  const model = new TableModel(world.observed);
  const table = model.table;
  for (const { command, service } of plan.steps) {
    model.acknowledge(command);
    if (service === undefined) continue;
    if (!serves(world.observed.services.get(service)) || !serves(end.services.get(service)))
      continue;
    check(serves(table.services.get(service)), `${service} cannot serve after ${command.op}`);
  }
});

property("adds before it takes away, and deletes nothing that it adds", (world) => {
  const { steps } = planOf(world);
  const rank = { edit: 0, grow: 0, switch: 1, shrink: 2 } as const;
  let reached = 0;
  const created = new Set<string>();
  const deleted = new Set<string>();
  for (const { effect, command, service, destination } of steps) {
    check(rank[effect] >= reached, `${effect} comes too late`);
    reached = rank[effect];
    const subject = `${service ?? ""} ${destination ?? ""}`;
    if (command.op.startsWith("create-")) created.add(subject);
    if (command.op.startsWith("delete-")) deleted.add(subject);
  }
  check(created.isDisjointFrom(deleted), "something is deleted and created");
});

property("never mentions a foreign service", (world) => {
  const plan = planOf(world);
  const after = apply(world.observed, plan);
  for (const [key, service] of world.observed.services) {
    if (world.desired.services.has(key) || world.owned.has(key)) continue;
    check(!plan.steps.some((step) => step.service === key), `${key} is mentioned`);
    check(after.services.get(key) === service, `${key} was changed`);
  }
});

property("gives the same plan whatever the order of the maps and of desired lists", (world) => {
  const backwards = <K, V>(map: ReadonlyMap<K, V>): ReadonlyMap<K, V> =>
    new Map([...map].reverse());
  const desired = new Map(
    [...world.desired.services].map(([key, d]) => [
      key,
      { ...d, destinations: d.destinations.toReversed() },
    ]),
  );
  const other = planOf({
    ...world,
    desired: { services: backwards(desired) },
    observed: { services: backwards(world.observed.services) },
    drains: backwards(world.drains),
  });
  expect(JSON.stringify(other.steps)).toBe(JSON.stringify(planOf(world).steps));
});

property("plans a part of the services as it plans them all", (world) => {
  const keys = [...world.desired.services.keys(), ...world.observed.services.keys()];
  const only = new Set(keys.filter((_, i) => i % 2 === 0));
  const { desired, observed, owned, drains, nowMs } = world;
  const owns = (identity: Parameters<typeof serviceKey>[0]): boolean =>
    owned.has(serviceKey(identity));
  const part = planIpvs({ desired, observed, owns, drains, nowMs, only });
  const draining = new Set([...drains.values()].map((record) => record.service));
  const whole = planOf(world).steps.filter(
    ({ service }) => service !== undefined && (only.has(service) || draining.has(service)),
  );
  expect(JSON.stringify(part.steps)).toBe(JSON.stringify(whole));
});
