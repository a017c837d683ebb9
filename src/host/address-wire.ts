/** rtnetlink messages: addresses and route look-ups. */
import { HOST_PREFIX_LENGTH, type IpFamily, ipFamily } from "../lib/ip-address.ts";
import { attributeSet, optional } from "../netlink/attributes.ts";
import { HOST_LITTLE_ENDIAN, viewOf } from "../netlink/byte-order.ts";
import { anyBytes, ipAddress, u32, u8 } from "../netlink/codecs.ts";
import { WireFormatError } from "../netlink/errors.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import type { DesiredAddress, HostOwner, ObservedAddress, RouteFact } from "./model.ts";
import {
  ADDRESS_MARKS,
  AF_INET,
  AF_INET6,
  IFADDRMSG_BYTES,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  RTMSG_BYTES,
  RTN_LOCAL,
  RTN_UNICAST,
} from "./uapi.ts";
import { assertHeader } from "./wire.ts";

const ADDRESS_ATTRS = attributeSet("IFA", {
  ADDRESS: optional(1, ipAddress),
  LOCAL: optional(2, ipAddress),
  CACHEINFO: optional(6, anyBytes),
  FLAGS: optional(8, u32),
  PROTO: optional(11, u8),
});
const ROUTE_ATTRS = attributeSet("RTA", {
  DST: optional(1, ipAddress),
  OIF: optional(4, u32),
  GATEWAY: optional(5, anyBytes),
  VIA: optional(18, anyBytes),
});

const FAMILIES: ReadonlyMap<number, IpFamily> = new Map([
  [AF_INET, "IPv4"],
  [AF_INET6, "IPv6"],
]);
const OWNER_OF_MARK: ReadonlyMap<number, HostOwner> = new Map([
  [ADDRESS_MARKS.director, "director"],
  [ADDRESS_MARKS.realserver, "realserver"],
]);

/** An address as the kernel reports it: by the index of its interface. */
export interface WireAddress {
  readonly interfaceIndex: number;
  readonly address: Omit<ObservedAddress, "interfaceName">;
  /** The kernel reports address protocols: this one has one, ours or another. */
  readonly hasProtocol: boolean;
}

/** Reads RTM_NEWADDR; undefined for families that are not IP. @throws WireFormatError */
export function decodeAddress(payload: Uint8Array): WireAddress | undefined {
  assertHeader(payload, IFADDRMSG_BYTES, "ifaddrmsg");
  const view = viewOf(payload);
  const family = FAMILIES.get(view.getUint8(0));
  if (family === undefined) return undefined;
  const attrs = ADDRESS_ATTRS.decode(payload, IFADDRMSG_BYTES);
  // With a peer, ADDRESS is the peer's and LOCAL is ours; IPv6 leaves LOCAL out without one.
  const address = attrs.LOCAL ?? attrs.ADDRESS;
  if (address === undefined) throw new WireFormatError("IFA_ADDRESS", "missing");
  if (ipFamily(address) !== family) throw new WireFormatError("IFA_ADDRESS", "of another family");
  const markedBy = OWNER_OF_MARK.get(attrs.PROTO ?? 0);
  return {
    interfaceIndex: view.getUint32(4, HOST_LITTLE_ENDIAN),
    address: {
      address,
      family,
      prefixLength: view.getUint8(1),
      ours: markedBy !== undefined,
      markedBy,
    },
    hasProtocol: attrs.PROTO !== undefined,
  };
}

interface AddressPlace {
  readonly address: string;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
}

function encodeAddressHeader(writer: MessageWriter, place: AddressPlace): void {
  writer.u8(ipFamily(place.address) === "IPv4" ? AF_INET : AF_INET6);
  writer.u8(place.prefixLength);
  // Flags are in the attribute, scope is universe, also on lo: `ip addr add` does the same.
  writer.u8(0);
  writer.u8(0);
  writer.u32(place.interfaceIndex);
}

/**
 * struct ifa_cacheinfo: preferred for 0 seconds, valid for ever. Source address selection prefers the
 * longest match, and a VIP of 128 bits is that for its whole network: the node's own packets, tunnels
 * to real servers among them, would leave with it. A deprecated address is answered and served all
 * the same (RFC 6724, rule 3). IPv4 takes the first address of the interface and needs nothing.
 */
const DEPRECATED = Uint8Array.from([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);

/**
 * RTM_NEWADDR: a single host, no prefix route, the owner's mark. IPv6 without duplicate address
 * detection: the network was asked before, and a tentative address answers nobody for a second; and
 * deprecated, so that the node does not speak from it by itself.
 */
export function encodeNewAddress(
  writer: MessageWriter,
  { address }: DesiredAddress,
  { interfaceIndex, owner }: { readonly interfaceIndex: number; readonly owner: HostOwner },
): void {
  const family = ipFamily(address);
  encodeAddressHeader(writer, {
    address,
    prefixLength: HOST_PREFIX_LENGTH[family],
    interfaceIndex,
  });
  ADDRESS_ATTRS.encode(writer, {
    LOCAL: address,
    ADDRESS: address,
    ...(family === "IPv6" ? { CACHEINFO: DEPRECATED } : {}),
    FLAGS: IFA_F_NOPREFIXROUTE | (family === "IPv6" ? IFA_F_NODAD : 0),
    PROTO: ADDRESS_MARKS[owner],
  });
}

/** RTM_DELADDR. */
export function encodeAddressRemoval(writer: MessageWriter, place: AddressPlace): void {
  encodeAddressHeader(writer, place);
  ADDRESS_ATTRS.encode(writer, { LOCAL: place.address });
}

/** RTM_GETROUTE for one address. */
export function encodeRouteLookup(writer: MessageWriter, address: string): void {
  const family = ipFamily(address);
  writer.u8(family === "IPv4" ? AF_INET : AF_INET6);
  writer.u8(HOST_PREFIX_LENGTH[family]);
  writer.zeros(RTMSG_BYTES - 2);
  ROUTE_ATTRS.encode(writer, { DST: address });
}

/** A route as the kernel reports it: by the index of its interface. */
export interface WireRoute extends Omit<RouteFact, "interfaceName"> {
  readonly interfaceIndex: number | undefined;
}

/** Reads RTM_NEWROUTE; undefined for routes that carry no packet there. @throws WireFormatError */
export function decodeRoute(payload: Uint8Array): WireRoute | undefined {
  assertHeader(payload, RTMSG_BYTES, "rtmsg");
  const type = payload[7];
  if (type !== RTN_UNICAST && type !== RTN_LOCAL) return undefined;
  const attrs = ROUTE_ATTRS.decode(payload, RTMSG_BYTES);
  return {
    local: type === RTN_LOCAL,
    onLink: attrs.GATEWAY === undefined && attrs.VIA === undefined,
    interfaceIndex: attrs.OIF,
  };
}
