/**
 * Tells the neighbours that an address is here now: gratuitous ARP and unsolicited neighbour
 * advertisements, so that switches and caches follow a VIP that moved. Several times, because
 * nobody acknowledges them.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { ipFamily } from "../lib/ip-address.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6, PacketSocket } from "../netlink/packet-socket.ts";
import type { LinkTransport } from "../netlink/transport.ts";
import { speaksToNeighbours } from "./address-probe.ts";
import { ETHERNET_BROADCAST, arpAnnouncement, encodeArp } from "./arp-wire.ts";
import type { ObservedLink } from "./model.ts";
import { encodeAnnouncement } from "./nd-wire.ts";
import { parseMac } from "./wire.ts";

export interface AnnounceTiming {
  readonly rounds: number;
  /** From one round to the next. */
  readonly intervalMs: number;
}

/** At once, and again after half a second and one second. */
export const DEFAULT_ANNOUNCE_TIMING: AnnounceTiming = { rounds: 3, intervalMs: 500 };

export interface AnnounceOptions {
  readonly transport: LinkTransport;
  readonly link: ObservedLink;
  /** Addresses that are on the link now, of both families. */
  readonly addresses: readonly string[];
  /** Whether the node forwards IPv6 on this link; see encodeAnnouncement. */
  readonly router?: boolean;
  readonly timing?: AnnounceTiming;
  readonly clock?: Clock;
  readonly netnsPath?: string | undefined;
}

/**
 * Announces all addresses in each round. Sends nothing on a device without neighbours.
 * @returns rounds sent
 * @throws SocketError EPERM without CAP_NET_RAW, ENETDOWN when the device is down; AbortedError
 */
export async function announceAddresses(
  options: AnnounceOptions,
  signal: AbortSignal,
): Promise<number> {
  const { link, addresses } = options;
  if (!speaksToNeighbours(link) || addresses.length === 0) return 0;
  const mac = parseMac(link.macAddress);
  const ipv4 = addresses.filter((address) => ipFamily(address) === "IPv4");
  const ipv6 = addresses.filter((address) => ipFamily(address) === "IPv6");
  using sockets = new DisposableStack();
  const speakers: (() => void)[] = [];
  if (ipv4.length > 0) {
    const socket = sockets.use(openSocket(options, { etherType: ETHERTYPE_ARP }));
    speakers.push(() => sendArp(socket, mac, ipv4));
  }
  if (ipv6.length > 0) {
    const binding = { etherType: ETHERTYPE_IPV6, filter: "neighbour-discovery" } as const;
    const socket = sockets.use(openSocket(options, binding));
    speakers.push(() => sendNd(socket, mac, ipv6, options.router ?? false));
  }
  // Awaited here: the sockets close when this function ends.
  return await speakInRounds(speakers, options, signal);
}

async function speakInRounds(
  speakers: readonly (() => void)[],
  options: AnnounceOptions,
  signal: AbortSignal,
): Promise<number> {
  const { rounds, intervalMs } = options.timing ?? DEFAULT_ANNOUNCE_TIMING;
  const clock = options.clock ?? systemClock;
  for (let round = 1; round <= rounds; round++) {
    for (const speak of speakers) speak();
    if (round < rounds) await clock.sleep(intervalMs, signal);
  }
  return rounds;
}

function openSocket(
  { transport, link, netnsPath }: AnnounceOptions,
  binding: { readonly etherType: number; readonly filter?: "neighbour-discovery" },
): PacketSocket {
  return new PacketSocket(transport, { interfaceIndex: link.index, netnsPath, ...binding });
}

function sendArp(socket: PacketSocket, mac: Uint8Array, addresses: readonly string[]): void {
  for (const address of addresses) {
    for (const operation of ["request", "reply"] as const) {
      socket.send(encodeArp(arpAnnouncement(mac, address, operation)), ETHERNET_BROADCAST);
    }
  }
}

function sendNd(
  socket: PacketSocket,
  mac: Uint8Array,
  addresses: readonly string[],
  router: boolean,
): void {
  for (const address of addresses) {
    const { payload, destinationMac } = encodeAnnouncement(mac, address, router);
    socket.send(payload, destinationMac);
  }
}
