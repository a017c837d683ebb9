/**
 * The canonical order of services and destinations: by family, address and port. Destinations go
 * into the kernel in this order because `sh` and `dh` deal out their hash slots in list order, so
 * that two directors agree only when both inserted alike.
 */
import { compareIp } from "../lib/ip-address.ts";
import type { Destination, ServiceIdentity } from "./model.ts";

/** IPv4 before IPv6, then address by value, then port. */
export function compareDestinations(
  a: Pick<Destination, "address" | "port">,
  b: Pick<Destination, "address" | "port">,
): number {
  return compareAddresses(a.address, b.address) || a.port - b.port;
}

/** Addresses before marks; then as destinations, and by protocol name, or by mark and family. */
export function compareServices(a: ServiceIdentity, b: ServiceIdentity): number {
  if (a.kind === "address" && b.kind === "address") {
    return (
      compareAddresses(a.address, b.address) ||
      a.port - b.port ||
      compareText(a.protocol, b.protocol)
    );
  }
  if (a.kind === "mark" && b.kind === "mark") {
    return compareText(a.family, b.family) || a.mark - b.mark;
  }
  return a.kind === "address" ? -1 : 1;
}

/** The items in canonical order; the very same array when they already are. */
export function inCanonicalOrder<T extends Pick<Destination, "address" | "port">>(
  items: readonly T[],
): readonly T[] {
  const ordered = items.every((item, i) => {
    const previous = items[i - 1];
    return previous === undefined || compareDestinations(previous, item) <= 0;
  });
  return ordered ? items : [...items].sort(compareDestinations);
}

function compareAddresses(a: string, b: string): number {
  if (a === b) return 0;
  // Sorting ten thousand services must cost little, so IPv4 skips the parser and its checks.
  if (!a.includes(":") && !b.includes(":")) return ipv4Value(a) - ipv4Value(b);
  return compareIp(a, b);
}

/** Value of an IPv4 address that is known to be canonical, 0 to 2^32 - 1. */
export function ipv4Value(text: string): number {
  let value = 0;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      value = value * 256 + part;
      part = 0;
    } else {
      part = part * 10 + code - 0x30;
    }
  }
  return value * 256 + part;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
