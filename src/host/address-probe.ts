/**
 * Asks the network whether another machine has an address, before we take it: ARP probes as in
 * RFC 5227, neighbour solicitations as in RFC 4862. The RFCs take 5 to 9 seconds, which suits a
 * host that joins a network; a director that takes a VIP over asks three times within one second,
 * because the owner, if there is one, is a running machine on the same wire that answers at once.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { ipFamily } from "../lib/ip-address.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6, PacketSocket } from "../netlink/packet-socket.ts";
import type { LinkFrame, LinkTransport } from "../netlink/transport.ts";
import { ETHERNET_BROADCAST, arpProbe, decodeArp, encodeArp } from "./arp-wire.ts";
import type { ObservedLink } from "./model.ts";
import { decodeNeighbourMessage, encodeProbe, solicitedNodeMac } from "./nd-wire.ts";
import { formatMac, parseMac } from "./wire.ts";

export interface ProbeTiming {
  /** Questions asked. */
  readonly probes: number;
  /** From one question to the next. */
  readonly intervalMs: number;
  /** After the last question. */
  readonly listenMs: number;
}

/** One second in all: questions at 0, 250 and 500 ms. */
export const DEFAULT_PROBE_TIMING: ProbeTiming = { probes: 3, intervalMs: 250, listenMs: 500 };

export type ProbeVerdict =
  { readonly kind: "free" } | { readonly kind: "occupied"; readonly macAddress: string };

export interface ProbeOptions {
  readonly transport: LinkTransport;
  readonly address: string;
  readonly link: ObservedLink;
  /** Link-layer addresses of this node: an answer from one of them is our own. */
  readonly ownMacs: ReadonlySet<string>;
  readonly timing?: ProbeTiming;
  readonly clock?: Clock;
  readonly netnsPath?: string | undefined;
}

/** Whether neighbours can be asked and told on this device at all. */
export function speaksToNeighbours(
  link: ObservedLink,
): link is ObservedLink & { readonly macAddress: string } {
  return !link.loopback && link.noArp !== true && link.macAddress !== undefined;
}

/** Link-layer addresses of all devices of a node. */
export function ownMacsOf(links: readonly ObservedLink[]): ReadonlySet<string> {
  return new Set(links.flatMap(({ macAddress }) => macAddress ?? []));
}

/**
 * Asks who has the address on the link. Somebody who asks for it himself at the same time counts
 * as an owner, as in RFC 5227. On a device without neighbours nobody can have it.
 * @throws SocketError EPERM without CAP_NET_RAW, ENETDOWN when the device is down, ENODEV when it
 *   is gone; AbortedError
 */
export async function probeAddress(
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<ProbeVerdict> {
  const { link, address } = options;
  if (!speaksToNeighbours(link)) return { kind: "free" };
  using question = ipFamily(address) === "IPv4" ? askArp(options, link) : askNd(options);
  const timing = options.timing ?? DEFAULT_PROBE_TIMING;
  for (let probe = 1; probe <= timing.probes; probe++) {
    question.ask();
    const waitMs = probe === timing.probes ? timing.listenMs : timing.intervalMs;
    const macAddress = await question.hear(waitMs, signal);
    if (macAddress !== undefined) return { kind: "occupied", macAddress };
  }
  return { kind: "free" };
}

/** One question that can be asked again and again. */
interface Question extends Disposable {
  ask(): void;
  /** @returns the link-layer address of the first owner that is heard */
  hear(waitMs: number, signal: AbortSignal): Promise<string | undefined>;
}

/** @returns the link-layer address of somebody who has, or wants, the address */
type Reader = (frame: LinkFrame) => string | undefined;

function askArp(options: ProbeOptions, link: { readonly macAddress: string }): Question {
  const { address } = options;
  const socket = openSocket(options, { etherType: ETHERTYPE_ARP });
  const probe = encodeArp(arpProbe(parseMac(link.macAddress), address));
  const read: Reader = ({ payload }) => {
    const packet = decodeArp(payload);
    if (packet === undefined) return undefined;
    const has = packet.senderIp === address;
    const wants = packet.senderIp === "0.0.0.0" && packet.targetIp === address;
    return has || wants ? formatMac(packet.senderMac) : undefined;
  };
  return question(socket, () => socket.send(probe, ETHERNET_BROADCAST), reader(options, read));
}

function askNd(options: ProbeOptions): Question {
  const { address } = options;
  const socket = openSocket(options, {
    etherType: ETHERTYPE_IPV6,
    filter: "neighbour-discovery",
  });
  try {
    // Others who ask for the same address ask there.
    socket.joinMulticast(solicitedNodeMac(address));
  } catch (error) {
    socket.close();
    throw error;
  }
  const probe = encodeProbe(address);
  const read: Reader = ({ payload, source }) => {
    const message = decodeNeighbourMessage(payload);
    if (message?.target !== address) return undefined;
    if (message.kind === "advertisement") return formatMac(message.targetMac ?? source);
    return message.source === "::" ? formatMac(source) : undefined;
  };
  const ask = (): void => socket.send(probe.payload, probe.destinationMac);
  return question(socket, ask, reader(options, read));
}

function openSocket(
  { transport, link, netnsPath, clock }: ProbeOptions,
  binding: { readonly etherType: number; readonly filter?: "neighbour-discovery" },
): PacketSocket {
  const interfaceIndex = link.index;
  return new PacketSocket(
    transport,
    { interfaceIndex, netnsPath, ...binding },
    clock ?? systemClock,
  );
}

/** Leaves out what this node sent itself. */
function reader({ ownMacs }: ProbeOptions, read: Reader): Reader {
  return (frame) => {
    if (frame.delivery === "outgoing" || ownMacs.has(formatMac(frame.source))) return undefined;
    const macAddress = read(frame);
    return macAddress === undefined || ownMacs.has(macAddress) ? undefined : macAddress;
  };
}

function question(socket: PacketSocket, ask: () => void, read: Reader): Question {
  return {
    ask,
    async hear(waitMs, signal) {
      const frame = await socket.first((f) => read(f) !== undefined, { waitMs, signal });
      return frame === undefined ? undefined : read(frame);
    },
    [Symbol.dispose]: () => socket.close(),
  };
}
