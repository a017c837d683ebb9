/**
 * Destinations between the model and their attributes. Tunnel attributes come back for every
 * method and count only for TUN.
 */
import type { IpFamily } from "../lib/ip-address.ts";
import type {
  ConnectionCounts,
  Destination,
  ForwardingMethod,
  ObservedDestination,
  Tunnel,
} from "./model.ts";
import { IP_VS_CONN_F, IP_VS_TUNNEL_ENCAP_FLAG, IP_VS_TUNNEL_TYPE } from "./uapi.ts";
import type { DestAttrs, DestConfigAttrs, RequestAttrs } from "./wire.ts";
import { addressBytes, addressText, familyName, familyNumber } from "./wire-address.ts";
import { statsFromAttrs } from "./wire-service.ts";

/** Part of a destination that names it. */
export type DestinationIdentity = Pick<Destination, "family" | "address" | "port">;
export type DestinationIdentityAttrs = NonNullable<RequestAttrs["DEST"]>;

/** Kernel numbers of the model's words. */
export const METHOD_NUMBERS: Readonly<Record<ForwardingMethod, number>> = {
  NAT: IP_VS_CONN_F.MASQ,
  LocalNode: IP_VS_CONN_F.LOCALNODE,
  TUN: IP_VS_CONN_F.TUNNEL,
  DR: IP_VS_CONN_F.DROUTE,
  Bypass: IP_VS_CONN_F.BYPASS,
};
export const TUNNEL_TYPES: Readonly<Record<Tunnel["type"], number>> = {
  IPIP: IP_VS_TUNNEL_TYPE.IPIP,
  GUE: IP_VS_TUNNEL_TYPE.GUE,
  GRE: IP_VS_TUNNEL_TYPE.GRE,
};
export const CHECKSUM_FLAGS: Readonly<Record<Tunnel["checksum"], number>> = {
  None: IP_VS_TUNNEL_ENCAP_FLAG.NOCSUM,
  Checksum: IP_VS_TUNNEL_ENCAP_FLAG.CSUM,
  RemoteChecksum: IP_VS_TUNNEL_ENCAP_FLAG.REMCSUM,
};
const METHODS = reversed(METHOD_NUMBERS);
const TYPES = reversed(TUNNEL_TYPES);
const CHECKSUMS = reversed(CHECKSUM_FLAGS);

/** The family always goes along: without it a mixed tunnel's destination cannot be deleted. */
export function destinationIdentityToAttrs(destination: DestinationIdentity): Required<
  Pick<DestinationIdentityAttrs, "ADDR" | "PORT" | "ADDR_FAMILY">
> & {
  ADDR: Uint8Array;
  PORT: number;
} {
  return {
    ADDR: addressBytes(destination.address),
    PORT: destination.port,
    ADDR_FAMILY: familyNumber(destination.family),
  };
}

/** All of a create or an update, which replaces everything. */
export function destinationToAttrs(destination: Destination): DestConfigAttrs {
  const { tunnel } = destination;
  return {
    ...destinationIdentityToAttrs(destination),
    FWD_METHOD: METHOD_NUMBERS[destination.method],
    WEIGHT: destination.weight,
    U_THRESH: destination.upperThreshold,
    L_THRESH: destination.lowerThreshold,
    TUN_TYPE: tunnel && TUNNEL_TYPES[tunnel.type],
    TUN_PORT: tunnel?.port,
    TUN_FLAGS: tunnel && CHECKSUM_FLAGS[tunnel.checksum],
  };
}

/**
 * @param serviceFamily counts where the kernel names none
 * @throws WireFormatError
 */
export function destinationFromAttrs(attrs: DestConfigAttrs, serviceFamily: IpFamily): Destination {
  const family =
    attrs.ADDR_FAMILY === undefined
      ? serviceFamily
      : familyName(attrs.ADDR_FAMILY, "IPVS_DEST_ATTR_ADDR_FAMILY");
  // Methods 5 to 7 are accepted and do nothing useful; like Bypass they are never ours.
  const method = METHODS.get(attrs.FWD_METHOD & IP_VS_CONN_F.FWD_MASK) ?? "Bypass";
  return {
    family,
    address: addressText(family, attrs.ADDR, "IPVS_DEST_ATTR_ADDR"),
    port: attrs.PORT,
    method,
    weight: attrs.WEIGHT,
    upperThreshold: attrs.U_THRESH,
    lowerThreshold: attrs.L_THRESH,
    tunnel: method === "TUN" ? tunnelFromAttrs(attrs) : undefined,
  };
}

/** With counts, and with counters where they were decoded. @throws WireFormatError */
export function observedDestinationFromAttrs(
  attrs: DestAttrs,
  serviceFamily: IpFamily,
): ObservedDestination {
  return {
    destination: destinationFromAttrs(attrs, serviceFamily),
    connections: countsFromAttrs(attrs),
    stats: statsFromAttrs(attrs.STATS64, attrs.STATS),
  };
}

function countsFromAttrs(attrs: DestConfigAttrs): ConnectionCounts {
  return {
    active: attrs.ACTIVE_CONNS ?? 0,
    inactive: attrs.INACT_CONNS ?? 0,
    persistent: attrs.PERSIST_CONNS ?? 0,
  };
}

/**
 * The kernel stores types and flags that it does not know. Such a tunnel reads as undefined, which
 * differs from every tunnel that can be wanted, so that ours is repaired.
 */
function tunnelFromAttrs(attrs: DestConfigAttrs): Tunnel | undefined {
  const type = TYPES.get(attrs.TUN_TYPE ?? IP_VS_TUNNEL_TYPE.IPIP);
  const checksum = CHECKSUMS.get(attrs.TUN_FLAGS ?? IP_VS_TUNNEL_ENCAP_FLAG.NOCSUM);
  if (type === undefined || checksum === undefined) return undefined;
  return { type, checksum, port: type === "GUE" ? (attrs.TUN_PORT ?? 0) : 0 };
}

function reversed<T extends string>(numbers: Readonly<Record<T, number>>): ReadonlyMap<number, T> {
  // Object.keys of a record with these keys and no others.
  const names = Object.keys(numbers) as T[];
  return new Map(names.map((name) => [numbers[name], name]));
}
