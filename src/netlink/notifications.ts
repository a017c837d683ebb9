/**
 * Multicast notifications: hints that something changed. Some are lost whenever many come at once,
 * so a lost one is an event of its own, and the reader's answer to both is to read the state again.
 */
import { ERRNO } from "./errno.ts";
import { SocketError } from "./errors.ts";
import { type NetlinkMessage, forEachMessage } from "./messages.ts";
import { forceReceiveBuffer } from "./socket-session.ts";
import type { NetlinkSocket, NetlinkTransport } from "./transport.ts";

export interface NotificationOptions {
  readonly transport: NetlinkTransport;
  readonly protocol: number;
  /** Group numbers, for example RTNLGRP_IPV4_IFADDR = 5. */
  readonly groups: readonly number[];
  readonly netnsPath?: string | undefined;
  /** 1,000 address changes while the loop is busy overrun the default; 8 MiB hold them. */
  readonly receiveBufferBytes?: number | undefined;
  /** Each message; the payload is valid only inside. */
  onMessage(message: NetlinkMessage): void;
  /** Messages were lost, all queued ones have been delivered: read the state again. */
  onLost(): void;
  /** The socket is of no more use and closed; open another. */
  onFailed(error: Error): void;
}

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
/** Reads per event, so that a storm does not starve the loop. */
const READS_PER_EVENT = 8;

/** A subscription that lives until `close`. */
export class Notifications {
  readonly #options: NotificationOptions;
  readonly #socket: NetlinkSocket;
  #lost = false;
  #closed = false;

  /** @throws SocketError, NativeMissingError */
  constructor(options: NotificationOptions) {
    this.#options = options;
    this.#socket = options.transport.open(options.protocol, options.netnsPath);
    try {
      this.#subscribe();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Ends the subscription; safe to call again. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
  }

  #subscribe(): void {
    forceReceiveBuffer(this.#socket, this.#options.receiveBufferBytes ?? 8 * 1024 * 1024);
    for (const group of this.#options.groups) {
      const result = this.#socket.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
      if (result < 0) throw new SocketError(`join notification group ${group}`, -result);
    }
    this.#socket.watch(() => this.#onReadable());
  }

  #onReadable(): void {
    try {
      for (let reads = 0; reads < READS_PER_EVENT && !this.#closed; reads++) {
        if (this.#drainOnce()) return;
      }
      // Not by the watch alone: when the queue is empty by now, nothing would report the loss.
      if (!this.#closed) setImmediate(() => this.#onReadable());
    } catch (error) {
      this.close();
      this.#options.onFailed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** @returns true when the queue is empty */
  #drainOnce(): boolean {
    const received = this.#socket.receive();
    if (received === -ERRNO.ENOBUFS) {
      // What survived is still queued behind the error: deliver it, then say that some is missing.
      this.#lost = true;
      return false;
    }
    if (received === -ERRNO.EAGAIN) {
      this.#reportLoss();
      return true;
    }
    if (typeof received === "number") throw new SocketError("receive notification", -received);
    for (const { bytes, truncated } of received) {
      if (truncated) this.#lost = true;
      else forEachMessage(bytes, (message) => this.#options.onMessage(message));
    }
    return false;
  }

  #reportLoss(): void {
    if (!this.#lost) return;
    this.#lost = false;
    this.#options.onLost();
  }
}
