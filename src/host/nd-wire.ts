/** Neighbour solicitations and advertisements (RFC 4861) in their IPv6 packet, without link header. */
import { formatIp, parseIp } from "../lib/ip-address.ts";
import { viewOf } from "../netlink/byte-order.ts";

const IPV6_HEADER_BYTES = 40;
const NEXT_HEADER_ICMPV6 = 58;
/** Anything less has passed a router, so it is not a neighbour's. */
const HOP_LIMIT = 255;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Type, code, checksum, flags or reserved, target. */
const MESSAGE_BYTES = 24;
const OPTION_TARGET_MAC = 2;
const FLAG_ROUTER = 0x80;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;

const ALL_NODES = "ff02::1";
/** Link-layer address of ff02::1. */
export const ALL_NODES_MAC: Uint8Array = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

export interface NeighbourSolicitation {
  readonly kind: "solicitation";
  /** `::` while the sender asks whether it may have the address itself. */
  readonly source: string;
  readonly target: string;
}

export interface NeighbourAdvertisement {
  readonly kind: "advertisement";
  readonly source: string;
  readonly target: string;
  readonly targetMac: Uint8Array | undefined;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

export type NeighbourMessage = NeighbourSolicitation | NeighbourAdvertisement;

/** A frame's payload and the link-layer address it goes to. */
export interface NeighbourPacket {
  readonly payload: Uint8Array;
  readonly destinationMac: Uint8Array;
}

/** Link-layer multicast address on which an owner of the address is asked. */
export function solicitedNodeMac(address: string): Uint8Array {
  const [a = 0, b = 0, c = 0] = parseIp(address).subarray(13);
  return Uint8Array.of(0x33, 0x33, 0xff, a, b, c);
}

function solicitedNodeAddress(address: string): Uint8Array {
  const bytes = parseIp("ff02::1:ff00:0");
  bytes.set(parseIp(address).subarray(13), 13);
  return bytes;
}

/** The question of duplicate address detection (RFC 4862): from `::`, so it claims nothing. */
export function encodeProbe(address: string): NeighbourPacket {
  const message = new Uint8Array(MESSAGE_BYTES);
  message[0] = SOLICITATION;
  message.set(parseIp(address), 8);
  const destination = solicitedNodeAddress(address);
  return {
    payload: packet(new Uint8Array(16), destination, message),
    destinationMac: solicitedNodeMac(address),
  };
}

/**
 * The unsolicited claim of an address (RFC 4861 7.2.6): every neighbour that knows the address
 * replaces its link-layer address.
 * @param router whether the node forwards IPv6; neighbours that use it as a router would stop
 */
export function encodeAnnouncement(
  mac: Uint8Array,
  address: string,
  router: boolean,
): NeighbourPacket {
  const message = new Uint8Array(MESSAGE_BYTES + 8);
  message[0] = ADVERTISEMENT;
  message[4] = FLAG_OVERRIDE | (router ? FLAG_ROUTER : 0);
  message.set(parseIp(address), 8);
  // Lengths of options are in units of eight bytes.
  message.set([OPTION_TARGET_MAC, 1], MESSAGE_BYTES);
  message.set(mac, MESSAGE_BYTES + 2);
  return {
    payload: packet(parseIp(address), parseIp(ALL_NODES), message),
    destinationMac: ALL_NODES_MAC,
  };
}

function packet(source: Uint8Array, destination: Uint8Array, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV6_HEADER_BYTES + message.length);
  const view = viewOf(bytes);
  bytes[0] = 0x60;
  view.setUint16(4, message.length);
  bytes[6] = NEXT_HEADER_ICMPV6;
  bytes[7] = HOP_LIMIT;
  bytes.set(source, 8);
  bytes.set(destination, 24);
  bytes.set(message, IPV6_HEADER_BYTES);
  view.setUint16(IPV6_HEADER_BYTES + 2, checksum(bytes));
  return bytes;
}

/** Over addresses, length, next header and message; 0 when the checksum inside is right. */
function checksum(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  let sum = view.getUint16(4) + NEXT_HEADER_ICMPV6;
  for (let at = 8; at + 1 < bytes.length; at += 2) sum += view.getUint16(at);
  if (bytes.length % 2 === 1) sum += (bytes.at(-1) ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Undefined for everything that a neighbour cannot have sent, or that is something else. */
export function decodeNeighbourMessage(bytes: Uint8Array): NeighbourMessage | undefined {
  if (bytes.length < IPV6_HEADER_BYTES + MESSAGE_BYTES) return undefined;
  const end = IPV6_HEADER_BYTES + viewOf(bytes).getUint16(4);
  if (end < IPV6_HEADER_BYTES + MESSAGE_BYTES || end > bytes.length) return undefined;
  if (bytes[6] !== NEXT_HEADER_ICMPV6 || bytes[7] !== HOP_LIMIT) return undefined;
  const whole = bytes.subarray(0, end);
  if (checksum(whole) !== 0) return undefined;
  return decodeMessage(whole);
}

function decodeMessage(bytes: Uint8Array): NeighbourMessage | undefined {
  const message = bytes.subarray(IPV6_HEADER_BYTES);
  const [type, code] = message;
  if (code !== 0) return undefined;
  const source = formatIp(bytes.subarray(8, 24));
  const target = formatIp(message.subarray(8, 24));
  if (type === SOLICITATION) return { kind: "solicitation", source, target };
  if (type !== ADVERTISEMENT) return undefined;
  const flags = message[4] ?? 0;
  return {
    kind: "advertisement",
    source,
    target,
    targetMac: findTargetMac(message.subarray(MESSAGE_BYTES)),
    router: (flags & FLAG_ROUTER) !== 0,
    solicited: (flags & FLAG_SOLICITED) !== 0,
    override: (flags & FLAG_OVERRIDE) !== 0,
  };
}

function findTargetMac(options: Uint8Array): Uint8Array | undefined {
  let at = 0;
  while (at + 8 <= options.length) {
    const length = (options[at + 1] ?? 0) * 8;
    // A length of zero would never end; RFC 4861 wants such a packet dropped.
    if (length === 0) return undefined;
    if (options[at] === OPTION_TARGET_MAC) return options.slice(at + 2, at + 8);
    at += length;
  }
  return undefined;
}
