/** rtnetlink messages: links and the IPv4 settings of an interface. `address-wire.ts` has the rest. */
import {
  type AttributesOf,
  attributeSet,
  NLA_F_NESTED,
  nested,
  optional,
  required,
} from "../netlink/attributes.ts";
import { HOST_LITTLE_ENDIAN, viewOf } from "../netlink/byte-order.ts";
import { type Codec, anyBytes, cString, u32 } from "../netlink/codecs.ts";
import { WireFormatError } from "../netlink/errors.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import type { DesiredLink, ObservedLink } from "./model.ts";
import {
  AF_INET,
  ARPHRD_ETHER,
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_UP,
  IFINFOMSG_BYTES,
  IFLA_INET_CONF,
  IFNAMSIZ,
  IPV4_DEVCONF,
} from "./uapi.ts";

/** Values of IFLA_INET_CONF: what the kernel reports is an array, what it takes is attributes. */
const inetConf: Codec<ReadonlyMap<number, number>> = {
  // Some kernels demand the mark here (seen on 7.2.7, not on 6.1 and 7.2.12).
  typeFlags: NLA_F_NESTED,
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

/** @throws WireFormatError when the family's fixed header is not whole */
export function assertHeader(payload: Uint8Array, bytes: number, name: string): void {
  if (payload.length >= bytes) return;
  throw new WireFormatError(name, `${payload.length} bytes instead of ${bytes}`);
}
