/** Addresses and servers of a VirtualService meet by family; what is left over is named here. */
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import { ipFamily } from "../lib/ip-address.ts";
import type { Server } from "./backends.ts";
import type { Problem } from "./problems.ts";

/** Addresses without a server of their family. */
export function familyMismatch(
  servers: readonly Server[],
  addresses: readonly { readonly ip: string }[],
): readonly Problem[] {
  if (servers.length === 0) return [];
  return addresses
    .filter(({ ip }) => !servers.some(({ family }) => family === ipFamily(ip)))
    .map(({ ip }) => ({
      type: "ResolvedRefs",
      reason: "AddressFamilyMismatch",
      message: `${ip} has no ${ipFamily(ip)} server; add one, or remove the address`,
    }));
}

/**
 * Servers written out in the object that no address of it can use. A selector may well find servers
 * of both families for an object of one.
 */
export function strayServers(
  servers: readonly Server[],
  { spec }: VirtualService,
): readonly Problem[] {
  const families = new Set(spec.addresses.map(({ ip }) => ipFamily(ip)));
  return servers
    .filter(({ backend, family }) => {
      return spec.backends[backend]?.type === "Servers" && !families.has(family);
    })
    .map(({ title, family }) => ({
      type: "ResolvedRefs",
      reason: "AddressFamilyMismatch",
      message: `${title} is not used, because no address is ${family}; add one, or remove the server`,
    }));
}
