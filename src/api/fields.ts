/** Strings and numbers that several kinds share, each with its bounds and rules. */
import { z } from "zod";

import { IpSyntaxError, ipScope, isIp, parseIp } from "../lib/ip-address.ts";
import { stringMap, withRules, type Rule, type Violation } from "./rules.ts";

/** Type with every property and list read-only, all the way down. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const NAME_TAIL = "[-A-Za-z0-9_.]{0,61}";

/** Name of an item in a list: an RFC 1123 label of up to 63 characters. */
export function dnsLabel(): z.ZodString {
  return z
    .string()
    .min(1)
    .max(63)
    .regex(
      new RegExp(`^${LABEL}$`),
      "must consist of lower-case letters, digits and `-`, and start and end with a letter or digit",
    );
}

/** Name of a Kubernetes object: DNS labels joined by dots, up to 253 characters. */
export function objectName(): z.ZodString {
  return z
    .string()
    .min(1)
    .max(253)
    .regex(
      new RegExp(`^${SUBDOMAIN}$`),
      "must consist of lower-case letters, digits, `-` and `.`, and start and end with a letter or digit",
    );
}

/** Value of a Kubernetes label; may be empty. */
export function labelValue(): z.ZodString {
  return z
    .string()
    .max(63)
    .regex(
      new RegExp(`^(([A-Za-z0-9]${NAME_TAIL})?[A-Za-z0-9])?$`),
      "must consist of letters, digits, `-`, `_` and `.`, and start and end with a letter or digit",
    );
}

const LABEL_KEY = `^(${SUBDOMAIN}/)?([A-Za-z0-9]${NAME_TAIL})?[A-Za-z0-9]$`;
const LABEL_KEY_PATTERN = new RegExp(LABEL_KEY);
const LABEL_KEY_TEXT =
  "must be a label key: a name of letters, digits, `-`, `_` and `.`, and before it possibly a DNS name and a slash";
const LABEL_KEY_CHARACTERS = 317;
const LABEL_PREFIX_CHARACTERS = 253;

/** Key of a Kubernetes label: `name` or `prefix/name`. */
export function labelKey(): z.ZodString {
  return z.string().min(1).max(LABEL_KEY_CHARACTERS).regex(LABEL_KEY_PATTERN, LABEL_KEY_TEXT);
}

function isLabelKey(key: string): boolean {
  return (
    key.length <= LABEL_KEY_CHARACTERS &&
    key.indexOf("/") <= LABEL_PREFIX_CHARACTERS &&
    LABEL_KEY_PATTERN.test(key)
  );
}

/** Labels of an object, or labels to look for. */
export function labelMap(maxProperties: number): z.ZodRecord<z.ZodString, z.ZodString> {
  return withRules(stringMap(labelValue(), maxProperties), [
    {
      id: "label-keys",
      rule: `self.all(key, size(key) <= ${LABEL_KEY_CHARACTERS} && key.indexOf('/') <= ${LABEL_PREFIX_CHARACTERS} && key.matches('${LABEL_KEY.replaceAll("\\", "\\\\")}'))`,
      message: LABEL_KEY_TEXT,
      violations: (self) =>
        Object.keys(self)
          .filter((key) => !isLabelKey(key))
          .map((key) => ({ path: [key] })),
    },
  ]);
}

/** Whole number between two bounds that fit into 32 bits; the generator adds the format. */
export function int32(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
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
