/**
 * What a sysctl value means. For some settings the kernel looks at `all` and at the interface and
 * takes the larger, or either; so a wish may be fulfilled without a write, and may be out of reach
 * of any value of the interface. Source: include/linux/inetdevice.h (IN_DEV_MAXCONF,
 * IN_DEV_ORCONF), arp_ignore and arp_announce in net/ipv4/arp.c, fib_validate_source.
 */
import type { DesiredSysctl, SysctlId, SysctlKey, SysctlValue } from "./model.ts";
import { sysctlId } from "./model.ts";

/** How the kernel combines the value of `all` with that of the interface. */
type Combination = "larger" | "either" | "interface";

interface Meaning {
  readonly combination: Combination;
  /** Whether the value in force does what the wish is for. Equal values always do. */
  fulfils(effective: number, wanted: number): boolean;
}

const MEANINGS: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  [
    "arp_ignore",
    {
      combination: "larger",
      // 1 and 2 keep an address of another interface silent, 8 all of them. 3 goes by the scope
      // of the address, 4 to 7 are reserved and answer everything: larger is not always stricter.
      fulfils: (effective, wanted) => [1, 2, 8].includes(effective) && effective >= wanted,
    },
  ],
  [
    "arp_announce",
    // Values above 2 count as 0.
    { combination: "larger", fulfils: (effective, wanted) => effective === 2 && wanted < 2 },
  ],
  [
    "rp_filter",
    // Loose is asked for so that packets pass; without a filter they pass too. Only 1 is strict.
    { combination: "larger", fulfils: (effective, wanted) => wanted === 2 && effective !== 1 },
  ],
  ["accept_local", { combination: "either", fulfils: () => false }],
]);

const PLAIN: Meaning = { combination: "interface", fulfils: () => false };

function meaningOf(key: SysctlKey): Meaning {
  if (key.kind !== "conf" || key.interfaceName === "all") return PLAIN;
  return MEANINGS.get(key.name) ?? PLAIN;
}

/** The setting of `all` that the kernel combines with this one; undefined when there is none. */
export function partnerOf(key: SysctlKey): SysctlKey | undefined {
  if (meaningOf(key).combination === "interface") return undefined;
  return { kind: "conf", interfaceName: "all", name: key.name };
}

/**
 * Whether `value` on this setting, beside `partner` on `all`, does what `wanted` is for.
 * @param partner undefined where `partnerOf` is, or when it cannot be read
 */
export function isFulfilled(
  wanted: Pick<DesiredSysctl, "key" | "value">,
  value: SysctlValue,
  partner: SysctlValue | undefined,
): boolean {
  const meaning = meaningOf(wanted.key);
  const effective = combine(meaning.combination, value, partner);
  if (effective === wanted.value) return true;
  if (typeof effective !== "number" || typeof wanted.value !== "number") return false;
  return meaning.fulfils(effective, wanted.value);
}

function combine(
  combination: Combination,
  value: SysctlValue,
  partner: SysctlValue | undefined,
): SysctlValue {
  if (typeof value !== "number" || typeof partner !== "number") return value;
  if (combination === "larger") return Math.max(value, partner);
  return combination === "either" ? value | partner : value;
}

/**
 * One value for owners with different wishes, the same whoever asks: the stricter. That is the
 * larger number, except for rp_filter, where no filter lets through what loose does.
 */
export function reconcileWishes(key: SysctlKey, wishes: readonly SysctlValue[]): SysctlValue {
  const [first, ...others] = [...new Set(wishes)].sort(compareValues);
  if (first === undefined) throw new Error(`${sysctlId(key)}: nobody wants a value`);
  if (key.name === "rp_filter") return first;
  return others.at(-1) ?? first;
}

function compareValues(a: SysctlValue, b: SysctlValue): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : 1;
}

/** Reads what a sysctl file holds: fields between blanks. */
export function parseSysctlValue(text: string): SysctlValue {
  const fields = text.trim().split(/\s+/);
  const [only = ""] = fields;
  if (fields.length === 1 && /^(0|-?[1-9]\d{0,14})$/.test(only)) return Number(only);
  return fields.join(" ");
}

/** Canonical order of keys in plans and in the journal. */
export function compareSysctlIds(a: SysctlId, b: SysctlId): number {
  return a < b ? -1 : Number(a > b);
}
