/** Addresses and families between the model's text and the kernel's bytes. */
import { formatIp, parseIp, type IpFamily } from "../lib/ip-address.ts";
import { WireFormatError } from "../netlink/errors.ts";
import { checkedIpv4Value } from "./ipv4.ts";
import { AF_INET, AF_INET6 } from "./uapi.ts";

/**
 * Network-order bytes of a canonical address: 4 or 16.
 * @throws IpSyntaxError
 */
export function addressBytes(text: string): Uint8Array {
  const value = checkedIpv4Value(text);
  return value === undefined ? parseIp(text) : u32Bytes(value);
}

/** @param bytes as the kernel answers them: sixteen, of which IPv4 uses the first four */
export function addressText(family: IpFamily, bytes: Uint8Array, attribute: string): string {
  if (family === "IPv4") return formatIp(bytes.subarray(0, 4));
  if (bytes.length !== 16) throw new WireFormatError(attribute, "an IPv6 address of 4 bytes");
  return formatIp(bytes);
}

export function familyNumber(family: IpFamily): number {
  return family === "IPv4" ? AF_INET : AF_INET6;
}

/** @throws WireFormatError */
export function familyName(number: number, attribute: string): IpFamily {
  if (number === AF_INET) return "IPv4";
  if (number === AF_INET6) return "IPv6";
  throw new WireFormatError(attribute, `address family ${number}`);
}

function u32Bytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
