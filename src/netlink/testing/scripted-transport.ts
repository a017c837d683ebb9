/**
 * A kernel as a function from a request to what the socket then delivers, for faults that the real
 * one shows only by chance: overruns, halves, silence, truncation.
 *
 *     const transport = new ScriptedTransport(([request]) => [ack(request)]);
 *     const transport = new ScriptedTransport(() => [{ errno: ERRNO.ENOBUFS }]);
 */
import { NLA_F_NESTED } from "../attributes.ts";
import { HOST_LITTLE_ENDIAN, viewOf } from "../byte-order.ts";
import { ERRNO } from "../errno.ts";
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_MULTI,
  type NetlinkMessage,
  forEachMessage,
} from "../messages.ts";
import type { Datagram, NetlinkSocket, NetlinkTransport } from "../transport.ts";
import { MessageWriter } from "../writer.ts";

/** A message as the kernel would see it; its payload is a copy. */
export type ScriptedRequest = NetlinkMessage;

/**
 * One delivery: a datagram, a datagram cut short, an error of the receive call, or `"pause"`: the
 * queue is empty for now and more follows later.
 */
export type Reply =
  Uint8Array | { readonly truncated: Uint8Array } | { readonly errno: number } | "pause";

/** Answers one send. @param socket 0 for the first socket that was opened, 1 for the next… */
export type Script = (requests: readonly ScriptedRequest[], socket: number) => readonly Reply[];

/** Opens sockets that answer by a script. */
export class ScriptedTransport implements NetlinkTransport {
  readonly sockets: ScriptedSocket[] = [];
  readonly #script: Script;
  /** Returned by the next sends instead of running the script: -errno or a byte count. */
  readonly sendResults: number[] = [];
  /** Result of `setOption` by option name (number); 0 for others. */
  readonly optionResults = new Map<number, number>();

  constructor(script: Script) {
    this.#script = script;
  }

  open(protocol: number, netnsPath?: string): ScriptedSocket {
    const number = this.sockets.length;
    const socket = new ScriptedSocket({
      portId: 1000 + number,
      protocol,
      netnsPath,
      answer: (requests) => this.#script(requests, number),
      sendResult: () => this.sendResults.shift(),
      optionResult: (name) => this.optionResults.get(name) ?? 0,
    });
    this.sockets.push(socket);
    return socket;
  }

  /** Sockets that nobody has closed. */
  get openSockets(): number {
    return this.sockets.filter((socket) => !socket.closed).length;
  }
}

interface Behaviour {
  readonly portId: number;
  readonly protocol: number;
  readonly netnsPath: string | undefined;
  readonly answer: (requests: readonly ScriptedRequest[]) => readonly Reply[];
  readonly sendResult: () => number | undefined;
  readonly optionResult: (name: number) => number;
}

/** One scripted socket; what was asked of it is on record. */
export class ScriptedSocket implements NetlinkSocket {
  readonly portId: number;
  readonly protocol: number;
  readonly netnsPath: string | undefined;
  readonly sends: (readonly ScriptedRequest[])[] = [];
  readonly options: { readonly level: number; readonly name: number; readonly value: number }[] =
    [];
  closed = false;
  watched = false;
  readonly #behaviour: Behaviour;
  readonly #queue: Reply[] = [];

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
    this.portId = behaviour.portId;
    this.protocol = behaviour.protocol;
    this.netnsPath = behaviour.netnsPath;
  }

  send(buffer: Uint8Array, length: number): number {
    if (this.closed) return -ERRNO.EBADF;
    const forced = this.#behaviour.sendResult();
    if (forced !== undefined) return forced;
    const requests: ScriptedRequest[] = [];
    forEachMessage(buffer.subarray(0, length), (message) => {
      requests.push({ ...message, payload: message.payload.slice() });
    });
    this.sends.push(requests);
    this.#queue.push(...this.#behaviour.answer(requests));
    return length;
  }

  /** Delivers something that no request asked for. */
  push(...replies: readonly Reply[]): void {
    this.#queue.push(...replies);
    this.#wake();
  }

  receive(): readonly Datagram[] | number {
    if (this.closed) return -ERRNO.EBADF;
    const datagrams: Datagram[] = [];
    for (;;) {
      const reply = this.#queue[0];
      // An error or an empty queue is reported by a call of its own, as recvmmsg does.
      const isData = reply instanceof Uint8Array || isTruncated(reply);
      if (!isData && datagrams.length > 0) return datagrams;
      this.#queue.shift();
      if (reply === undefined || reply === "pause") return -ERRNO.EAGAIN;
      if ("errno" in reply) return -reply.errno;
      datagrams.push(
        reply instanceof Uint8Array
          ? { bytes: reply, truncated: false }
          : { bytes: reply.truncated, truncated: true },
      );
    }
  }

  setOption(level: number, name: number, value: number): number {
    this.options.push({ level, name, value });
    return this.#behaviour.optionResult(name);
  }

  watch(onReadable: (() => void) | null): void {
    this.watched = onReadable !== null;
    this.#onReadable = onReadable;
    this.#wake();
  }

  close(): void {
    this.closed = true;
    this.watched = false;
    this.#onReadable = null;
  }

  #onReadable: (() => void) | null = null;

  #wake(): void {
    const onReadable = this.#onReadable;
    if (onReadable === null || this.#queue.length === 0) return;
    setImmediate(() => {
      if (this.#onReadable === onReadable) onReadable();
    });
  }
}

function isTruncated(reply: Reply | undefined): reply is { readonly truncated: Uint8Array } {
  return typeof reply === "object" && "truncated" in reply;
}

/** What the kernel puts into an ack or error. */
export interface AckContent {
  readonly text?: string;
  readonly attributeOffset?: number;
  /** Repeat the whole request, as without CAP_ACK. */
  readonly uncapped?: boolean;
}

/** Ack (errno 0) or error of one request. */
export function ack(
  request: ScriptedRequest | undefined,
  errno = 0,
  content: AckContent = {},
): Uint8Array {
  const of = present(request);
  const writer = new MessageWriter(256);
  const capped = content.uncapped === true ? 0 : NLM_F_CAPPED;
  writer.begin(NLMSG_ERROR, capped | tlvFlag(content), of.sequence);
  writer.i32(-errno);
  writer.u32(16 + of.payload.length);
  writer.u16(of.type);
  writer.u16(of.flags);
  writer.u32(of.sequence);
  writer.u32(0);
  if (content.uncapped === true && errno !== 0) writer.raw(of.payload);
  writeExtAck(writer, content);
  writer.end();
  return writer.toBytes();
}

/** One data message, part of a dump or the answer to a request. */
export function data(
  request: ScriptedRequest | undefined,
  payload: Uint8Array,
  { type, flags = NLM_F_MULTI }: { type?: number; flags?: number } = {},
): Uint8Array {
  const of = present(request);
  const writer = new MessageWriter(256);
  writer.begin(type ?? of.type, flags, of.sequence);
  writer.raw(payload);
  writer.end();
  return writer.toBytes();
}

/** End of a dump. */
export function done(
  request: ScriptedRequest | undefined,
  errno = 0,
  content: AckContent & { readonly flags?: number } = {},
): Uint8Array {
  const writer = new MessageWriter(256);
  const flags = NLM_F_MULTI | (content.flags ?? 0) | tlvFlag(content);
  writer.begin(NLMSG_DONE, flags, present(request).sequence);
  writer.i32(-errno);
  writeExtAck(writer, content);
  writer.end();
  return writer.toBytes();
}

/** Several messages in one datagram. */
export function joined(...messages: readonly Uint8Array[]): Uint8Array {
  const total = new Uint8Array(messages.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const message of messages) {
    total.set(message, at);
    at += message.length;
  }
  return total;
}

/** The same message under another sequence number. */
export function withSequence(message: Uint8Array, sequence: number): Uint8Array {
  const copy = message.slice();
  viewOf(copy).setUint32(8, sequence, HOST_LITTLE_ENDIAN);
  return copy;
}

function tlvFlag({ text, attributeOffset }: AckContent): number {
  return text === undefined && attributeOffset === undefined ? 0 : NLM_F_ACK_TLVS;
}

function writeExtAck(writer: MessageWriter, { text, attributeOffset }: AckContent): void {
  if (text !== undefined) writer.attrString(1, text);
  // The kernel sets no nested flag here; a reader must accept both.
  if (attributeOffset !== undefined) writer.attrU32(2 | NLA_F_NESTED, attributeOffset);
}

function present(request: ScriptedRequest | undefined): ScriptedRequest {
  if (request === undefined) throw new Error("the script answers a message that was not sent");
  return request;
}
