/** Addresses and families between the model's text and the kernel's bytes. */
import { formatIp, parseIp, type IpFamily } from "../lib/ip-address.ts";
import { WireFormatError } from "../netlink/errors.ts";
import { AF_INET, AF_INET6 } from "./uapi.ts";

/**
 * Network-order bytes of a canonical address: 4 or 16.
 * @throws IpSyntaxError
 */
export function addressBytes(text: string): Uint8Array {
  return quickIpv4(text) ?? parseIp(text);
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

/** Without the full parser, which costs more than all the rest of a command's encoding. */
function quickIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let parts = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || value > 255 || parts === 4) return undefined;
      bytes[parts++] = value;
      digits = 0;
      value = 0;
    } else {
      // Leading zeros, letters and colons are the full parser's to judge.
      if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + code - 0x30;
      digits += 1;
    }
  }
  return parts === 4 ? bytes : undefined;
}

const DOT = 0x2e;
