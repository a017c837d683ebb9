/**
 * Which services of the kernel are ours. IPVS has no labels, so ownership is what we wrote down
 * before programming, and every service on a VIP that is ours: a port somebody added there by hand
 * would answer for us. Everything else is foreign. Pure.
 */
import type { ObjectKey } from "../../api/conditions.ts";
import type { DirectorState } from "../../compile/model.ts";
import type { ServiceRecord } from "../../compile/retention.ts";
import type { ObservedTable, ServiceIdentity, ServiceKey } from "../../ipvs/model.ts";

/** Services that we programmed, each with the object it was for. */
export type OwnedServices = ReadonlyMap<ServiceKey, ObjectKey>;

/** What the planner asks about a service that may not be wanted. */
export interface Ownership extends ServiceRecord {
  readonly isOurs: (identity: ServiceIdentity, key: ServiceKey) => boolean;
}

/** @param vips the desired VIPs; only asked for when a service is in the kernel and not wanted */
export function ownershipOf(
  owned: OwnedServices,
  vips: () => ReadonlySet<string>,
  observed: ObservedTable,
): Ownership {
  const isOurs = (identity: ServiceIdentity, key: ServiceKey): boolean =>
    owned.has(key) || (identity.kind === "address" && vips().has(identity.address));
  return {
    isOurs,
    owns: (key) => {
      const service = observed.services.get(key)?.service;
      return service !== undefined && isOurs(service.identity, key);
    },
    ownerOf: (key) => owned.get(key),
  };
}

/** The VIPs of a desired state, made at the first use. */
export function vipsOf({ host }: Pick<DirectorState, "host">): () => ReadonlySet<string> {
  let vips: ReadonlySet<string> | undefined;
  return () => (vips ??= new Set(host.addresses.map(({ address }) => address)));
}

/**
 * What the journal must hold before the table changes: everything wanted, and everything we made
 * that is still in the kernel.
 */
export function servicesToRemember(
  state: Pick<DirectorState, "owners" | "withheld">,
  owned: OwnedServices,
  observed: ObservedTable,
): OwnedServices {
  const next = new Map<ServiceKey, ObjectKey>();
  for (const [key, owner] of owned) if (observed.services.has(key)) next.set(key, owner);
  for (const [key, owner] of state.owners) if (!state.withheld.has(key)) next.set(key, owner);
  return next;
}

/** Whether two records say the same. */
export function sameOwned(a: OwnedServices, b: OwnedServices): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, owner] of a) if (b.get(key) !== owner) return false;
  return true;
}
