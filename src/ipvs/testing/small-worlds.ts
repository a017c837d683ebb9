/**
 * Pairs of desired and observed tables out of a seed, for properties that run a hundred thousand
 * times: cheap to make. The universe is small on purpose, so that the two tables overlap in every
 * way. The choices after the first `length` are all the simplest one, which is how they shrink.
 */
import fc from "fast-check";
import type {
  DesiredService,
  DesiredTable,
  Destination,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  Service,
  ServiceIdentity,
  ServiceKey,
} from "../model.ts";
import { destinationKey, serviceKey } from "../model.ts";
import type { DrainKey, DrainRecord } from "../steps.ts";
import { drainKey } from "../steps.ts";
import { aDestination, aMark, anIdentity, aService } from "./builders.ts";

/** One situation of a director. */
export interface SmallWorld {
  readonly desired: DesiredTable;
  readonly observed: ObservedTable;
  /** Services that are ours; the rest of what is observed is foreign. */
  readonly owned: ReadonlySet<ServiceKey>;
  readonly drains: ReadonlyMap<DrainKey, DrainRecord>;
  readonly nowMs: number;
}

export const NOW_MS = 1_800_000_000_000;

const IDENTITIES: readonly ServiceIdentity[] = [
  anIdentity("192.0.2.10", 80),
  anIdentity("192.0.2.9", 80),
  anIdentity("192.0.2.10", 53, "UDP"),
  anIdentity("2001:db8::10", 443),
  aMark(7),
];
const SCHEDULERS = ["wlc", "rr", "mh", "sh", "none"] as const;
const SCHEDULER_FLAGS = [
  { fallback: false, port: false, third: false },
  { fallback: true, port: false, third: false },
] as const;
const DRAINS = [
  { timeoutSeconds: 300, whenExpired: "Remove" },
  { timeoutSeconds: 0, whenExpired: "Remove" },
  { timeoutSeconds: 300, whenExpired: "Wait" },
] as const;
const WEIGHTS = [0, 1, 5] as const;
const THRESHOLDS = [0, 100] as const;
const SLOTS = 4;

/** Worlds of up to five services with up to four destinations in each table. */
export const smallWorlds: fc.Arbitrary<SmallWorld> = fc
  .tuple(fc.integer(), fc.nat({ max: 240 }))
  .map(([seed, length]) => worldOf(new Dice(seed, length)));

function worldOf(dice: Dice): SmallWorld {
  const desired = new Map<ServiceKey, DesiredService>();
  const observed = new Map<ServiceKey, ObservedService>();
  const owned = new Set<ServiceKey>();
  const drains = new Map<DrainKey, DrainRecord>();
  for (const identity of IDENTITIES) {
    const key = serviceKey(identity);
    const where = dice.below(6);
    if (dice.below(2) === 1) owned.add(key);
    const service = serviceOf(dice, identity);
    // Half of the services that are on both sides are the same there.
    if (where > 0 && where < 5) desired.set(key, desiredOf(dice, service));
    if (where > 1) {
      const settings = dice.below(2) === 0 ? service : serviceOf(dice, identity);
      observed.set(key, observedOf(dice, settings, drains));
    }
  }
  return {
    desired: { services: desired },
    observed: { services: observed },
    owned,
    drains,
    nowMs: NOW_MS,
  };
}

function serviceOf(dice: Dice, identity: ServiceIdentity): Service {
  const mask = identity.family === "IPv4" ? 0xffffff00 : 64;
  return aService({
    identity,
    scheduler: dice.pick(SCHEDULERS),
    schedulerFlags: dice.pick(SCHEDULER_FLAGS),
    persistence: dice.pick([undefined, { timeoutSeconds: 360, mask }]),
  });
}

function desiredOf(dice: Dice, service: Service): DesiredService {
  const destinations: Destination[] = [];
  const present = dice.below(1 << SLOTS);
  for (let slot = 0; slot < SLOTS; slot++) {
    if ((present & (1 << slot)) !== 0) destinations.push(destinationOf(dice, service, slot));
  }
  return { service, destinations, drain: dice.pick(DRAINS) };
}

function observedOf(
  dice: Dice,
  service: Service,
  drains: Map<DrainKey, DrainRecord>,
): ObservedService {
  const destinations: ObservedDestination[] = [];
  const present = dice.below(1 << SLOTS);
  const backwards = dice.below(2) === 1;
  for (let i = 0; i < SLOTS; i++) {
    const slot = backwards ? SLOTS - 1 - i : i;
    if ((present & (1 << slot)) === 0) continue;
    const destination = destinationOf(dice, service, slot);
    const active = dice.below(2);
    const connections = { active, inactive: dice.below(2), persistent: 0 };
    destinations.push({ destination, connections, stats: undefined });
    addRecord(dice, drains, { service: serviceKey(service.identity), destination });
  }
  return { service, destinations, stats: undefined };
}

/** Now and then a drain that runs, is over, or began in the future. */
function addRecord(
  dice: Dice,
  drains: Map<DrainKey, DrainRecord>,
  of: { readonly service: ServiceKey; readonly destination: Destination },
): void {
  const age = dice.pick([undefined, undefined, 10_000, 400_000, -10_000] as const);
  if (age === undefined) return;
  const destination = destinationKey(of.destination);
  const record = { service: of.service, destination, startedAtMs: NOW_MS - age };
  drains.set(drainKey(of.service, destination), record);
}

function destinationOf(dice: Dice, { identity }: Service, slot: number): Destination {
  const address = identity.family === "IPv4" ? `192.0.2.${9 + slot}` : `2001:db8::${9 + slot}`;
  return aDestination({
    address,
    method: dice.below(4) === 0 ? "DR" : "NAT",
    weight: dice.pick(WEIGHTS),
    upperThreshold: dice.pick(THRESHOLDS),
  });
}

/** Deals out choices by a generator of numbers (mulberry32); zeros after `length` of them. */
class Dice {
  #state: number;
  #left: number;

  constructor(seed: number, length: number) {
    this.#state = seed;
    this.#left = length;
  }

  below(limit: number): number {
    if (this.#left === 0) return 0;
    this.#left -= 1;
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(from: readonly T[]): T {
    // The index is below the length, and no list here is empty.
    return from[this.below(from.length)] as T;
  }
}
