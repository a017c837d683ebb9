import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireFormatError } from "./errors.ts";
import { type NetlinkMessage, decodeDone, decodeError, forEachMessage } from "./messages.ts";
import { ack, done, joined } from "./testing/scripted-transport.ts";
import { MessageWriter } from "./writer.ts";

const REQUEST: NetlinkMessage = {
  type: 20,
  flags: 5,
  sequence: 9,
  portId: 0,
  payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
};

function only(bytes: Uint8Array): NetlinkMessage {
  const messages: NetlinkMessage[] = [];
  forEachMessage(bytes, (message) => messages.push(message));
  const [message] = messages;
  if (message === undefined || messages.length > 1) throw new Error("not exactly one message");
  return message;
}

describe("decodeError", () => {
  it("reads an ack as error 0 without text", () => {
    expect(decodeError(only(ack(REQUEST)))).toEqual({
      errno: 0,
      text: undefined,
      attributeOffset: undefined,
    });
  });

  it("reads the number and the kernel's text behind a repeated header", () => {
    const bytes = ack(REQUEST, 22, { text: "Invalid prefix", attributeOffset: 24 });
    expect(decodeError(only(bytes))).toEqual({
      errno: 22,
      text: "Invalid prefix",
      attributeOffset: 24,
    });
  });

  it("finds the text behind a repeated request", () => {
    const bytes = ack(REQUEST, 22, { text: "why", uncapped: true });
    expect(decodeError(only(bytes))).toMatchObject({ errno: 22, text: "why" });
  });
});

describe("decodeDone", () => {
  it("reads the error that ended a dump, with its text", () => {
    const bytes = done(REQUEST, 22, { text: "bad filter" });
    expect(decodeDone(only(bytes))).toMatchObject({ errno: 22, text: "bad filter" });
  });

  it("reads a positive status and no status at all as success", () => {
    const writer = new MessageWriter();
    writer.begin(3, 2, 9);
    writer.i32(12);
    writer.end();
    expect(decodeDone(only(writer.toBytes())).errno).toBe(0);
    expect(decodeDone({ ...REQUEST, type: 3, payload: new Uint8Array(0) }).errno).toBe(0);
  });
});

describe("forEachMessage", () => {
  it("visits each message of a datagram", () => {
    const seen: number[] = [];
    forEachMessage(joined(ack(REQUEST), ack({ ...REQUEST, sequence: 10 })), ({ sequence }) => {
      seen.push(sequence);
    });
    expect(seen).toEqual([9, 10]);
  });

  it.each([
    { problem: "less than a header", bytes: ack(REQUEST).subarray(0, 12) },
    { problem: "a message longer than the datagram", bytes: ack(REQUEST).subarray(0, 32) },
    {
      problem: "a length below a header",
      bytes: Uint8Array.of(4, ...Array.from({ length: 19 }, () => 0)),
    },
  ])("throws WireFormatError on $problem", ({ bytes }) => {
    expect(() => forEachMessage(bytes, () => undefined)).toThrow(WireFormatError);
  });

  it("with the two decoders returns or throws WireFormatError for arbitrary bytes", () => {
    const damaged = fc
      .tuple(fc.constantFrom(ack(REQUEST, 1, { text: "t" }), done(REQUEST, 1)), fc.nat(60))
      .chain(([bytes, cut]) =>
        fc
          .array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 4 })
          .map((damage) => {
            const copy = bytes.slice();
            for (const [at, value] of damage) copy[at] = value;
            return copy.subarray(0, cut);
          }),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), damaged), (bytes) => {
        try {
          forEachMessage(bytes, (message) => {
            decodeError(message);
            decodeDone(message);
          });
        } catch (error) {
          expect(error).toBeInstanceOf(WireFormatError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
