import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareIp,
  formatIp,
  HOST_PREFIX_LENGTH,
  ipFamily,
  ipScope,
  IpSyntaxError,
  isIp,
  networkOf,
  parseIp,
  parseIpPrefix,
  prefixContains,
} from "./ip-address.ts";

const ipv4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Many zero groups, so that `::` has choices to make. */
const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])))
  .filter((bytes) => !(bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff));
const addressBytes = fc.oneof(ipv4Bytes, ipv6Bytes);
const address = addressBytes.map(formatIp);

describe("canonical text", () => {
  it.each([
    "0.0.0.0",
    "10.10.0.100",
    "255.255.255.255",
    "::",
    "::1",
    "1::",
    "fd10::100",
    "2001:db8::1:0:0:1",
    "2001:db8:0:1:1:1:1:1",
    "1:2:3:4:5:6:7:8",
    "64:ff9b::c000:201",
  ])("%s is an address", (text) => {
    expect(isIp(text)).toBe(true);
    expect(formatIp(parseIp(text))).toBe(text);
  });

  it.each([
    { text: "", reason: "must be an IPv4 or IPv6 address" },
    { text: "10.0.0", reason: "must be an IPv4 or IPv6 address" },
    { text: " 10.0.0.1", reason: "must be an IPv4 or IPv6 address" },
    { text: "10.0.0.256", reason: "256 is more than 255" },
    { text: "10.0.0.01", reason: "01 has a leading zero" },
    { text: "10.0.0.1/32", reason: "must be an IPv4 or IPv6 address" },
    { text: "FD10::1", reason: "must be written fd10::1" },
    { text: "fd10:0::1", reason: "must be written fd10::1" },
    { text: "fd10::0001", reason: "must be written fd10::1" },
    { text: "1:0:0:2:0:0:0:3", reason: "must be written 1:0:0:2::3" },
    { text: "2001:db8::1:1:1:1:1", reason: "must be written 2001:db8:0:1:1:1:1:1" },
    { text: "1::2::3", reason: "may have `::` only once" },
    { text: "1:2:3:4:5:6:7", reason: "must have eight groups" },
    { text: "1:2:3:4:5:6:7:8:9", reason: "must have eight groups" },
    { text: "1:2:3:4::5:6:7:8", reason: "must have eight groups" },
    { text: "fd10::12345", reason: '"12345" is not a group of up to four hexadecimal digits' },
    { text: "fd10::g", reason: '"g" is not a group of up to four hexadecimal digits' },
    { text: ":fd10::1", reason: '"" is not a group of up to four hexadecimal digits' },
    { text: "fe80::1%eth0", reason: "may not have a zone identifier" },
    { text: "::ffff:10.0.0.1", reason: "may not embed an IPv4 address" },
    { text: "::ffff:a00:1", reason: "may not be an IPv4-mapped address" },
  ])("$text is refused: $reason", ({ text, reason }) => {
    expect(isIp(text)).toBe(false);
    expect(() => parseIp(text)).toThrow(IpSyntaxError);
    expect(() => parseIp(text)).toThrow(expect.objectContaining({ text, reason }));
  });

  it("survives a round trip through bytes, whatever the address", () => {
    fc.assert(
      fc.property(addressBytes, (bytes) => {
        expect(parseIp(formatIp(bytes))).toEqual(bytes);
      }),
    );
  });

  it("is what the URL standard writes for the same bytes", () => {
    fc.assert(
      fc.property(ipv6Bytes, (bytes) => {
        const text = formatIp(bytes);
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
  });

  it("accepts nothing that Node does not accept, and throws nothing but IpSyntaxError", () => {
    const character = fc.constantFrom(..."0123456789abcdefABF:.%/ ");
    const arbitrary = fc.string({ unit: character, maxLength: 40 });
    const almost = fc
      .tuple(address, fc.nat(40), fc.nat(2), fc.string({ unit: character, maxLength: 2 }))
      .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(arbitrary, almost), (text) => {
        try {
          parseIp(text);
        } catch (error) {
          expect(error).toBeInstanceOf(IpSyntaxError);
          return;
        }
        expect(isIP(text)).not.toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("prefixes", () => {
  it.each([
    { text: "0.0.0.0/0", family: "IPv4", address: "0.0.0.0", prefixLength: 0 },
    { text: "10.10.0.0/24", family: "IPv4", address: "10.10.0.0", prefixLength: 24 },
    { text: "10.10.0.7/32", family: "IPv4", address: "10.10.0.7", prefixLength: 32 },
    { text: "::/0", family: "IPv6", address: "::", prefixLength: 0 },
    { text: "fd10::/64", family: "IPv6", address: "fd10::", prefixLength: 64 },
  ])("$text is read", ({ text, ...prefix }) => {
    expect(parseIpPrefix(text)).toEqual(prefix);
  });

  it.each([
    { text: "10.10.0.0", reason: "must be an address, a slash and a prefix length" },
    { text: "10.10.0.1/24", reason: "must be written 10.10.0.0/24" },
    { text: "fd10::1/64", reason: "must be written fd10::/64" },
    { text: "10.10.0.0/33", reason: "prefix length must be 0 to 32" },
    { text: "fd10::/129", reason: "prefix length must be 0 to 128" },
    { text: "10.10.0.0/024", reason: "prefix length must be 0 to 32" },
    { text: "10.10.0.0/", reason: "prefix length must be 0 to 32" },
    { text: "10.10.0.0/24/8", reason: "prefix length must be 0 to 32" },
  ])("$text is refused: $reason", ({ text, reason }) => {
    expect(() => parseIpPrefix(text)).toThrow(expect.objectContaining({ text, reason }));
  });

  it("a network holds exactly what Node's block list says", () => {
    const pair = fc.oneof(fc.tuple(ipv4Bytes, ipv4Bytes), fc.tuple(ipv6Bytes, ipv6Bytes));
    fc.assert(
      fc.property(pair, fc.nat(128), fc.nat(16), ([base, random], length, changed) => {
        const prefixLength = Math.min(length, base.length * 8);
        // An address that shares some bytes with the base, so that both answers occur.
        const other = random.map((byte, i) => (i < changed ? (base[i] ?? 0) : byte));
        const prefix = networkOf(formatIp(base), prefixLength);
        const oracle = new BlockList();
        const family = prefix.family === "IPv4" ? "ipv4" : "ipv6";
        oracle.addSubnet(prefix.address, prefixLength, family);
        const text = formatIp(other);
        if (isIp(text)) expect(prefixContains(prefix, text)).toBe(oracle.check(text, family));
      }),
    );
  });

  it("a network is read back from its own text and holds the address it was made from", () => {
    fc.assert(
      fc.property(address, fc.nat(128), (text, length) => {
        const prefixLength = Math.min(length, HOST_PREFIX_LENGTH[ipFamily(text)]);
        const prefix = networkOf(text, prefixLength);
        expect(parseIpPrefix(`${prefix.address}/${prefixLength}`)).toEqual(prefix);
        expect(prefixContains(prefix, text)).toBe(true);
      }),
    );
  });

  it("holds no address of the other family", () => {
    expect(prefixContains(parseIpPrefix("0.0.0.0/0"), "::1")).toBe(false);
    expect(prefixContains(parseIpPrefix("::/0"), "10.0.0.1")).toBe(false);
  });
});

describe("order", () => {
  it("is by family, then by value", () => {
    const sorted = ["fd10::2", "10.0.0.10", "::1", "9.255.0.0", "fd10::10", "10.0.0.9"].toSorted(
      compareIp,
    );
    expect(sorted).toEqual(["9.255.0.0", "10.0.0.9", "10.0.0.10", "::1", "fd10::2", "fd10::10"]);
  });

  it("is total: antisymmetric, transitive, and equal only for the same text", () => {
    fc.assert(
      fc.property(address, address, address, (a, b, c) => {
        const sign = Math.sign(compareIp(a, b));
        expect(Math.sign(compareIp(b, a))).toBe(sign === 0 ? 0 : -sign);
        expect(sign === 0).toBe(a === b);
        const [x = "", y = "", z = ""] = [a, b, c].toSorted(compareIp);
        expect(compareIp(x, y)).toBeLessThanOrEqual(0);
        expect(compareIp(y, z)).toBeLessThanOrEqual(0);
        expect(compareIp(x, z)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe("scope", () => {
  it.each([
    ["0.0.0.0", "Unspecified"],
    ["::", "Unspecified"],
    ["127.0.0.1", "Loopback"],
    ["127.255.255.254", "Loopback"],
    ["::1", "Loopback"],
    ["169.254.0.1", "LinkLocal"],
    ["169.253.0.1", "Global"],
    ["fe80::1", "LinkLocal"],
    ["febf::1", "LinkLocal"],
    ["fec0::1", "Global"],
    ["224.0.0.18", "Multicast"],
    ["239.255.255.255", "Multicast"],
    ["240.0.0.1", "Global"],
    ["ff02::1", "Multicast"],
    ["255.255.255.255", "Broadcast"],
    ["10.10.0.100", "Global"],
    ["192.0.2.1", "Global"],
    ["fd10::100", "Global"],
    ["2001:db8::1", "Global"],
  ])("%s is %s", (text, scope) => {
    expect(ipScope(text)).toBe(scope);
  });
});
