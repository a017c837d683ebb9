import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forEachMessage } from "./messages.ts";
import { MessageWriter } from "./writer.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("MessageWriter", () => {
  // Header fields are in host order; these literals are for a little-endian machine.
  it("writes header, fixed part, attributes and padding as the kernel lays them out", () => {
    const writer = new MessageWriter(16);
    writer.begin(20, 0x605, 7);
    writer.u8(2);
    writer.u8(32);
    writer.u16(0);
    writer.u32(1);
    writer.attrBytes(2, Uint8Array.of(192, 0, 2, 1));
    writer.attrString(3, "lo");
    writer.end();
    expect(hex(writer.toBytes())).toBe(
      "28000000140005060700000000000000" +
        "0220000001000000" +
        "08000200c0000201" +
        "070003006c6f0000",
    );
  });

  it("gives every attribute its length and pads the last one too", () => {
    const writer = new MessageWriter();
    writer.begin(16, 1, 1);
    const token = writer.nest(1 | 0x8000);
    writer.attrU8(2, 9);
    writer.attrU16be(4, 80);
    writer.endNest(token);
    writer.end();
    expect(hex(writer.toBytes().subarray(16))).toBe(
      "14000180" + "0500020009000000" + "0600040000500000",
    );
  });

  it("leaves no trace of earlier bytes in padding after a reset", () => {
    const writer = new MessageWriter(64);
    writer.raw(new Uint8Array(64).fill(0xff));
    writer.reset();
    writer.begin(16, 1, 1);
    writer.attrU8(1, 1);
    writer.attrString(2, "abc");
    writer.attrU16(3, 2);
    writer.end();
    expect(hex(writer.toBytes().subarray(16))).toBe(
      "0500010001000000" + "0800020061626300" + "0600030002000000",
    );
  });

  it("writes text as UTF-8", () => {
    const writer = new MessageWriter();
    writer.text("aé");
    expect(hex(writer.toBytes())).toBe("61c3a900");
  });

  it.each([
    { name: "a byte of 256", write: (w: MessageWriter) => w.u8(256) },
    { name: "a port of 65536", write: (w: MessageWriter) => w.u16be(65_536) },
    { name: "a negative number as unsigned", write: (w: MessageWriter) => w.attrU32(1, -1) },
    { name: "2^32", write: (w: MessageWriter) => w.u32be(2 ** 32) },
    { name: "a fraction", write: (w: MessageWriter) => w.attrU8(1, 0.5) },
    { name: "NaN", write: (w: MessageWriter) => w.attrU16(1, Number.NaN) },
    { name: "2^31 as signed", write: (w: MessageWriter) => w.i32(2 ** 31) },
    { name: "2^64", write: (w: MessageWriter) => w.u64(2n ** 64n) },
    { name: "text with a NUL", write: (w: MessageWriter) => w.attrString(1, "a\0b") },
    { name: "UTF-8 text with a NUL", write: (w: MessageWriter) => w.attrString(1, "é\0b") },
    {
      name: "an attribute of 64 KiB",
      write: (w: MessageWriter) => w.attrBytes(1, new Uint8Array(65_532)),
    },
    {
      name: "a nest of 64 KiB",
      write: (w: MessageWriter) => {
        const token = w.nest(1);
        w.zeros(65_532);
        w.endNest(token);
      },
    },
  ])("refuses $name", ({ write }) => {
    expect(() => write(new MessageWriter())).toThrow(RangeError);
  });

  it("refuses to begin a message inside another and to end one that was not begun", () => {
    const writer = new MessageWriter();
    expect(() => writer.end()).toThrow("no message was begun");
    writer.begin(16, 1, 1);
    expect(() => writer.begin(16, 1, 2)).toThrow("the message before has no end");
  });

  it("sets flags of a message that has ended", () => {
    const writer = new MessageWriter();
    writer.begin(16, 1, 1);
    writer.end();
    const second = writer.begin(16, 1, 2);
    writer.end();
    writer.orFlags(second, 4);
    const flags: number[] = [];
    forEachMessage(writer.toBytes(), (message) => flags.push(message.flags));
    expect(flags).toEqual([1, 5]);
  });

  it("frames any messages so that walking them finds each with its payload", () => {
    const message = fc.record({
      type: fc.integer({ min: 16, max: 0xffff }),
      sequence: fc.integer({ min: 0, max: 0xffffffff }),
      payload: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
        const writer = new MessageWriter(16);
        for (const { type, sequence, payload } of messages) {
          writer.begin(type, 1, sequence);
          writer.raw(payload);
          writer.end();
        }
        const seen: object[] = [];
        forEachMessage(writer.toBytes(), ({ type, sequence, payload }) => {
          expect(payload.length % 4).toBe(0);
          seen.push({ type, sequence, payload });
        });
        expect(seen).toEqual(
          messages.map(({ type, sequence, payload }) => {
            const padded = new Uint8Array((payload.length + 3) & ~3);
            padded.set(payload);
            return { type, sequence, payload: padded };
          }),
        );
      }),
    );
  });
});
