/**
 * Repairs the order of destinations where the scheduler deals out hash slots in list order. The
 * kernel appends only, so what is out of place is deleted and added again, both in one send: the
 * kernel then revives the same object with its connections.
 */
import type { DesiredService, Destination, ObservedService, ServiceKey } from "./model.ts";
import { destinationKey } from "./model.ts";
import { inCanonicalOrder } from "./order.ts";
import type { IpvsStep } from "./steps.ts";

/** Schedulers for which two directors with other insertion orders disagree about every client. */
const ORDER_SENSITIVE: ReadonlySet<string> = new Set(["sh", "dh"]);

/** Fewest delete-and-add pairs that give the canonical order; none where it does not matter. */
export function reorderSteps(
  key: ServiceKey,
  desired: DesiredService,
  observed: ObservedService,
): readonly IpvsStep[] {
  if (!ORDER_SENSITIVE.has(desired.service.scheduler)) return [];
  const wanted = inCanonicalOrder(desired.destinations);
  const misplaced = wanted.slice(keptPrefix(wanted, observed));
  return misplaced.flatMap((destination) => moveToEnd(key, desired, destination));
}

/** How many of the first destinations already stand in order, so that the rest can follow them. */
function keptPrefix(wanted: readonly Destination[], observed: ObservedService): number {
  let kept = 0;
  for (const { destination } of observed.destinations) {
    const next = wanted[kept];
    if (next !== undefined && destinationKey(next) === destinationKey(destination)) kept += 1;
  }
  return kept;
}

function moveToEnd(
  key: ServiceKey,
  desired: DesiredService,
  destination: Destination,
): readonly IpvsStep[] {
  const { identity } = desired.service;
  const { family, address, port } = destination;
  const common = {
    service: key,
    destination: destinationKey(destination),
    effect: "switch",
    reason: "insertion order differs",
  } as const;
  return [
    {
      command: { op: "delete-destination", identity, destination: { family, address, port } },
      ...common,
    },
    { command: { op: "create-destination", identity, destination }, ...common },
  ];
}
