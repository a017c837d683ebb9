import { describe, expect, it } from "vitest";
import { NLA_F_NESTED } from "./attributes.ts";
import { NetlinkConnection } from "./connection.ts";
import { ERRNO } from "./errno.ts";
import { WireFormatError } from "./errors.ts";
import { GenericFamily, findFamily } from "./genetlink.ts";
import { NLM_F_ACK } from "./messages.ts";
import {
  type Reply,
  type ScriptedRequest,
  ScriptedTransport,
  ack,
  data,
  done,
} from "./testing/scripted-transport.ts";
import { MessageWriter } from "./writer.ts";

const NEVER = new AbortController().signal;
const CTRL = 16;

/** A kernel whose family "IPVS" has the number `familyId()`, undefined = no such family. */
function kernel(
  familyId: () => number | undefined,
  answer: (request: ScriptedRequest) => readonly Reply[],
): { family: GenericFamily; connection: NetlinkConnection; lookups: () => number } {
  let lookups = 0;
  const transport = new ScriptedTransport((requests) =>
    requests.flatMap((request) => {
      if (request.type === CTRL) {
        lookups += 1;
        return lookup(request, familyId());
      }
      if (request.type !== familyId()) return [ack(request, ERRNO.ENOENT)];
      return answer(request);
    }),
  );
  const connection = new NetlinkConnection({ transport, protocol: 16, silenceMs: 20 });
  const family = new GenericFamily(connection, { name: "IPVS", version: 1 });
  return { family, connection, lookups: () => lookups };
}

function lookup(request: ScriptedRequest, id: number | undefined): readonly Reply[] {
  if (id === undefined) return [ack(request, ERRNO.ENOENT)];
  const writer = new MessageWriter();
  writer.raw(Uint8Array.of(1, 2, 0, 0));
  writer.attrString(2, "IPVS");
  writer.attrU16(1, id);
  writer.attrU32(3, 1);
  const groups = writer.nest(7 | NLA_F_NESTED);
  const group = writer.nest(1 | NLA_F_NESTED);
  writer.attrU32(2, 5);
  writer.attrString(1, "changes");
  writer.endNest(group);
  writer.endNest(groups);
  return [data(request, writer.toBytes(), { flags: 0 }), ack(request)];
}

const onAck = (request: ScriptedRequest): readonly Reply[] =>
  (request.flags & NLM_F_ACK) === 0 ? [] : [ack(request)];
const commandOf = ({ command }: { command: number }): number => command;

describe("findFamily", () => {
  it("returns number, version and groups", async () => {
    const { connection } = kernel(() => 34, onAck);
    await expect(findFamily(connection, "IPVS", NEVER)).resolves.toEqual({
      id: 34,
      name: "IPVS",
      version: 1,
      groups: new Map([["changes", 5]]),
    });
  });

  it("returns undefined for a family that the kernel does not have", async () => {
    const { connection } = kernel(() => undefined, onAck);
    await expect(findFamily(connection, "IPVS", NEVER)).resolves.toBeUndefined();
  });
});

describe("GenericFamily", () => {
  it("writes command and version before the attributes and looks the number up once", async () => {
    const seen: number[][] = [];
    const { family, lookups } = kernel(
      () => 34,
      (request) => {
        seen.push([...request.payload]);
        return [data(request, Uint8Array.of(14, 1, 0, 0), { flags: 0 }), ack(request)];
      },
    );
    const get = { name: "GET_INFO", command: 15 };
    await expect(family.request(get, commandOf, NEVER)).resolves.toEqual([14]);
    const set = { ...get, command: 3, write: (w: MessageWriter) => w.attrU8(1, 9) };
    await family.request(set, commandOf, NEVER);
    expect(seen).toEqual([
      [15, 1, 0, 0],
      [3, 1, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0],
    ]);
    expect(lookups()).toBe(1);
  });

  it("looks the number up twice before it says that the family is missing", async () => {
    const ids = [undefined, 40];
    const { family } = kernel(() => (ids.length > 1 ? ids.shift() : ids[0]), onAck);
    await expect(family.id(NEVER)).resolves.toBe(40);
    const missing = kernel(() => undefined, onAck);
    await expect(missing.family.id(NEVER)).rejects.toMatchObject({
      code: "LVS_KERNEL_REJECTED",
      errno: "ENOENT",
      command: "find generic netlink family IPVS",
    });
  });

  it("repeats request, dump and batch after the module was loaded again", async () => {
    let id = 34;
    const { family } = kernel(
      () => id,
      (request) => ((request.flags & 0x300) === 0 ? onAck(request) : [done(request)]),
    );
    const request = { name: "x", command: 1 };
    const encoder = { command: () => 1, write: () => undefined };
    await family.id(NEVER);
    id = 35;
    await expect(family.request(request, commandOf, NEVER)).resolves.toEqual([]);
    id = 36;
    await expect(family.dump(request, commandOf, NEVER)).resolves.toEqual([]);
    id = 37;
    await expect(family.batch("x", [1, 2, 3], encoder, NEVER)).resolves.toEqual({
      sent: 3,
      failures: [],
    });
  });

  it("takes ENOENT for the command's own answer when the number is still right", async () => {
    const { family, lookups } = kernel(
      () => 34,
      (request) => [ack(request, ERRNO.ENOENT)],
    );
    const refused = family.request({ name: "NEW_SERVICE", command: 1 }, commandOf, NEVER);
    await expect(refused).rejects.toMatchObject({ command: "NEW_SERVICE", errno: "ENOENT" });
    expect(lookups()).toBe(2);
    const encoder = { command: () => 1, write: () => undefined };
    await expect(family.batch("x", [1, 2], encoder, NEVER)).resolves.toMatchObject({
      sent: 2,
      failures: [{ index: 0 }, { index: 1 }],
    });
  });

  it("throws WireFormatError for an answer without the family's header", async () => {
    const { family } = kernel(
      () => 34,
      (request) => [data(request, new Uint8Array(0)), ack(request)],
    );
    const broken = family.request({ name: "x", command: 1 }, commandOf, NEVER);
    await expect(broken).rejects.toThrow(WireFormatError);
  });
});
