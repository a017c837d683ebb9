import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arpAnnouncement, arpProbe, decodeArp, encodeArp } from "./arp-wire.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

describe("encodeArp", () => {
  it("writes a probe with nothing but the question in it", () => {
    const bytes = encodeArp(arpProbe(MAC, "192.0.2.1"));
    expect(Buffer.from(bytes).toString("hex")).toBe(
      "0001080006040001" + "020000000001" + "00000000" + "000000000000" + "c0000201",
    );
  });

  it.each([
    ["request", "0001", "000000000000"],
    ["reply", "0002", "ffffffffffff"],
  ] as const)("writes an announcement as a %s", (operation, code, target) => {
    const bytes = encodeArp(arpAnnouncement(MAC, "192.0.2.1", operation));
    expect(Buffer.from(bytes).toString("hex")).toBe(
      `000108000604${code}020000000001c0000201${target}c0000201`,
    );
  });
});

describe("decodeArp", () => {
  it("reads what encodeArp wrote, with the padding of a short frame behind it", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
    const packet = fc.record({
      operation: fc.constantFrom("request" as const, "reply" as const),
      senderMac: mac,
      senderIp: fc.ipV4(),
      targetMac: mac,
      targetIp: fc.ipV4(),
    });
    fc.assert(
      fc.property(packet, fc.nat({ max: 18 }), (arp, padding) => {
        const padded = Uint8Array.from([...encodeArp(arp), ...new Uint8Array(padding)]);
        expect(decodeArp(padded)).toEqual(arp);
      }),
    );
  });

  it("reads any bytes as a packet or as none", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeArp(bytes)));
  });

  it.each([
    ["another hardware", 1, 6],
    ["another protocol", 2, 0x86],
    ["another address length", 4, 8],
    ["another operation", 7, 3],
  ])("reads none for %s", (_what, at, value) => {
    const bytes = encodeArp(arpProbe(MAC, "192.0.2.1"));
    bytes[at] = value;
    expect(decodeArp(bytes)).toBeUndefined();
  });
});
