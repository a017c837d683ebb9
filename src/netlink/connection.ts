/**
 * Requests and answers over one netlink socket.
 *
 *     const connection = new NetlinkConnection({ transport, protocol: NETLINK_ROUTE });
 *     const links = await connection.dump(
 *       { name: "list links", type: RTM_GETLINK, write: (w) => w.zeros(16) },
 *       (message) => decodeLink(message.payload),
 *       signal,
 *     );
 *     const { failures } = await connection.batch(addresses, {
 *       type: () => RTM_NEWADDR,
 *       flags: () => NLM_F_CREATE | NLM_F_EXCL,
 *       write: (writer, address) => encodeAddress(writer, address),
 *     }, signal);
 *
 * The kernel works inside `send`, so answers are queued when it returns. One exchange at a time;
 * others wait for their turn. Whatever leaves an answer unread (overrun, truncation, silence, an
 * abort, a decoder that throws) closes the socket, so that a late answer can never be taken for
 * the next one's; the next use opens another. Every promise settles: by the answer, the signal,
 * `silenceMs`, or `close`.
 *
 * Dumps are not snapshots: IPVS never says that it was interrupted, so de-duplicate by key and
 * never delete on one absence. Use one connection for commands and another for dumps.
 */
import { setImmediate as nextLoopTurn } from "node:timers/promises";
import { throwIfAborted } from "../lib/abort.ts";
import { errnoName } from "./errno.ts";
import { KernelRejectedError, NetlinkLostError } from "./errors.ts";
import {
  type KernelAnswer,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  type NetlinkMessage,
  decodeDone,
  decodeError,
} from "./messages.ts";
import { type SessionOptions, SocketSession, closedError } from "./socket-session.ts";
import { TurnQueue } from "./turn-queue.ts";
import { MessageWriter } from "./writer.ts";

/** How to reach the kernel; see SessionOptions for the fields. */
export type ConnectionOptions = SessionOptions;

/** One request. */
export interface NetlinkRequest {
  /** What we do, for people: it begins the message of every error. */
  readonly name: string;
  readonly type: number;
  /** Beyond NLM_F_REQUEST, NLM_F_ACK and NLM_F_DUMP, which the connection sets. */
  readonly flags?: number | undefined;
  /** Appends the family's fixed header and the attributes. */
  write(writer: MessageWriter): void;
}

/** How the items of a batch become messages. */
export interface MessageEncoder<T> {
  type(item: T): number;
  flags?(item: T): number;
  write(writer: MessageWriter, item: T): void;
}

/** A message of a batch that the kernel refused; all others were executed. */
export interface BatchFailure {
  /** Position in the list of items. */
  readonly index: number;
  /** Name of the errno, for example `EEXIST`. */
  readonly errno: string;
  /** The kernel's own text, where it has one. */
  readonly detail: string | undefined;
}

export interface BatchReport {
  /** Items that were handed to the kernel and answered; fewer than given only after an abort. */
  readonly sent: number;
  readonly failures: readonly BatchFailure[];
}

/** A batch is sent when it has one of these: larger is no faster, it only blocks longer. */
const BATCH_MESSAGES = 120;
const BATCH_BYTES = 14 * 1024;
/**
 * Sends after which the event loop gets a turn: some 400 commands, or less than a millisecond on
 * metal. A turn costs as much as the kernel's work on a quarter of that.
 */
const SENDS_PER_LOOP_TURN = 4;
const DUMP_ATTEMPTS = 8;
/** Exchanges after which the event loop gets a turn, although nothing ever waits for I/O. */
const EXCHANGES_PER_LOOP_TURN = 64;

interface BatchJob<T> {
  readonly name: string;
  readonly items: readonly T[];
  readonly encoder: MessageEncoder<T>;
  readonly signal: AbortSignal;
  readonly failures: BatchFailure[];
  readonly start: number;
}

export class NetlinkConnection {
  readonly #session: SocketSession;
  readonly #writer = new MessageWriter();
  readonly #turns = new TurnQueue();
  #sequence = 1;
  #exchanges = 0;

  constructor(options: ConnectionOptions) {
    this.#session = new SocketSession(options);
  }

  /**
   * Sends one request and waits for its ack.
   * @param decode called for each data message before the ack; the payload is valid only inside
   * @throws KernelRejectedError when the kernel answers an errno
   * @throws NetlinkLostError, SocketError, AbortedError, NativeMissingError
   */
  request<T>(
    request: NetlinkRequest,
    decode: (message: NetlinkMessage) => T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    const { name } = request;
    return this.#inTurn(name, signal, async () => {
      const values: T[] = [];
      const sequence = this.#encodeOne(request, NLM_F_ACK);
      await this.#session.exchange({ name, signal }, this.#writer, (message) => {
        assertSequence(name, message, sequence);
        if (message.type === NLMSG_ERROR) {
          throwOnErrno(name, decodeError(message));
          return true;
        }
        values.push(decode(message));
        return false;
      });
      return values;
    });
  }

  /**
   * Reads a whole list; repeats it when the kernel says that it changed meanwhile.
   * @throws as `request`; NetlinkLostError with reason `interrupted` when it never stood still
   */
  dump<T>(
    request: NetlinkRequest,
    decode: (message: NetlinkMessage) => T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    return this.#inTurn(request.name, signal, async () => {
      for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
        const { values, interrupted } = await this.#dumpOnce(request, decode, signal);
        if (!interrupted) return values;
        await nextLoopTurn();
        throwIfAborted(signal, request.name);
      }
      throw new NetlinkLostError(request.name, "interrupted");
    });
  }

  /**
   * Executes items in order, many per send, with an ack only on the last of each send. A refused
   * item stops neither its neighbours nor the next send. When the signal fires between two sends
   * the report says so by `sent`; before the first it throws.
   * @throws NetlinkLostError when answers are missing: any of the items may have been executed
   * @throws SocketError, AbortedError, NativeMissingError; RangeError from the encoder
   */
  batch<T>(
    name: string,
    items: readonly T[],
    encoder: MessageEncoder<T>,
    signal: AbortSignal,
  ): Promise<BatchReport> {
    return this.#inTurn(name, signal, async () => {
      const failures: BatchFailure[] = [];
      let sent = 0;
      for (let sends = 1; sent < items.length && !(signal.aborted && sent > 0); sends++) {
        sent = await this.#sendSome({ name, items, encoder, signal, failures, start: sent });
        if (sent < items.length && sends % SENDS_PER_LOOP_TURN === 0) await nextLoopTurn();
      }
      return { sent, failures };
    });
  }

  /** Closes the socket and rejects what is pending with SocketError EBADF. Safe to call again. */
  close(): void {
    this.#session.close();
    this.#turns.refuseAll(closedError("close"));
  }

  async #inTurn<T>(name: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    this.#session.assertOpen(name);
    return this.#turns.run(() => this.#perform(name, signal, task), signal, name);
  }

  async #perform<T>(name: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    this.#exchanges += 1;
    if (this.#exchanges % EXCHANGES_PER_LOOP_TURN === 0) await nextLoopTurn();
    this.#session.assertOpen(name);
    throwIfAborted(signal, name);
    try {
      return await task();
    } catch (error) {
      // A refusal ended its exchange and left the queue empty; after anything else an answer may
      // still arrive.
      if (!(error instanceof KernelRejectedError)) this.#session.drop();
      throw error;
    } finally {
      this.#writer.reset();
    }
  }

  #nextSequence(): number {
    return this.#sequence++;
  }

  #encodeOne(request: NetlinkRequest, flags: number): number {
    this.#wrapSequence();
    const sequence = this.#nextSequence();
    this.#writer.reset();
    this.#writer.begin(request.type, NLM_F_REQUEST | flags | (request.flags ?? 0), sequence);
    request.write(this.#writer);
    this.#writer.end();
    return sequence;
  }

  /** Never inside a batch, so that a difference of numbers is a position; 0 is notifications'. */
  #wrapSequence(): void {
    if (this.#sequence > 0xffffffff - BATCH_MESSAGES) this.#sequence = 1;
  }

  async #dumpOnce<T>(
    request: NetlinkRequest,
    decode: (message: NetlinkMessage) => T,
    signal: AbortSignal,
  ): Promise<{ values: readonly T[]; interrupted: boolean }> {
    const { name } = request;
    const values: T[] = [];
    let interrupted = false;
    const sequence = this.#encodeOne(request, NLM_F_DUMP);
    await this.#session.exchange({ name, signal }, this.#writer, (message) => {
      assertSequence(name, message, sequence);
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG_ERROR) {
        throwOnErrno(name, decodeError(message));
        return false;
      }
      if (message.type === NLMSG_DONE) {
        throwOnErrno(name, decodeDone(message));
        return true;
      }
      values.push(decode(message));
      return false;
    });
    return { values, interrupted };
  }

  /** Encodes and sends as many items as one send takes. @returns the index after the last */
  async #sendSome<T>(job: BatchJob<T>): Promise<number> {
    const { name, signal, failures, start } = job;
    const { end, first } = this.#encodeBatch(job);
    await this.#session.exchange({ name, signal }, this.#writer, (message) => {
      const index = start + message.sequence - first;
      if (index < start || index >= end || message.type !== NLMSG_ERROR) {
        throw new NetlinkLostError(name, "confused");
      }
      const { errno, text } = decodeError(message);
      if (errno !== 0) failures.push({ index, errno: errnoName(errno), detail: text });
      return index === end - 1;
    });
    return end;
  }

  #encodeBatch<T>({ items, encoder, start }: BatchJob<T>): { end: number; first: number } {
    this.#wrapSequence();
    const writer = this.#writer;
    const first = this.#sequence;
    const limit = Math.min(items.length, start + BATCH_MESSAGES);
    let lastOffset = 0;
    let end = start;
    writer.reset();
    while (end < limit && writer.length < BATCH_BYTES) {
      // `end` is below the length of the list.
      const item = items[end] as T;
      const flags = NLM_F_REQUEST | (encoder.flags?.(item) ?? 0);
      lastOffset = writer.begin(encoder.type(item), flags, this.#nextSequence());
      encoder.write(writer, item);
      writer.end();
      end += 1;
    }
    writer.orFlags(lastOffset, NLM_F_ACK);
    return { end, first };
  }
}

function assertSequence(name: string, message: NetlinkMessage, sequence: number): void {
  if (message.sequence !== sequence) throw new NetlinkLostError(name, "confused");
}

function throwOnErrno(name: string, answer: KernelAnswer): void {
  if (answer.errno === 0) return;
  throw new KernelRejectedError(name, errnoName(answer.errno), answer.text ?? "");
}
