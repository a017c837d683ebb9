/**
 * IP addresses and prefixes as canonical text. The rest of the code compares, keys and sorts on
 * this one spelling: dotted decimal without leading zeros, and RFC 5952 for IPv6. IPv4-mapped
 * IPv6, zone identifiers and every other spelling are refused rather than normalised, because an
 * address that has two spellings is two keys.
 */
import { LvsError } from "./errors.ts";

/** Address family in the words of the API. */
export type IpFamily = "IPv4" | "IPv6";

/** The text is not a canonical address or prefix; `reason` says what is wrong, for a person. */
export class IpSyntaxError extends LvsError {
  override readonly name = "IpSyntaxError";
  readonly code = "LVS_ADDRESS_SYNTAX";
  readonly retryable = false;
  readonly text: string;
  readonly reason: string;
  constructor(text: string, reason: string) {
    super(`"${text}": ${reason}`);
    this.text = text;
    this.reason = reason;
  }
}

/** A network: `address` has no bits set below `prefixLength`. */
export interface IpPrefix {
  readonly family: IpFamily;
  readonly address: string;
  readonly prefixLength: number;
}

/** Bits in an address of the family: the prefix length of a single host. */
export const HOST_PREFIX_LENGTH: Readonly<Record<IpFamily, number>> = { IPv4: 32, IPv6: 128 };

/** Family by spelling alone; the text must already be known to be an address. */
export function ipFamily(address: string): IpFamily {
  return address.includes(":") ? "IPv6" : "IPv4";
}

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/**
 * Network-order bytes of a canonical address: 4 for IPv4, 16 for IPv6.
 * @throws IpSyntaxError when the text is not an address, or is one in another spelling
 */
export function parseIp(text: string): Uint8Array {
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  const canonical = formatIp(bytes);
  if (canonical !== text) throw new IpSyntaxError(text, `must be written ${canonical}`);
  return bytes;
}

/** Whether the text is a canonical address. */
export function isIp(text: string): boolean {
  try {
    parseIp(text);
    return true;
  } catch {
    return false;
  }
}

function parseIpv4(text: string): Uint8Array {
  const match = IPV4.exec(text);
  if (match === null) throw new IpSyntaxError(text, "must be an IPv4 or IPv6 address");
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = match[i + 1] ?? "";
    const value = Number(part);
    if (value > 255) throw new IpSyntaxError(text, `${part} is more than 255`);
    if (part.length > 1 && part.startsWith("0")) {
      throw new IpSyntaxError(text, `${part} has a leading zero`);
    }
    bytes[i] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array {
  if (text.includes("%")) throw new IpSyntaxError(text, "may not have a zone identifier");
  if (text.includes(".")) throw new IpSyntaxError(text, "may not embed an IPv4 address");
  const halves = text.split("::");
  if (halves.length > 2) throw new IpSyntaxError(text, "may have `::` only once");
  const head = splitGroups(halves[0] ?? "");
  const tail = splitGroups(halves[1] ?? "");
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) {
    throw new IpSyntaxError(text, "must have eight groups");
  }
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) {
      throw new IpSyntaxError(text, `"${group}" is not a group of up to four hexadecimal digits`);
    }
    const value = Number.parseInt(group, 16);
    bytes[2 * i] = value >> 8;
    bytes[2 * i + 1] = value & 0xff;
  });
  if (isIpv4Mapped(bytes)) throw new IpSyntaxError(text, "may not be an IPv4-mapped address");
  return bytes;
}

function splitGroups(text: string): readonly string[] {
  return text === "" ? [] : text.split(":");
}

function isIpv4Mapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Canonical text of 4 or 16 network-order bytes (RFC 5952: lower case, longest zero run as `::`). */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  let length = 0;
  groups.forEach((group, i) => {
    if (group !== 0) {
      length = 0;
      return;
    }
    if (length === 0) start = i;
    length += 1;
    if (length > best.length) best = { start, length };
  });
  return best;
}

/**
 * Reads `192.0.2.0/24`. The host part must be zero.
 * @throws IpSyntaxError
 */
export function parseIpPrefix(text: string): IpPrefix {
  const slash = text.indexOf("/");
  if (slash < 0) throw new IpSyntaxError(text, "must be an address, a slash and a prefix length");
  const address = text.slice(0, slash);
  const digits = text.slice(slash + 1);
  const bytes = parseIp(address);
  const family = ipFamily(address);
  const prefixLength = Number(digits);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || prefixLength > HOST_PREFIX_LENGTH[family]) {
    throw new IpSyntaxError(text, `prefix length must be 0 to ${HOST_PREFIX_LENGTH[family]}`);
  }
  const network = formatIp(maskBytes(bytes, prefixLength));
  if (network !== address) throw new IpSyntaxError(text, `must be written ${network}/${digits}`);
  return { family, address, prefixLength };
}

/** The network of `prefixLength` bits that holds the address. */
export function networkOf(address: string, prefixLength: number): IpPrefix {
  const network = formatIp(maskBytes(parseIp(address), prefixLength));
  return { family: ipFamily(address), address: network, prefixLength };
}

function maskBytes(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, i) => {
    const keep = Math.min(8, Math.max(0, prefixLength - 8 * i));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
}

/** Whether the prefix holds the address; false for another family. */
export function prefixContains(prefix: IpPrefix, address: string): boolean {
  if (prefix.family !== ipFamily(address)) return false;
  return networkOf(address, prefix.prefixLength).address === prefix.address;
}

/** Order by family (IPv4 first), then by value: the canonical order of destinations and VIPs. */
export function compareIp(a: string, b: string): number {
  if (a === b) return 0;
  const left = parseIp(a);
  const right = parseIp(b);
  if (left.length !== right.length) return left.length - right.length;
  for (let i = 0; i < left.length; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What kind of address this is, as far as the API cares. */
export type IpScope =
  "Global" | "Unspecified" | "Loopback" | "LinkLocal" | "Multicast" | "Broadcast";

/**
 * Scope of a canonical address. Private and documentation networks count as Global, as they do for
 * `isGlobalUnicast` of the API server's CEL library.
 */
export function ipScope(address: string): IpScope {
  const bytes = parseIp(address);
  if (bytes.every((b) => b === 0)) return "Unspecified";
  return bytes.length === 4 ? ipv4Scope(bytes) : ipv6Scope(bytes);
}

function ipv4Scope(bytes: Uint8Array): IpScope {
  const [first = 0, second = 0] = bytes;
  if (first === 127) return "Loopback";
  if (first === 169 && second === 254) return "LinkLocal";
  if (bytes.every((b) => b === 255)) return "Broadcast";
  if (first >= 224 && first < 240) return "Multicast";
  return "Global";
}

function ipv6Scope(bytes: Uint8Array): IpScope {
  const [first = 0, second = 0] = bytes;
  if (bytes.subarray(0, 15).every((b) => b === 0) && bytes[15] === 1) return "Loopback";
  if (first === 0xfe && (second & 0xc0) === 0x80) return "LinkLocal";
  if (first === 0xff) return "Multicast";
  return "Global";
}
