/**
 * The node's journal as data: what we changed on this node and what stood there before. Both
 * agents share it. Pure; `journal-store.ts` keeps it in a file.
 *
 * A record is written before the change it is about, so after a crash a record may speak of a
 * change that never happened, never the other way round. `confirmed` says that it did happen.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { JournalError } from "./errors.ts";
import type { HostOwner, SysctlValue } from "./model.ts";

/** Format of the file. A reader refuses what is newer than it knows. */
export const JOURNAL_VERSION = 1;

const owner = z.enum(["director", "realserver"] satisfies HostOwner[]);
const sysctlValue = z.union([z.number(), z.string()]);
const sysctlKey = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(["vs", "ipv4", "ipv6"]), name: z.string() }),
  z.strictObject({ kind: z.literal("conf"), interfaceName: z.string(), name: z.string() }),
]);

const journalSchema = z.strictObject({
  sysctls: z.array(
    z.strictObject({
      key: sysctlKey,
      original: sysctlValue.nullable(),
      written: z.array(sysctlValue).min(1),
      wishes: z.partialRecord(owner, sysctlValue),
      confirmed: z.boolean(),
    }),
  ),
  links: z.array(
    z.strictObject({
      name: z.string(),
      made: z.boolean(),
      owners: z.array(owner),
      confirmed: z.boolean(),
    }),
  ),
  addresses: z.array(
    z.strictObject({
      address: z.string(),
      interfaceName: z.string(),
      owners: z.array(owner),
      confirmed: z.boolean(),
    }),
  ),
  services: z.record(z.string(), z.string()),
  drains: z.record(z.string(), z.strictObject({ startedWallMs: z.number(), reason: z.string() })),
  holds: z.record(
    z.string(),
    z.strictObject({ sinceWallMs: z.number(), maximumMs: z.number().optional() }),
  ),
});

const envelopeSchema = z.strictObject({
  version: z.number(),
  checksum: z.string(),
  bootId: z.string(),
  networkNamespace: z.string(),
  journal: z.unknown(),
});

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/**
 * Everything we remember of a node.
 * `services`: the IPVS services that the director programmed, each with the object it was for.
 * `drains`: when and why a destination or service began to drain, by a key of the director's
 * choice. `holds`: since when a real server's VIP is no longer wanted, and how long it may stay at
 * the most, by address.
 */
export type NodeJournal = DeepReadonly<z.output<typeof journalSchema>>;

/**
 * A setting we changed. `original`: what it was before; null when it did not exist yet (a device
 * of ours). `written`: the value we want there, and after a crash perhaps an older one of ours.
 * `wishes`: who needs it, and which value; nobody = to be restored.
 */
export type SysctlRecord = NodeJournal["sysctls"][number];

/** A device we brought up; `made` = and created. */
export type LinkRecord = NodeJournal["links"][number];

/** An address we added. */
export type AddressRecord = NodeJournal["addresses"][number];

/** A journal that knows nothing. */
export const EMPTY_JOURNAL: NodeJournal = {
  sysctls: [],
  links: [],
  addresses: [],
  services: {},
  drains: {},
  holds: {},
};

// EMPTY_JOURNAL has every section, by its type, and nothing else.
const SECTIONS = Object.keys(EMPTY_JOURNAL) as readonly (keyof NodeJournal)[];

/** Where and since when kernel state lives: both change, and what we set there is gone. */
export interface KernelWorld {
  /** /proc/sys/kernel/random/boot_id */
  readonly bootId: string;
  /** Text of the link /proc/self/ns/net. */
  readonly networkNamespace: string;
}

/** A journal and the world it speaks of. */
export interface StoredJournal {
  readonly world: KernelWorld;
  readonly journal: NodeJournal;
}

/** Text of the file. */
export function formatJournal({ world, journal }: StoredJournal): string {
  const checksum = checksumOf(JOURNAL_VERSION, world, journal);
  const { bootId, networkNamespace } = world;
  const envelope = { version: JOURNAL_VERSION, checksum, bootId, networkNamespace, journal };
  return `${JSON.stringify(envelope)}\n`;
}

/**
 * Reads what `formatJournal` wrote.
 * @param path for the error
 * @throws JournalError for everything else
 */
export function parseJournal(text: string, path: string): StoredJournal {
  const envelope = envelopeSchema.safeParse(parseJson(text, path));
  if (!envelope.success) throw new JournalError(path, "shape", "is not a journal");
  const { version, checksum, bootId, networkNamespace, journal } = envelope.data;
  if (version > JOURNAL_VERSION) {
    throw new JournalError(path, "version", `has version ${version}, this release reads 1`);
  }
  const world = { bootId, networkNamespace };
  if (checksum !== checksumOf(version, world, journal)) {
    throw new JournalError(path, "checksum", "was changed since it was written");
  }
  const parsed = journalSchema.safeParse(journal);
  if (!parsed.success) throw new JournalError(path, "shape", z.prettifyError(parsed.error));
  return { world, journal: parsed.data };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JournalError(path, "syntax", "is cut off or overwritten", { cause });
  }
}

function checksumOf(version: number, world: KernelWorld, journal: unknown): string {
  const text = JSON.stringify([version, world.bootId, world.networkNamespace, journal]);
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Whether two journals say the same. Sections that are the same object cost nothing, and services
 * are ten thousand where they are many.
 */
export function sameJournal(a: NodeJournal, b: NodeJournal): boolean {
  return SECTIONS.every(
    (section) =>
      a[section] === b[section] || JSON.stringify(a[section]) === JSON.stringify(b[section]),
  );
}

/** Owners of a setting, in canonical order. */
export function ownersOf(record: SysctlRecord): readonly HostOwner[] {
  return (["director", "realserver"] as const).filter((o) => record.wishes[o] !== undefined);
}

/** The wishes of a record without those of `who`. */
export function withoutWish(
  wishes: SysctlRecord["wishes"],
  who: HostOwner,
): SysctlRecord["wishes"] {
  const { [who]: _gone, ...others } = wishes;
  return others;
}

/** The values of a record's wishes. */
export function wishValues(wishes: SysctlRecord["wishes"]): readonly SysctlValue[] {
  return Object.values(wishes);
}
