/** rtnetlink messages: links, addresses, routes, and the IPv4 settings of an interface. */
import { HOST_PREFIX_LENGTH, type IpFamily, ipFamily } from "../lib/ip-address.ts";
import {
  type AttributesOf,
  attributeSet,
  nested,
  optional,
  required,
} from "../netlink/attributes.ts";
import { HOST_LITTLE_ENDIAN, viewOf } from "../netlink/byte-order.ts";
import { type Codec, anyBytes, cString, ipAddress, u32, u8 } from "../netlink/codecs.ts";
import { WireFormatError } from "../netlink/errors.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import type {
  DesiredAddress,
  DesiredLink,
  HostOwner,
  ObservedAddress,
  ObservedLink,
  RouteFact,
} from "./model.ts";
import {
  ADDRESS_MARKS,
  AF_INET,
  AF_INET6,
  ARPHRD_ETHER,
  IFADDRMSG_BYTES,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_UP,
  IFINFOMSG_BYTES,
  IFLA_INET_CONF,
  IFNAMSIZ,
  IPV4_DEVCONF,
  RTMSG_BYTES,
  RTN_LOCAL,
  RTN_UNICAST,
} from "./uapi.ts";

/** Values of IFLA_INET_CONF: what the kernel reports is an array, what it takes is attributes. */
const inetConf: Codec<ReadonlyMap<number, number>> = {
  write(writer, values) {
    for (const [setting, value] of values) writer.attrU32(setting, value);
  },
  read(view, offset, length) {
    const values = new Map<number, number>();
    for (let at = 0; at + 4 <= length; at += 4) {
      // The kernel stores them signed; none of the settings is ever negative.
      values.set(at / 4 + 1, view.getInt32(offset + at, HOST_LITTLE_ENDIAN));
    }
    return values;
  },
};

const INET_ATTRS = attributeSet("IFLA_INET", { CONF: optional(IFLA_INET_CONF, inetConf) });
const AF_SPEC_ATTRS = attributeSet("IFLA_AF_SPEC", { INET: optional(AF_INET, nested(INET_ATTRS)) });
const LINKINFO_ATTRS = attributeSet("IFLA_INFO", { KIND: optional(1, cString(64)) });
const LINK_ATTRS = attributeSet("IFLA", {
  ADDRESS: optional(1, anyBytes),
  IFNAME: required(3, cString(IFNAMSIZ)),
  MTU: optional(4, u32),
  LINKINFO: optional(18, nested(LINKINFO_ATTRS)),
  AF_SPEC: optional(26, nested(AF_SPEC_ATTRS)),
});
const ADDRESS_ATTRS = attributeSet("IFA", {
  ADDRESS: optional(1, ipAddress),
  LOCAL: optional(2, ipAddress),
  FLAGS: optional(8, u32),
  PROTO: optional(11, u8),
});
const ROUTE_ATTRS = attributeSet("RTA", {
  DST: optional(1, ipAddress),
  OIF: optional(4, u32),
  GATEWAY: optional(5, anyBytes),
  VIA: optional(18, anyBytes),
});

/** A link with its IPv4 settings by name; a device without IPv4 has none. */
export interface WireLink {
  readonly link: ObservedLink;
  readonly settings: ReadonlyMap<string, number>;
}

/** Reads RTM_NEWLINK. @throws WireFormatError */
export function decodeLink(payload: Uint8Array): WireLink {
  assertHeader(payload, IFINFOMSG_BYTES, "ifinfomsg");
  const view = viewOf(payload);
  const flags = view.getUint32(8, HOST_LITTLE_ENDIAN);
  const attrs = LINK_ATTRS.decode(payload, IFINFOMSG_BYTES);
  return {
    link: {
      index: view.getInt32(4, HOST_LITTLE_ENDIAN),
      name: attrs.IFNAME,
      up: (flags & IFF_UP) !== 0,
      mtu: attrs.MTU ?? 0,
      macAddress: macAddressOf(attrs, view.getUint16(2, HOST_LITTLE_ENDIAN)),
      loopback: (flags & IFF_LOOPBACK) !== 0,
      kind: attrs.LINKINFO?.KIND,
      noArp: (flags & IFF_NOARP) !== 0,
    },
    settings: settingsByName(attrs.AF_SPEC?.INET?.CONF),
  };
}

/** Tunnels carry an IP address in IFLA_ADDRESS, lo carries zeros: neither is a MAC address. */
function macAddressOf(
  attrs: AttributesOf<typeof LINK_ATTRS>,
  deviceType: number,
): string | undefined {
  if (deviceType !== ARPHRD_ETHER || attrs.ADDRESS?.length !== 6) return undefined;
  return formatMac(attrs.ADDRESS);
}

/** `aa:bb:cc:dd:ee:ff`. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Reads what `formatMac` writes. */
export function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16));
}

function settingsByName(
  values: ReadonlyMap<number, number> | undefined,
): ReadonlyMap<string, number> {
  const settings = new Map<string, number>();
  if (values === undefined) return settings;
  for (const [name, number] of IPV4_DEVCONF) {
    const value = values.get(number);
    if (value !== undefined) settings.set(name, value);
  }
  return settings;
}

/** Appends the request for all links, addresses of both families, or whatever the type says. */
export function encodeDumpRequest(writer: MessageWriter, headerBytes: number): void {
  writer.zeros(headerBytes);
}

function encodeLinkHeader(writer: MessageWriter, flags: number, change: number): void {
  writer.zeros(8);
  writer.u32(flags);
  writer.u32(change);
}

/** RTM_SETLINK: up or down. */
export function encodeLinkState(writer: MessageWriter, name: string, up: boolean): void {
  encodeLinkHeader(writer, up ? IFF_UP : 0, IFF_UP);
  LINK_ATTRS.encode(writer, { IFNAME: name });
}

/** RTM_NEWLINK: a device of the kind, up. */
export function encodeNewLink(writer: MessageWriter, { name, kind }: DesiredLink): void {
  encodeLinkHeader(writer, IFF_UP, IFF_UP);
  LINK_ATTRS.encode(writer, { IFNAME: name, LINKINFO: { KIND: kind } });
}

/** RTM_DELLINK, or RTM_GETLINK for one. */
export function encodeLinkName(writer: MessageWriter, name: string): void {
  encodeLinkHeader(writer, 0, 0);
  LINK_ATTRS.encode(writer, { IFNAME: name });
}

/** One IPv4 setting of an interface. */
export interface LinkSetting {
  readonly interfaceName: string;
  /** Number of IPV4_DEVCONF. */
  readonly setting: number;
  readonly value: number;
}

/** RTM_SETLINK with IFLA_AF_SPEC: what a write to net.ipv4.conf.INTERFACE does, without the file. */
export function encodeLinkSetting(
  writer: MessageWriter,
  { interfaceName, setting, value }: LinkSetting,
): void {
  encodeLinkHeader(writer, 0, 0);
  LINK_ATTRS.encode(writer, {
    IFNAME: interfaceName,
    AF_SPEC: { INET: { CONF: new Map([[setting, value]]) } },
  });
}

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
 * RTM_NEWADDR: a single host, no prefix route, the owner's mark. IPv6 without duplicate address
 * detection: the network was asked before, and a tentative address answers nobody for a second.
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

function assertHeader(payload: Uint8Array, bytes: number, name: string): void {
  if (payload.length >= bytes) return;
  throw new WireFormatError(name, `${payload.length} bytes instead of ${bytes}`);
}
