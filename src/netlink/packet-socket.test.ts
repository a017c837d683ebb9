import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { AbortedError } from "../lib/errors.ts";
import { ERRNO } from "./errno.ts";
import { ETHERTYPE_ARP, PacketSocket } from "./packet-socket.ts";
import type { LinkFrame, LinkSocket, LinkTransport } from "./transport.ts";

const NEVER = new AbortController().signal;

class FakeLink implements LinkSocket, LinkTransport {
  readonly sent: Uint8Array[] = [];
  readonly buffer = new Uint8Array(4);
  result = 0;
  closed = 0;
  watched = false;
  readonly #queue: (number[] | number)[] = [];
  #onReadable: (() => void) | null = null;

  openLink(): LinkSocket {
    return this;
  }

  /** Payloads, or an errno that the next read reports. */
  push(...items: (number[] | number)[]): void {
    this.#queue.push(...items);
    this.#onReadable?.();
  }

  send(payload: Uint8Array): number {
    this.sent.push(payload);
    return this.result;
  }

  receive(): readonly LinkFrame[] | number {
    const next = this.#queue.shift();
    if (next === undefined) return -ERRNO.EAGAIN;
    if (typeof next === "number") return -next;
    this.buffer.set(next);
    return [
      {
        payload: this.buffer.subarray(0, next.length),
        truncated: false,
        interfaceIndex: 2,
        etherType: ETHERTYPE_ARP,
        delivery: "broadcast",
        source: Uint8Array.of(2, 0, 0, 0, 0, 1),
      },
    ];
  }

  joinMulticast(): number {
    return this.result;
  }

  watch(onReadable: (() => void) | null): void {
    this.watched = onReadable !== null;
    this.#onReadable = onReadable;
    if (this.#queue.length > 0) onReadable?.();
  }

  close(): void {
    this.closed += 1;
  }
}

function open(): { link: FakeLink; socket: PacketSocket } {
  const link = new FakeLink();
  return { link, socket: new PacketSocket(link, { interfaceIndex: 2, etherType: ETHERTYPE_ARP }) };
}

const is = (value: number) => (frame: LinkFrame) => frame.payload[0] === value;

describe("PacketSocket", () => {
  it("returns the first frame that matches, as a copy", async () => {
    const { link, socket } = open();
    link.push([1], [2], [3]);
    const frame = await socket.first(is(2), { waitMs: 50, signal: NEVER });
    link.buffer.fill(9);
    expect(frame?.payload).toEqual(Uint8Array.of(2));
  });

  it("goes on listening past frames that do not match", async () => {
    const { link, socket } = open();
    const found = socket.first(is(3), { waitMs: 1000, signal: NEVER });
    await delay(2);
    link.push([1]);
    await delay(2);
    link.push([3]);
    await expect(found).resolves.toMatchObject({ delivery: "broadcast" });
    expect(link.watched).toBe(false);
  });

  it("returns undefined when nothing came in time", async () => {
    const { link, socket } = open();
    link.push([1]);
    await expect(socket.first(is(2), { waitMs: 10, signal: NEVER })).resolves.toBeUndefined();
  });

  it("stops listening when the signal fires", async () => {
    const { socket } = open();
    const signal = AbortSignal.timeout(5);
    await expect(socket.first(is(2), { waitMs: 60_000, signal })).rejects.toThrow(AbortedError);
  });

  it("rejects who listens when it is closed, and whoever comes later", async () => {
    const { socket, link } = open();
    const listening = socket.first(is(2), { waitMs: 60_000, signal: NEVER });
    const outcome = listening.catch((error: unknown) => error);
    await delay(2);
    socket[Symbol.dispose]();
    expect(await outcome).toMatchObject({ errno: "EBADF" });
    const later = socket.first(is(2), { waitMs: 60_000, signal: NEVER });
    await expect(later).rejects.toMatchObject({ errno: "EBADF" });
    expect(link.closed).toBe(1);
  });

  it("throws what the socket says", async () => {
    const { link, socket } = open();
    link.push(ERRNO.ENETDOWN);
    const down = socket.first(is(2), { waitMs: 50, signal: NEVER });
    await expect(down).rejects.toMatchObject({ errno: "ENETDOWN" });
    link.result = -ERRNO.ENETDOWN;
    expect(() => socket.send(Uint8Array.of(1), new Uint8Array(6))).toThrow("send frame: ENETDOWN");
    expect(() => socket.joinMulticast(new Uint8Array(6))).toThrow("join multicast: ENETDOWN");
  });

  it("hands frames to the link as they are", () => {
    const { link, socket } = open();
    link.result = 3;
    socket.send(Uint8Array.of(1, 2, 3), new Uint8Array(6).fill(0xff));
    expect(link.sent).toEqual([Uint8Array.of(1, 2, 3)]);
  });
});
