import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  type AttributesOf,
  attributeSet,
  listOf,
  nested,
  nestedPartial,
  optional,
  required,
} from "./attributes.ts";
import {
  anyBytes,
  cString,
  flag,
  flagsWithMask,
  i32,
  inetAddress,
  ipAddress,
  rawBytes,
  u16,
  u16be,
  u32,
  u32be,
  u64,
  u8,
} from "./codecs.ts";
import { WireFormatError } from "./errors.ts";
import { MessageWriter } from "./writer.ts";

const INNER = attributeSet("INNER_ATTR", { ID: required(1, u32), NAME: optional(2, cString(16)) });
const ALL = attributeSet("ALL_ATTR", {
  U8: required(1, u8),
  U16: optional(2, u16),
  PORT: optional(3, u16be),
  U32: optional(4, u32),
  U32_BE: optional(5, u32be),
  I32: optional(6, i32),
  U64: optional(7, u64),
  FLAG: optional(8, flag),
  NAME: optional(9, cString(16)),
  MASK: optional(10, rawBytes(4)),
  BLOB: optional(11, anyBytes),
  ADDR: optional(12, inetAddress),
  ADDRESS: optional(13, ipAddress),
  FLAGS: optional(14, flagsWithMask),
  INNER: optional(15, nested(INNER)),
  PART: optional(16, nestedPartial(INNER, 0)),
  LIST: optional(17, listOf(INNER, "ALL_ATTR_LIST")),
});

function encode(values: AttributesOf<typeof ALL>): Uint8Array {
  const writer = new MessageWriter();
  ALL.encode(writer, values);
  return writer.toBytes();
}

const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 });
const name = fc.stringMatching(/^[a-z0-9é.]{0,7}$/);
const inner = fc.record({ ID: uint(32), NAME: name }, { requiredKeys: ["ID"] });
const everything = fc.record(
  {
    U8: uint(8),
    U16: uint(16),
    PORT: uint(16),
    U32: uint(32),
    U32_BE: uint(32),
    I32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    U64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    FLAG: fc.constant(true as const),
    NAME: name,
    MASK: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    BLOB: fc.uint8Array({ maxLength: 40 }),
    ADDR: fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    ),
    ADDRESS: fc.constantFrom("192.0.2.1", "2001:db8::1", "::", "0.0.0.0"),
    FLAGS: fc.record({ flags: uint(32), mask: uint(32) }),
    INNER: inner,
    PART: fc.record({ ID: uint(32), NAME: name }, { requiredKeys: [] }),
    LIST: fc.array(inner, { maxLength: 4 }),
  },
  { requiredKeys: ["U8"] },
);

describe("attributeSet", () => {
  it("infers required and optional keys", () => {
    type Inner = AttributesOf<typeof INNER>;
    expectTypeOf<Inner["ID"]>().toEqualTypeOf<number>();
    expectTypeOf<Inner["NAME"]>().toEqualTypeOf<string | undefined>();
    expectTypeOf<{ ID: number }>().toExtend<Inner>();
    expectTypeOf<{ NAME: string }>().not.toExtend<Inner>();
  });

  it("reads back whatever it writes", () => {
    fc.assert(
      fc.property(everything, (values) => {
        expect(ALL.decode(encode(values))).toEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  it("returns a value or throws WireFormatError for arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(210), (bytes, offset) => {
        onlyWireFormatErrors(() => ALL.decode(bytes, offset));
        onlyWireFormatErrors(() => ALL.decodePartial(bytes));
      }),
      { numRuns: 5000 },
    );
  });

  it("returns a value or throws WireFormatError for damaged messages", () => {
    fc.assert(
      fc.property(
        everything,
        fc.array(fc.tuple(fc.nat(400), uint(8)), { minLength: 1, maxLength: 4 }),
        fc.nat(400),
        (values, damage, cut) => {
          const bytes = encode(values);
          for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
          onlyWireFormatErrors(() => ALL.decode(bytes.subarray(0, cut)));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("reads a window of a larger buffer at any alignment", () => {
    const bytes = encode({ U8: 7, U64: 2n ** 60n, ADDRESS: "2001:db8::7", NAME: "näme" });
    for (let shift = 0; shift < 8; shift++) {
      const large = new Uint8Array(bytes.length + 16).fill(0xee);
      large.set(bytes, shift);
      expect(ALL.decode(large.subarray(shift, shift + bytes.length))).toEqual({
        U8: 7,
        U64: 2n ** 60n,
        ADDRESS: "2001:db8::7",
        NAME: "näme",
      });
    }
  });

  it("returns copies, not windows, of bytes it read", () => {
    const bytes = encode({ U8: 1, MASK: Uint8Array.of(1, 2, 3, 4), BLOB: Uint8Array.of(5) });
    const seen = ALL.decode(bytes);
    bytes.fill(0);
    expect(seen).toMatchObject({ MASK: Uint8Array.of(1, 2, 3, 4), BLOB: Uint8Array.of(5) });
  });

  it("skips unknown attributes, ignores flag bits of the number, and lets the last of two count", () => {
    const writer = new MessageWriter();
    writer.attrU32(999, 1);
    writer.attrU8(1, 1);
    writer.attrU8(1 | 0xc000, 2);
    expect(ALL.decode(writer.toBytes())).toEqual({ U8: 2 });
  });

  it("accepts a last attribute without its padding", () => {
    const writer = new MessageWriter();
    writer.attrU8(1, 3);
    expect(ALL.decode(writer.toBytes().subarray(0, 5))).toEqual({ U8: 3 });
  });

  it.each([
    { problem: "a required attribute that is missing", bytes: [], message: "ALL_ATTR_U8: missing" },
    {
      problem: "a wrong size",
      bytes: [6, 0, 1, 0, 1, 2, 0, 0],
      message: "ALL_ATTR_U8: 2 bytes instead of 1",
    },
    {
      problem: "an attribute longer than the message",
      bytes: [9, 0, 1, 0, 1, 2, 0, 0],
      message: "ALL_ATTR: an attribute of 9 bytes in 8",
    },
    {
      problem: "an attribute shorter than its header",
      bytes: [3, 0, 1, 0],
      message: "ALL_ATTR: an attribute of 3 bytes in 4",
    },
    {
      problem: "bytes that are no header",
      bytes: [5, 0, 1, 0, 1, 0, 0, 0, 1, 2],
      message: "ALL_ATTR: 2 bytes where an attribute header belongs",
    },
    {
      problem: "an address of six bytes",
      bytes: [10, 0, 12, 0, 1, 2, 3, 4, 5, 6],
      message: "ALL_ATTR_ADDR: an address of 6 bytes",
    },
    {
      problem: "text longer than the field",
      bytes: [21, 0, 9, 0, ...Array.from({ length: 17 }, () => 65)],
      message: "ALL_ATTR_NAME: 17 bytes of text, at most 16 expected",
    },
    {
      problem: "an error inside a nested attribute",
      bytes: [5, 0, 1, 0, 0, 0, 0, 0, 4, 0, 15, 0x80],
      message: "INNER_ATTR_ID: missing",
    },
  ])("names the attribute of $problem", ({ bytes, message }) => {
    expect(() => ALL.decode(Uint8Array.from(bytes))).toThrow(
      new WireFormatError(...split(message)),
    );
  });

  it("names the attribute of a value that cannot be written", () => {
    expect(() => encode({ U8: 256 })).toThrow("ALL_ATTR_U8: 256 is not an integer from 0 to 255");
    expect(() => encode({ U8: 1, NAME: "a-name-of-17-byte" })).toThrow("ALL_ATTR_NAME");
    expect(() => encode({ U8: 1, MASK: new Uint8Array(3) })).toThrow("ALL_ATTR_MASK");
    expect(() => encode({ U8: 1, ADDR: new Uint8Array(5) })).toThrow("ALL_ATTR_ADDR");
    expect(() => encode({ U8: 1, INNER: { ID: -1 } })).toThrow("ALL_ATTR_INNER: INNER_ATTR_ID");
  });

  it("writes a part of a table, and the whole only when it is whole", () => {
    const writer = new MessageWriter();
    INNER.encodePartial(writer, { NAME: "x" });
    expect(INNER.decodePartial(writer.toBytes())).toEqual({ NAME: "x" });
    // The compiler refuses this call; a caller that got past it must not reach the kernel.
    const incomplete = { NAME: "x" } as AttributesOf<typeof INNER>;
    expect(() => INNER.encode(writer, incomplete)).toThrow("INNER_ATTR_ID: missing");
  });

  it("sets the nested flag by default and leaves it out on request", () => {
    const bytes = encode({ U8: 1, INNER: { ID: 1 }, PART: {} });
    expect(Buffer.from(bytes).toString("hex")).toBe(
      "0500010001000000" + "0c000f80" + "0800010001000000" + "04001000",
    );
  });

  it("refuses a table that uses a number twice", () => {
    expect(() => attributeSet("X", { A: optional(1, u8), B: optional(1, u8) })).toThrow("X_B");
  });
});

function split(message: string): [attribute: string, problem: string] {
  const colon = message.indexOf(": ");
  return [message.slice(0, colon), message.slice(colon + 2)];
}

function onlyWireFormatErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(WireFormatError);
  }
}
