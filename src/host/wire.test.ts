import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireFormatError } from "../netlink/errors.ts";
import { MessageWriter } from "../netlink/writer.ts";
import { aVip } from "./testing/builders.ts";
import { decodeAddress, decodeRoute, encodeNewAddress, encodeRouteLookup } from "./address-wire.ts";
import { IPV4_DEVCONF } from "./uapi.ts";
import { decodeLink, encodeLinkSetting, encodeNewLink, formatMac, parseMac } from "./wire.ts";

/** Payload of one message, as hexadecimal digits. */
function encoded(write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter();
  writer.begin(16, 1, 1);
  write(writer);
  writer.end();
  return Buffer.from(writer.toBytes().subarray(16)).toString("hex");
}

describe("requests", () => {
  it("adds an IPv4 address with its mark and without a prefix route", () => {
    const place = { interfaceIndex: 2, owner: "director" } as const;
    expect(encoded((w) => encodeNewAddress(w, aVip("192.0.2.1", "eth0"), place))).toBe(
      "0220000002000000" + // AF_INET, /32, interface 2
        "08000100c0000201" + // IFA_ADDRESS
        "08000200c0000201" + // IFA_LOCAL
        "0800080000020000" + // IFA_FLAGS: NOPREFIXROUTE
        "05000b004c000000", // IFA_PROTO: 'L'
    );
  });

  it("adds an IPv6 address deprecated and without duplicate address detection", () => {
    const place = { interfaceIndex: 1, owner: "realserver" } as const;
    const bytes = encoded((w) => encodeNewAddress(w, aVip("2001:db8::1", "lo"), place));
    expect(bytes.startsWith("0a80000001000000")).toBe(true);
    expect(bytes).toContain("0800080002020000");
    expect(bytes).toContain(`1400060000000000ffffffff${"00".repeat(8)}`);
    expect(bytes.endsWith("05000b0056000000")).toBe(true);
  });

  it("sets an interface setting inside three containers", () => {
    const setting = { interfaceName: "eth0", setting: 19, value: 1 };
    expect(IPV4_DEVCONF.get("arp_ignore")).toBe(19);
    expect(encoded((w) => encodeLinkSetting(w, setting))).toBe(
      "00".repeat(16) +
        "090003006574683000000000" + // IFLA_IFNAME
        "14001a80" + // IFLA_AF_SPEC, nested
        "10000280" + // AF_INET, nested
        "0c000180" + // IFLA_INET_CONF, nested
        "0800130001000000", // IPV4_DEVCONF_ARP_IGNORE = 1
    );
  });

  it("creates a device up", () => {
    expect(encoded((w) => encodeNewLink(w, { name: "tunl0", kind: "ipip" }))).toBe(
      "0000000000000000" +
        "0100000001000000" + // flags and mask: IFF_UP
        "0a00030074756e6c30000000" +
        "10001280" +
        "0900010069706970" +
        "00000000",
    );
  });

  it("asks for the route to one host", () => {
    expect(encoded((w) => encodeRouteLookup(w, "192.0.2.1"))).toBe(
      "02200000000000000000000008000100c0000201",
    );
  });
});

describe("replies", () => {
  it.each([
    ["decodeLink", decodeLink],
    ["decodeAddress", decodeAddress],
    ["decodeRoute", decodeRoute],
  ] as const)("%s reads any bytes or throws WireFormatError", (_name, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireFormatError);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("reads its own address of a pair, not the peer's", () => {
    const bytes = Buffer.from("021e000003000000080001000a00000208000200" + "0a000001", "hex");
    expect(decodeAddress(bytes)).toMatchObject({
      interfaceIndex: 3,
      address: { address: "10.0.0.1", prefixLength: 30, ours: false },
      hasProtocol: false,
    });
  });

  it("reads an address with the kernel's own mark as not ours", () => {
    const bytes = Buffer.from("020800800100000008000200" + "7f00000105000b0001000000", "hex");
    expect(decodeAddress(bytes)).toMatchObject({ address: { ours: false }, hasProtocol: true });
  });

  it("reads a route that discards packets as none", () => {
    expect(decodeRoute(Buffer.from("022000000000000600000000", "hex"))).toBeUndefined();
  });

  it("reads a route by a gateway of another family as not on-link", () => {
    const via = "0200000000000001" + "00000000" + "0800040002000000" + "0a0012000a00fe8000000000";
    expect(decodeRoute(Buffer.from(via, "hex"))).toEqual({
      local: false,
      onLink: false,
      interfaceIndex: 2,
    });
  });
});

describe("formatMac", () => {
  it("is read back by parseMac", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect(parseMac(formatMac(mac))).toEqual(mac);
      }),
    );
  });
});
