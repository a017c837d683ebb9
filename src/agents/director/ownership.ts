/**
 * Which services of the kernel are ours. IPVS has no labels, so ownership is what we wrote down
 * before programming, and every service on a VIP that is ours: a port somebody added there by hand
 * would answer for us. Everything else is foreign. Pure.
 */
import type { ObjectKey } from "../../api/conditions.ts";
import type { DirectorState } from "../../compile/model.ts";
import type { ObservedTable, ServiceIdentity, ServiceKey } from "../../ipvs/model.ts";

/** Services that we programmed, each with the object it was for. */
export type OwnedServices = ReadonlyMap<ServiceKey, ObjectKey>;

/** Whether a service of the kernel is ours. */
export function isOurs(
  owned: OwnedServices,
  vips: ReadonlySet<string>,
  identity: ServiceIdentity,
  key: ServiceKey,
): boolean {
  return owned.has(key) || (identity.kind === "address" && vips.has(identity.address));
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
