/** Puts what must stay into the desired table, so that a plan finds nothing to do about it. Pure. */
import type { ObjectKey } from "../api/conditions.ts";
import {
  destinationKey,
  type DesiredService,
  type DesiredTable,
  type DrainPolicy,
  type ObservedService,
  type ObservedTable,
  type ServiceKey,
} from "../ipvs/model.ts";
import { compareDestinations } from "../ipvs/order.ts";
import type { DirectorState } from "./model.ts";

/** Nothing drains in a service that is not ours to change. */
const NO_DRAIN: DrainPolicy = { timeoutSeconds: 0, whenExpired: "Wait" };

/** The node's record of the services that were programmed for objects. */
export interface ServiceRecord {
  /** Whether the service is ours; a service that is not is never touched by a plan. */
  owns(key: ServiceKey): boolean;
  /** The object it was programmed for; undefined = the record does not say. */
  ownerOf(key: ServiceKey): ObjectKey | undefined;
}

/**
 * The desired table with everything added that `state.retained` protects, as it is observed.
 * @returns the state's own table when nothing is retained
 */
export function retainObserved(
  state: Pick<DirectorState, "table" | "retained">,
  observed: ObservedTable,
  record: ServiceRecord,
): DesiredTable {
  const { table, retained } = state;
  const idle =
    !retained.everything &&
    retained.owners.size + retained.services.size + retained.destinations.size === 0;
  if (idle) return table;
  const services = new Map(table.services);
  for (const [key, current] of observed.services) {
    const wanted = table.services.get(key);
    if (wanted === undefined) {
      if (isRetained(key, retained, record)) services.set(key, asObserved(current));
    } else if (retained.everything || retained.destinations.has(key)) {
      services.set(key, withObserved(wanted, current));
    }
  }
  return { services };
}

function isRetained(
  key: ServiceKey,
  { everything, owners, services }: DirectorState["retained"],
  record: ServiceRecord,
): boolean {
  if (!record.owns(key)) return false;
  if (everything || services.has(key)) return true;
  const owner = record.ownerOf(key);
  return owner === undefined ? owners.size > 0 : owners.has(owner);
}

function asObserved({ service, destinations }: ObservedService): DesiredService {
  return { service, destinations: destinations.map((d) => d.destination), drain: NO_DRAIN };
}

function withObserved(wanted: DesiredService, current: ObservedService): DesiredService {
  const known = new Set(wanted.destinations.map(destinationKey));
  const others = current.destinations
    .map(({ destination }) => destination)
    .filter((destination) => !known.has(destinationKey(destination)));
  if (others.length === 0) return wanted;
  return { ...wanted, destinations: [...wanted.destinations, ...others].sort(compareDestinations) };
}
