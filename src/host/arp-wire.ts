/** ARP for IPv4 over Ethernet (RFC 826; announcements and probes: RFC 5227), without link header. */
import { formatIp, parseIp } from "../lib/ip-address.ts";
import { viewOf } from "../netlink/byte-order.ts";

export const ETHERNET_BROADCAST: Uint8Array = new Uint8Array(6).fill(0xff);

const PACKET_BYTES = 28;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const OPERATIONS = ["request", "reply"] as const;

export interface ArpPacket {
  readonly operation: "request" | "reply";
  readonly senderMac: Uint8Array;
  /** 0.0.0.0 in a probe, so that nobody's cache is touched. */
  readonly senderIp: string;
  readonly targetMac: Uint8Array;
  readonly targetIp: string;
}

/** A question that claims nothing: who has the address? */
export function arpProbe(mac: Uint8Array, address: string): ArpPacket {
  return {
    operation: "request",
    senderMac: mac,
    senderIp: "0.0.0.0",
    targetMac: new Uint8Array(6),
    targetIp: address,
  };
}

/**
 * A claim that every neighbour's cache takes up. As a request, as RFC 5227 wants it; some devices
 * listen only to the reply.
 */
export function arpAnnouncement(
  mac: Uint8Array,
  address: string,
  operation: ArpPacket["operation"],
): ArpPacket {
  const targetMac = operation === "request" ? new Uint8Array(6) : ETHERNET_BROADCAST;
  return { operation, senderMac: mac, senderIp: address, targetMac, targetIp: address };
}

export function encodeArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(PACKET_BYTES);
  const view = viewOf(bytes);
  view.setUint16(0, HARDWARE_ETHERNET);
  view.setUint16(2, PROTOCOL_IPV4);
  bytes[4] = 6;
  bytes[5] = 4;
  view.setUint16(6, OPERATIONS.indexOf(packet.operation) + 1);
  bytes.set(packet.senderMac, 8);
  bytes.set(parseIp(packet.senderIp), 14);
  bytes.set(packet.targetMac, 18);
  bytes.set(parseIp(packet.targetIp), 24);
  return bytes;
}

/** Undefined for everything that is not an ARP request or reply for IPv4 over Ethernet. */
export function decodeArp(bytes: Uint8Array): ArpPacket | undefined {
  if (bytes.length < PACKET_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint16(0) !== HARDWARE_ETHERNET || view.getUint16(2) !== PROTOCOL_IPV4) {
    return undefined;
  }
  const operation = OPERATIONS[view.getUint16(6) - 1];
  if (bytes[4] !== 6 || bytes[5] !== 4 || operation === undefined) return undefined;
  return {
    operation,
    senderMac: bytes.slice(8, 14),
    senderIp: formatIp(bytes.subarray(14, 18)),
    targetMac: bytes.slice(18, 24),
    targetIp: formatIp(bytes.subarray(24, 28)),
  };
}
