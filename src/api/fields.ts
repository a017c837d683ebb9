/** Strings and numbers that several kinds share, each with its bounds and rules. */
import { z } from "zod";

import { IpSyntaxError, ipScope, isIp, parseIp } from "../lib/ip-address.ts";
import { withRules, type Rule, type Violation } from "./rules.ts";

/** Type with every property and list read-only, all the way down. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/** Lower-case letters, digits and `-`; starts and ends with a letter or digit (RFC 1123 label). */
export const DNS_LABEL = new RegExp(`^${LABEL}$`);
/** DNS labels joined by dots: what most Kubernetes objects may be called. */
export const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
/** Value of a Kubernetes label; may be empty. */
export const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
/** Key of a label without its prefix. */
export const LABEL_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

/** Name of an item in a list, up to 63 characters. */
export function dnsLabel(): z.ZodString {
  return z.string().min(1).max(63).regex(DNS_LABEL);
}

/** Name of a Kubernetes object, up to 253 characters. */
export function objectName(): z.ZodString {
  return z.string().min(1).max(253).regex(DNS_SUBDOMAIN);
}

/** Whole number that fits into 32 bits, between `min` and `max`. */
export function int32(min: number, max: number): z.ZodInt32 {
  return z.int32().min(min).max(max);
}

/** Whole number that needs more than 31 bits; JavaScript holds it exactly up to 2^53. */
export function int64(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max).meta({ format: "int64" });
}

const ADDRESS_RULES: readonly Rule<string>[] = [
  {
    id: "address-canonical",
    rule: "isIP(self) && ip.isCanonical(self)",
    message:
      "must be an IP address in canonical form: no prefix length, no leading zeros, IPv6 in its shortest lower-case spelling and not IPv4-mapped",
    violations: addressSyntax,
  },
  {
    id: "address-unicast",
    rule: "!isIP(self) || ip(self).isGlobalUnicast()",
    message:
      "must be a unicast address: not unspecified, loopback, link-local, multicast or broadcast",
    violations: (self) => {
      if (!isIp(self)) return [];
      const scope = ipScope(self);
      return scope === "Global" ? [] : [{ path: [], detail: `${self} is ${scope}` }];
    },
  },
];

function addressSyntax(self: string): readonly Violation[] {
  try {
    parseIp(self);
    return [];
  } catch (error) {
    if (error instanceof IpSyntaxError) return [{ path: [], detail: error.message }];
    throw error;
  }
}

/** IPv4 or IPv6 unicast address in its one canonical spelling. */
export function ipAddress(): z.ZodString {
  return withRules(z.string().min(2).max(45), ADDRESS_RULES);
}
