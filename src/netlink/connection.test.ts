import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { AbortedError } from "../lib/errors.ts";
import { NetlinkConnection } from "./connection.ts";
import { ERRNO } from "./errno.ts";
import { KernelRejectedError, NetlinkLostError, SocketError, WireFormatError } from "./errors.ts";
import { NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_REQUEST, type NetlinkMessage } from "./messages.ts";
import {
  type Reply,
  type Script,
  type ScriptedRequest,
  ScriptedTransport,
  ack,
  data,
  done,
  joined,
  withSequence,
} from "./testing/scripted-transport.ts";

const NEVER = new AbortController().signal;
const GET = { name: "get thing", type: 20, write: () => undefined };
const LIST = { name: "list things", type: 22, write: () => undefined };
const firstByte = ({ payload }: NetlinkMessage): number => payload[0] ?? -1;
const thing = (request: ScriptedRequest | undefined, value: number): Uint8Array =>
  data(request, Uint8Array.of(value, 0, 0, 0));

function connect(script: Script): { connection: NetlinkConnection; transport: ScriptedTransport } {
  const transport = new ScriptedTransport(script);
  return {
    transport,
    connection: new NetlinkConnection({ transport, protocol: 16, silenceMs: 20 }),
  };
}

/** Each item becomes one message of 20 + `payloadBytes` bytes. */
function addAll(
  connection: NetlinkConnection,
  items: readonly number[],
  { payloadBytes = 4, signal = NEVER }: { payloadBytes?: number; signal?: AbortSignal } = {},
): ReturnType<NetlinkConnection["batch"]> {
  const encoder = {
    type: () => 20,
    flags: () => 0x400,
    write(writer: { u32(value: number): void; zeros(count: number): void }, item: number): void {
      writer.u32(item);
      writer.zeros(payloadBytes);
    },
  };
  return connection.batch("add things", items, encoder, signal);
}

/** As the kernel: an answer for each failure, and for what asked for an ack. */
function executing(fails: (item: number) => number): Script {
  return (requests) =>
    requests.flatMap((request) => {
      const errno = fails(new DataView(request.payload.buffer).getUint32(0, true));
      return errno !== 0 || (request.flags & NLM_F_ACK) !== 0 ? [ack(request, errno)] : [];
    });
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("request", () => {
  it("returns the data that precedes the ack", async () => {
    const { connection } = connect(([r]) => [thing(r, 7), thing(r, 8), ack(r)]);
    await expect(connection.request(GET, firstByte, NEVER)).resolves.toEqual([7, 8]);
  });

  it("throws the kernel's error number and text, and keeps the socket", async () => {
    const { connection, transport } = connect(([r]) => [ack(r, ERRNO.EINVAL, { text: "why" })]);
    const error = await connection.request(GET, firstByte, NEVER).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(KernelRejectedError);
    expect(error).toMatchObject({ command: "get thing", errno: "EINVAL", detail: "why" });
    await connection.request(GET, firstByte, NEVER).catch(() => undefined);
    expect(transport.sockets).toHaveLength(1);
  });

  it("forces the receive buffer and asks for error texts without the echo", async () => {
    const { connection, transport } = connect(([r]) => [ack(r)]);
    await connection.request(GET, firstByte, NEVER);
    expect(transport.sockets[0]?.options).toEqual([
      { level: 1, name: 33, value: 4 * 1024 * 1024 },
      { level: 270, name: 11, value: 1 },
      { level: 270, name: 10, value: 1 },
    ]);
  });

  it("takes the buffer it may have where it may not force one", async () => {
    const { connection, transport } = connect(([r]) => [ack(r)]);
    transport.optionResults.set(33, -ERRNO.EPERM);
    await connection.request(GET, firstByte, NEVER);
    expect(transport.sockets[0]?.options[1]).toMatchObject({ level: 1, name: 8 });
  });

  it("closes a socket that it cannot configure", async () => {
    const { connection, transport } = connect(([r]) => [ack(r)]);
    transport.optionResults.set(11, -ERRNO.ENOPROTOOPT);
    const refused = connection.request(GET, firstByte, NEVER);
    await expect(refused).rejects.toMatchObject({ code: "LVS_SOCKET", errno: "ENOPROTOOPT" });
    expect(transport.openSockets).toBe(0);
  });

  it("waits for an answer that comes late", async () => {
    const { connection } = connect(([r]) => [thing(r, 7), "pause", "pause", ack(r)]);
    await expect(connection.request(GET, firstByte, NEVER)).resolves.toEqual([7]);
  });

  it("reports what the send call says", async () => {
    const { connection, transport } = connect(([r]) => [ack(r)]);
    transport.sendResults.push(-ERRNO.EMSGSIZE);
    await expect(connection.request(GET, firstByte, NEVER)).rejects.toMatchObject({
      code: "LVS_SOCKET",
      syscall: "get thing: send",
      errno: "EMSGSIZE",
    });
    expect(transport.openSockets).toBe(0);
  });
});

describe("loss", () => {
  const half: Script = ([r]) => [thing(r, 1)];
  const cases: readonly { name: string; script: Script; reason: string }[] = [
    { name: "an overrun", script: () => [{ errno: ERRNO.ENOBUFS }], reason: "overrun" },
    {
      name: "an overrun with answers still queued",
      script: ([r]) => [thing(r, 1), { errno: ERRNO.ENOBUFS }, ack(r)],
      reason: "overrun",
    },
    {
      name: "an overrun notice",
      script: ([r]) => [data(r, new Uint8Array(0), { type: 4 })],
      reason: "overrun",
    },
    { name: "no answer at all", script: () => [], reason: "silence" },
    { name: "a missing ack", script: half, reason: "silence" },
    {
      name: "a missing ack behind empty wake-ups",
      script: ([r]) => [thing(r, 1), ...Array.from({ length: 500 }, () => "pause" as const)],
      reason: "silence",
    },
    {
      name: "a truncated datagram",
      script: ([r]) => [{ truncated: thing(r, 1) }, ack(r)],
      reason: "truncated",
    },
    {
      name: "an answer with another's number",
      script: ([r]) => [withSequence(ack(r), 999)],
      reason: "confused",
    },
    {
      name: "an answer after the last",
      script: ([r]) => [joined(ack(r), thing(r, 1))],
      reason: "confused",
    },
  ];

  it.each(cases)("of $name closes the socket and says so", async ({ script, reason }) => {
    let lossy = true;
    const { connection, transport } = connect((requests, socket) =>
      lossy ? script(requests, socket) : [ack(requests[0])],
    );
    const error = await connection.request(GET, firstByte, NEVER).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NetlinkLostError);
    expect(error).toMatchObject({ code: "LVS_NETLINK_LOST", reason, retryable: true });
    expect(transport.openSockets).toBe(0);
    lossy = false;
    await expect(connection.request(GET, firstByte, NEVER)).resolves.toEqual([]);
    expect(transport.sockets).toHaveLength(2);
  });

  it("of a partly accepted send closes the socket", async () => {
    const { connection, transport } = connect(([r]) => [ack(r)]);
    transport.sendResults.push(3);
    const lost = connection.request(GET, firstByte, NEVER);
    await expect(lost).rejects.toMatchObject({ reason: "truncated" });
  });

  it("never lets a late answer meet the next request", async () => {
    const { connection } = connect(([r], socket) => (socket === 0 ? [] : [thing(r, 5), ack(r)]));
    await expect(connection.request(GET, firstByte, NEVER)).rejects.toThrow(NetlinkLostError);
    await expect(connection.request(GET, firstByte, NEVER)).resolves.toEqual([5]);
  });

  it("follows a decoder that throws, whose other answers stay unread", async () => {
    const { connection, transport } = connect(([r]) => [thing(r, 1), ack(r)]);
    const broken = connection.request(
      GET,
      () => {
        throw new WireFormatError("THING", "odd");
      },
      NEVER,
    );
    await expect(broken).rejects.toMatchObject({ code: "LVS_WIRE_FORMAT" });
    expect(transport.openSockets).toBe(0);
  });

  it("follows bytes that are no message", async () => {
    const { connection, transport } = connect(() => [Uint8Array.of(1, 2, 3)]);
    const broken = connection.request(GET, firstByte, NEVER);
    await expect(broken).rejects.toMatchObject({ code: "LVS_WIRE_FORMAT" });
    expect(transport.openSockets).toBe(0);
  });
});

describe("dump", () => {
  it("collects messages of many datagrams up to the end", async () => {
    const { connection } = connect(([r]) => [
      joined(thing(r, 1), thing(r, 2)),
      "pause",
      thing(r, 3),
      done(r),
    ]);
    await expect(connection.dump(LIST, firstByte, NEVER)).resolves.toEqual([1, 2, 3]);
  });

  it("throws the error that the end carries", async () => {
    const { connection } = connect(([r]) => [
      thing(r, 1),
      done(r, ERRNO.EINVAL, { text: "filter" }),
    ]);
    await expect(connection.dump(LIST, firstByte, NEVER)).rejects.toMatchObject({
      errno: "EINVAL",
      detail: "filter",
    });
  });

  it("throws the error that takes the place of the list", async () => {
    const { connection } = connect(([r]) => [ack(r, ERRNO.EBUSY)]);
    const refused = connection.dump(LIST, firstByte, NEVER);
    await expect(refused).rejects.toMatchObject({ errno: "EBUSY", retryable: true });
  });

  it("repeats a list that changed while it was read, wherever the flag stands", async () => {
    const tries: ((r: ScriptedRequest | undefined) => Reply[])[] = [
      (r) => [data(r, Uint8Array.of(1, 0, 0, 0), { flags: 2 | NLM_F_DUMP_INTR }), done(r)],
      (r) => [thing(r, 2), done(r, 0, { flags: NLM_F_DUMP_INTR })],
      (r) => [thing(r, 3), done(r)],
    ];
    const { connection } = connect(([r]) => tries.shift()?.(r) ?? []);
    await expect(connection.dump(LIST, firstByte, NEVER)).resolves.toEqual([3]);
  });

  it("gives up on a list that never stands still", async () => {
    const { connection } = connect(([r]) => [done(r, 0, { flags: NLM_F_DUMP_INTR })]);
    const lost = connection.dump(LIST, firstByte, NEVER);
    await expect(lost).rejects.toMatchObject({ reason: "interrupted" });
  });

  it("is given up when the signal fires between two reads", async () => {
    const stop = new AbortController();
    const { connection, transport } = connect(([r]) => [
      ...numbers(2000).flatMap((n) => [thing(r, n & 0xff), "pause" as const]),
      done(r),
    ]);
    const aborted = connection.dump(LIST, firstByte, stop.signal);
    setTimeout(() => stop.abort(), 5);
    await expect(aborted).rejects.toThrow(AbortedError);
    expect(transport.openSockets).toBe(0);
  });
});

describe("batch", () => {
  it("sends at most 120 messages and 16 KiB at once, with an ack on the last only", async () => {
    const { connection, transport } = connect(executing(() => 0));
    await expect(addAll(connection, numbers(250))).resolves.toEqual({ sent: 250, failures: [] });
    await addAll(connection, numbers(250), { payloadBytes: 200 });
    const sends = transport.sockets[0]?.sends ?? [];
    expect(sends.slice(0, 3).map((requests) => requests.length)).toEqual([120, 120, 10]);
    for (const requests of sends) {
      const bytes = requests.reduce((sum, { payload }) => sum + 16 + payload.length, 0);
      expect(bytes).toBeLessThanOrEqual(16 * 1024);
      const flags = requests.map((request) => request.flags & ~0x400);
      expect(flags.pop()).toBe(NLM_F_REQUEST | NLM_F_ACK);
      expect(new Set(flags)).toEqual(new Set([NLM_F_REQUEST]));
    }
  });

  it("names exactly the refused items, whichever they are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.nat(2 ** 30), async (count, seed) => {
        const refuses = (item: number): number =>
          ((item * 2654435761) ^ seed) % 5 === 0 ? ERRNO.EEXIST : 0;
        const { connection } = connect(executing(refuses));
        const report = await addAll(connection, numbers(count));
        expect(report.sent).toBe(count);
        expect(report.failures).toEqual(
          numbers(count)
            .filter((item) => refuses(item) !== 0)
            .map((index) => ({ index, errno: "EEXIST", detail: undefined })),
        );
      }),
      { numRuns: 30 },
    );
  });

  it("does nothing for an empty list", async () => {
    const { connection, transport } = connect(executing(() => 0));
    await expect(addAll(connection, [])).resolves.toEqual({ sent: 0, failures: [] });
    expect(transport.sockets).toHaveLength(0);
  });

  it("lets the event loop turn every few sends", async () => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      if (turns < 100) setImmediate(count);
    };
    const { connection } = connect(executing(() => 0));
    setImmediate(count);
    await addAll(connection, numbers(4800));
    expect(turns).toBeGreaterThanOrEqual(9);
  });

  it("is lost when failures were answered and the last ack was not", async () => {
    const { connection, transport } = connect((requests) => [
      ack(requests[2], ERRNO.EEXIST),
      { errno: ERRNO.ENOBUFS },
    ]);
    await expect(addAll(connection, numbers(10))).rejects.toMatchObject({ reason: "overrun" });
    expect(transport.openSockets).toBe(0);
  });

  it("is lost when an answer is for a message of another send", async () => {
    const { connection } = connect(([first]) => [withSequence(ack(first), 0)]);
    await expect(addAll(connection, numbers(10))).rejects.toMatchObject({ reason: "confused" });
  });

  it("reports how far it came when the signal fires between two sends", async () => {
    const stop = new AbortController();
    const { connection, transport } = connect((requests) => {
      stop.abort();
      return [ack(requests.at(-1))];
    });
    const report = await addAll(connection, numbers(300), { signal: stop.signal });
    expect(report.sent).toBe(120);
    expect(transport.openSockets).toBe(1);
  });

  it("numbers messages so that none is 0 and a batch never wraps", async () => {
    const { connection, transport } = connect(executing(() => 0));
    for (let i = 0; i < 3; i++) await addAll(connection, numbers(120));
    const sequences = (transport.sockets[0]?.sends ?? []).flat().map((request) => request.sequence);
    expect(sequences).toEqual(numbers(360).map((n) => n + 1));
  });
});

describe("turns", () => {
  it("are taken in order, one exchange at a time", async () => {
    let inside = 0;
    const { connection } = connect(([r]) => {
      inside += 1;
      return [thing(r, inside), "pause", ack(r)];
    });
    const all = numbers(20).map(() => connection.request(GET, firstByte, NEVER));
    await expect(Promise.all(all)).resolves.toEqual(numbers(20).map((n) => [n + 1]));
  });

  it("pass over a caller that gave up waiting", async () => {
    const stop = new AbortController();
    const { connection, transport } = connect(([r]) => ["pause", ack(r)]);
    const first = connection.request(GET, firstByte, NEVER);
    const second = connection.request(GET, firstByte, stop.signal);
    const third = connection.request(GET, firstByte, NEVER);
    stop.abort();
    await expect(second).rejects.toThrow(AbortedError);
    await Promise.all([first, third]);
    expect(transport.sockets[0]?.sends).toHaveLength(2);
  });

  it("go on after a loss", async () => {
    const { connection } = connect(([r], socket) => (socket === 0 ? [] : [ack(r)]));
    const first = connection.request(GET, firstByte, NEVER);
    const second = connection.request(GET, firstByte, NEVER);
    await expect(first).rejects.toThrow(NetlinkLostError);
    await expect(second).resolves.toEqual([]);
  });
});

describe("abort and close", () => {
  it("refuses a signal that has already fired, without a socket", async () => {
    const { connection, transport } = connect(() => []);
    const refused = connection.request(GET, firstByte, AbortSignal.abort());
    await expect(refused).rejects.toThrow(AbortedError);
    expect(transport.sockets).toHaveLength(0);
  });

  it("ends a wait when the signal fires, and closes the socket", async () => {
    const stop = new AbortController();
    const transport = new ScriptedTransport(() => []);
    const connection = new NetlinkConnection({ transport, protocol: 0, silenceMs: 60_000 });
    const waiting = connection.request(GET, firstByte, stop.signal);
    await delay(5);
    stop.abort(new Error("shutdown"));
    await expect(waiting).rejects.toThrow(AbortedError);
    expect(transport.openSockets).toBe(0);
    expect(transport.sockets[0]?.watched).toBe(false);
  });

  it("rejects what waits for an answer, what waits for its turn, and what comes later", async () => {
    const transport = new ScriptedTransport(() => []);
    const connection = new NetlinkConnection({ transport, protocol: 0, silenceMs: 60_000 });
    const all = [
      connection.request(GET, firstByte, NEVER),
      connection.dump(LIST, firstByte, NEVER),
      addAll(connection, numbers(3)),
    ];
    const settled = Promise.allSettled(all);
    await delay(5);
    connection.close();
    connection.close();
    for (const result of await settled) {
      expect(result).toMatchObject({ status: "rejected", reason: { errno: "EBADF" } });
    }
    await expect(connection.request(GET, firstByte, NEVER)).rejects.toThrow(SocketError);
    expect(transport.openSockets).toBe(0);
  });

  it("never leaves a promise unsettled, whatever the kernel does", async () => {
    const reply = fc.constantFrom(
      "thing",
      "ack",
      "error",
      "done",
      "pause",
      "cut",
      "overrun",
      "junk",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(reply, { maxLength: 6 }), { maxLength: 6 }),
        async (plan) => {
          const script = plan.slice();
          const transport = new ScriptedTransport(([r]) =>
            (script.shift() ?? []).map((k) => make(k, r)),
          );
          const connection = new NetlinkConnection({ transport, protocol: 0, silenceMs: 2 });
          const all = [
            connection.request(GET, firstByte, NEVER),
            connection.dump(LIST, firstByte, NEVER),
            addAll(connection, numbers(130)),
            connection.request(GET, firstByte, AbortSignal.timeout(1)),
          ];
          const results = await Promise.allSettled(all);
          for (const result of results) {
            if (result.status === "rejected") expect(result.reason).toHaveProperty("code");
          }
          expect(transport.openSockets).toBeLessThanOrEqual(1);
          connection.close();
          expect(transport.openSockets).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("silence", () => {
  it("is measured from the last answer, by the injected clock", async () => {
    const transport = new ScriptedTransport(([r]) => [thing(r, 1)]);
    let now = 0;
    const clock = {
      ...systemClock,
      monotonicMs: () => now,
      sleep: (milliseconds: number) => {
        now += milliseconds;
        return Promise.resolve();
      },
    };
    const connection = new NetlinkConnection({
      transport,
      protocol: 0,
      silenceMs: 3_600_000,
      clock,
    });
    const lost = connection.request(GET, firstByte, NEVER);
    await expect(lost).rejects.toMatchObject({ reason: "silence" });
    expect(now).toBe(3_600_000);
  });
});

function make(kind: string, request: ScriptedRequest | undefined): Reply {
  switch (kind) {
    case "ack":
      return ack(request);
    case "error":
      return ack(request, ERRNO.EEXIST);
    case "done":
      return done(request);
    case "cut":
      return { truncated: thing(request, 1) };
    case "overrun":
      return { errno: ERRNO.ENOBUFS };
    case "junk":
      return Uint8Array.of(1, 2, 3);
    case "pause":
      return "pause";
    default:
      return thing(request, 1);
  }
}
