/**
 * Owns one netlink socket for a connection: opens and configures it at its first use, sends,
 * drains the answers, and throws it away when an answer may still be on its way.
 */
import { setImmediate as nextLoopTurn } from "node:timers/promises";
import { throwIfAborted } from "../lib/abort.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { AbortedError } from "../lib/errors.ts";
import { ERRNO } from "./errno.ts";
import { NetlinkLostError, SocketError } from "./errors.ts";
import { NLMSG_NOOP, NLMSG_OVERRUN, type NetlinkMessage, forEachMessage } from "./messages.ts";
import type { Datagram, NetlinkSocket, NetlinkTransport } from "./transport.ts";
import { waitReadable } from "./wait-readable.ts";
import type { MessageWriter } from "./writer.ts";

export interface SessionOptions {
  readonly transport: NetlinkTransport;
  /** NETLINK_ROUTE or NETLINK_GENERIC. */
  readonly protocol: number;
  /** For example `/run/netns/director`; undefined = the process's own network namespace. */
  readonly netnsPath?: string | undefined;
  /** Room for answers; must hold a batch in which every message fails. Default 4 MiB. */
  readonly receiveBufferBytes?: number | undefined;
  /** Longest time without an answer that is due before it counts as lost. Default 250. */
  readonly silenceMs?: number | undefined;
  /** Let rtnetlink honour (and check) the filters of dump requests. */
  readonly strictDumps?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

/** What an exchange is about: the name begins every error, the signal ends every wait. */
export interface ExchangeContext {
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Sees each message of an exchange. Returns true when it was the last. */
export type Consumer = (message: NetlinkMessage) => boolean;

// uapi asm-generic/socket.h and linux/netlink.h
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** Reads of a long dump after which the event loop gets a turn. */
const READS_PER_LOOP_TURN = 4;

export class SocketSession {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #closing = new AbortController();
  #socket: NetlinkSocket | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#silenceMs = options.silenceMs ?? 250;
  }

  /** @throws SocketError EBADF after `close` */
  assertOpen(name: string): void {
    if (this.#closing.signal.aborted) throw closedError(name);
  }

  /** Forgets the socket; the next exchange opens another. */
  drop(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Drops the socket for good and ends a wait that is going on. */
  close(): void {
    this.#closing.abort();
    this.drop();
  }

  /**
   * Sends what the writer holds and feeds the answers to `consume` until it says that was all.
   * After any throw but the consumer's own verdict on the last answer, the caller must `drop`.
   * @throws NetlinkLostError, SocketError, AbortedError, NativeMissingError, WireFormatError
   */
  async exchange(
    context: ExchangeContext,
    writer: MessageWriter,
    consume: Consumer,
  ): Promise<void> {
    const socket = this.#open();
    const { length } = writer;
    const result = socket.send(writer.buffer, length);
    if (result < 0) throw new SocketError(`${context.name}: send`, -result);
    if (result !== length) throw new NetlinkLostError(context.name, "truncated");
    let silentSince: number | undefined;
    for (let reads = 1; ; reads++) {
      const datagrams = receive(socket, context.name);
      if (consumeAll(datagrams, context.name, consume)) return;
      if (datagrams.length > 0) {
        silentSince = undefined;
        if (reads % READS_PER_LOOP_TURN === 0) await this.#yield(context);
      } else {
        silentSince ??= this.#clock.monotonicMs();
        await this.#awaitMore(socket, context, silentSince);
      }
    }
  }

  #open(): NetlinkSocket {
    if (this.#socket !== undefined) return this.#socket;
    const { transport, protocol, netnsPath } = this.#options;
    const socket = transport.open(protocol, netnsPath);
    try {
      configure(socket, this.#options);
    } catch (error) {
      socket.close();
      throw error;
    }
    this.#socket = socket;
    return socket;
  }

  async #yield(context: ExchangeContext): Promise<void> {
    await nextLoopTurn();
    this.assertOpen(context.name);
    throwIfAborted(context.signal, context.name);
  }

  async #awaitMore(
    socket: NetlinkSocket,
    { name, signal }: ExchangeContext,
    silentSince: number,
  ): Promise<void> {
    const closing = this.#closing.signal;
    const milliseconds = silentSince + this.#silenceMs - this.#clock.monotonicMs();
    if (milliseconds <= 0) throw new NetlinkLostError(name, "silence");
    try {
      await waitReadable(socket, {
        milliseconds,
        signal: AbortSignal.any([signal, closing]),
        clock: this.#clock,
      });
    } catch (error) {
      this.assertOpen(name);
      if (!(error instanceof AbortedError)) throw error;
      throw new AbortedError(`${name}: aborted before the answer`, { cause: error.cause });
    }
  }
}

/** What a closed connection answers to everybody. */
export function closedError(name: string): SocketError {
  return new SocketError(name, ERRNO.EBADF, "the connection is closed");
}

/** @returns what is queued; empty when nothing is */
function receive(socket: NetlinkSocket, name: string): readonly Datagram[] {
  const received = socket.receive();
  if (typeof received !== "number") return received;
  if (received === -ERRNO.EAGAIN) return [];
  if (received === -ERRNO.ENOBUFS) throw new NetlinkLostError(name, "overrun");
  throw new SocketError(`${name}: receive`, -received);
}

function consumeAll(datagrams: readonly Datagram[], name: string, consume: Consumer): boolean {
  let complete = false;
  for (const { bytes, truncated } of datagrams) {
    if (truncated) throw new NetlinkLostError(name, "truncated");
    forEachMessage(bytes, (message) => {
      if (message.type === NLMSG_NOOP) return;
      // Nothing may follow the last answer; an overrun notice is not ours to interpret.
      if (complete) throw new NetlinkLostError(name, "confused");
      if (message.type === NLMSG_OVERRUN) throw new NetlinkLostError(name, "overrun");
      complete = consume(message);
    });
  }
  return complete;
}

function configure(socket: NetlinkSocket, options: SessionOptions): void {
  forceReceiveBuffer(socket, options.receiveBufferBytes ?? 4 * 1024 * 1024);
  must(socket, NETLINK_EXT_ACK, "NETLINK_EXT_ACK");
  must(socket, NETLINK_CAP_ACK, "NETLINK_CAP_ACK");
  if (options.strictDumps === true) must(socket, NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK");
}

function must(socket: NetlinkSocket, option: number, name: string): void {
  const result = socket.setOption(SOL_NETLINK, option, 1);
  if (result < 0) throw new SocketError(`setsockopt ${name}`, -result);
}

/**
 * Sets the receive buffer beyond the system's limit; without CAP_NET_ADMIN as far as allowed.
 * @throws SocketError
 */
export function forceReceiveBuffer(socket: NetlinkSocket, bytes: number): void {
  if (socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes) === 0) return;
  const result = socket.setOption(SOL_SOCKET, SO_RCVBUF, bytes);
  if (result < 0) throw new SocketError("setsockopt SO_RCVBUF", -result);
}
