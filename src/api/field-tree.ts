/**
 * Which fields a schema knows, for two things that zod leaves to us: telling a person about a
 * field that does not exist, and treating `field: null` as an absent field, as the API server does.
 */
import { z } from "zod";

import { nearestName } from "./nearest-name.ts";
import type { Problem } from "./problems.ts";
import { formatPath, type Path } from "./rules.ts";

/** Shape of a value: named fields, items of a list, values of a map, or something without fields. */
export type FieldTree =
  | { readonly kind: "object"; readonly fields: ReadonlyMap<string, FieldTree> }
  | { readonly kind: "list"; readonly item: FieldTree }
  | { readonly kind: "map" }
  | { readonly kind: "leaf" };

const LEAF: FieldTree = { kind: "leaf" };
const MAP: FieldTree = { kind: "map" };

/** The fields of a schema, with what is optional or defaulted looked through. */
export function fieldTree(schema: z.core.$ZodType): FieldTree {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    // zod types the shape of an object it knows nothing about as any.
    const shape = inner.shape as Readonly<Record<string, z.core.$ZodType>>;
    const fields = Object.entries(shape).map(([name, field]): [string, FieldTree] => [
      name,
      fieldTree(field),
    ]);
    return { kind: "object", fields: new Map(fields) };
  }
  if (inner instanceof z.ZodArray) return { kind: "list", item: fieldTree(inner.element) };
  return inner instanceof z.ZodRecord ? MAP : LEAF;
}

/** The schema inside `optional`, `default` and `prefault`. */
export function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault
  ) {
    inner = inner.unwrap();
  }
  return inner;
}

/** Adds fields that may be there and are not looked at. */
export function withIgnoredFields(tree: FieldTree, names: readonly string[]): FieldTree {
  if (tree.kind !== "object") return tree;
  const ignored = names.map((name): [string, FieldTree] => [name, LEAF]);
  return { kind: "object", fields: new Map([...tree.fields, ...ignored]) };
}

/**
 * A copy of `raw` without unknown fields and without fields whose value is null. Each unknown field
 * is added to `problems`. Values of a wrong type are left for the schema to refuse.
 */
export function knownPart(raw: unknown, tree: FieldTree, path: Path, problems: Problem[]): unknown {
  if (tree.kind === "list") {
    if (!Array.isArray(raw)) return raw;
    return raw.map((item, index) => knownPart(item, tree.item, [...path, index], problems));
  }
  if (tree.kind === "leaf" || !isRecord(raw)) return raw;
  const entries = Object.entries(raw);
  if (tree.kind === "map") return Object.fromEntries(entries.filter(([, value]) => value !== null));
  return Object.fromEntries(
    entries.flatMap(([name, value]) => {
      const field = tree.fields.get(name);
      if (field === undefined) problems.push(unknownField(name, tree, path));
      if (field === undefined || value === null) return [];
      return [[name, knownPart(value, field, [...path, name], problems)]];
    }),
  );
}

function unknownField(name: string, tree: FieldTree & { kind: "object" }, path: Path): Problem {
  const segments = [...path, name];
  const hint = suggestion(name, tree);
  const message = `unknown field \`${name}\`${hint === undefined ? "" : `, did you mean \`${hint}\`?`}`;
  return { path: formatPath(segments), segments, message };
}

/** A sibling with a similar name, else a field of exactly this name further down. */
function suggestion(name: string, tree: FieldTree & { kind: "object" }): string | undefined {
  return nearestName(name, tree.fields.keys()) ?? deeperField(name, tree);
}

function deeperField(name: string, tree: FieldTree): string | undefined {
  if (tree.kind === "list") {
    const found = deeperField(name, tree.item);
    return found === undefined ? undefined : `[].${found}`;
  }
  if (tree.kind !== "object") return undefined;
  if (tree.fields.has(name)) return name;
  for (const [parent, child] of tree.fields) {
    const found = deeperField(name, child);
    if (found !== undefined) return found.startsWith("[") ? parent + found : `${parent}.${found}`;
  }
  return undefined;
}

/** Whether the value is an object with named fields: not null, not a list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
