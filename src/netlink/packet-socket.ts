/**
 * Frames of one protocol on one interface: address probes, gratuitous ARP, neighbour
 * advertisements.
 *
 *     using socket = new PacketSocket(transport, { interfaceIndex, etherType: ETHERTYPE_ARP });
 *     socket.send(arpProbe, BROADCAST);
 *     const conflict = await socket.first((frame) => claims(frame.payload), { waitMs: 500, signal });
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { ERRNO } from "./errno.ts";
import { SocketError } from "./errors.ts";
import type { LinkBinding, LinkFrame, LinkSocket, LinkTransport } from "./transport.ts";
import { waitReadable } from "./wait-readable.ts";

export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;

/** How long and until whose word to listen. */
export interface ListenLimits {
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** One packet socket with a bounded wait. */
export class PacketSocket implements Disposable {
  readonly #socket: LinkSocket;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  /** @throws SocketError EPERM without CAP_NET_RAW, ENODEV without such an interface */
  constructor(transport: LinkTransport, binding: LinkBinding, clock: Clock = systemClock) {
    this.#socket = transport.openLink(binding);
    this.#clock = clock;
  }

  /**
   * Sends one frame; the kernel writes the link-layer header with the interface's own address.
   * @param payload from the network header on
   * @throws SocketError ENETDOWN when the interface is down
   */
  send(payload: Uint8Array, destination: Uint8Array): void {
    const result = this.#socket.send(payload, destination);
    if (result < 0) throw new SocketError("send frame", -result);
  }

  /** Also receive frames for this multicast link-layer address. @throws SocketError */
  joinMulticast(address: Uint8Array): void {
    const result = this.#socket.joinMulticast(address);
    if (result < 0) throw new SocketError("join multicast", -result);
  }

  /**
   * The first frame for which `match` is true, as a copy; undefined when none came in time. Frames
   * that were queued before the call count, frames that did not match are gone.
   * @throws SocketError when the interface goes away or the socket is closed; AbortedError
   */
  async first(
    match: (frame: LinkFrame) => boolean,
    { waitMs, signal }: ListenLimits,
  ): Promise<LinkFrame | undefined> {
    const end = this.#clock.monotonicMs() + waitMs;
    for (;;) {
      const found = this.#receive().find(match);
      if (found !== undefined) return { ...found, payload: found.payload.slice() };
      const milliseconds = end - this.#clock.monotonicMs();
      if (milliseconds <= 0) return undefined;
      await this.#awaitMore(milliseconds, signal);
    }
  }

  /** Closes the socket; somebody who listens gets SocketError EBADF. Safe to call again. */
  close(): void {
    this.#closing.abort();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #awaitMore(milliseconds: number, signal: AbortSignal): Promise<void> {
    const closing = this.#closing.signal;
    const either = AbortSignal.any([signal, closing]);
    try {
      await waitReadable(this.#socket, { milliseconds, signal: either, clock: this.#clock });
    } catch (error) {
      if (!closing.aborted) throw error;
      throw closedError();
    }
  }

  #receive(): readonly LinkFrame[] {
    if (this.#closing.signal.aborted) throw closedError();
    const received = this.#socket.receive();
    if (typeof received !== "number") return received;
    if (received === -ERRNO.EAGAIN) return [];
    throw new SocketError("receive frame", -received);
  }
}

function closedError(): SocketError {
  return new SocketError("receive frame", ERRNO.EBADF, "the socket is closed");
}
