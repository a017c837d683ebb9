/** Where in a text something is: lines and columns, counted from 1. */
import { isMap, isScalar, isSeq, type Document, type Node } from "yaml";

/** A place in a text. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Place of the character at `offset`. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  const lastNewline = before.lastIndexOf("\n");
  return { line: countNewlines(before) + 1, column: offset - lastNewline };
}

function countNewlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/**
 * Offset of the thing at `path` in a document: of the key for a field, of the item in a list. Where
 * the path leads to nothing (a field that must be set), that of the nearest thing around it.
 */
export function offsetOf(document: Document, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const part of path) {
    const step = stepInto(node, part);
    if (step === undefined) return offset;
    offset = startOf(step.named) ?? offset;
    node = step.value;
  }
  return offset;
}

function stepInto(
  node: unknown,
  part: string | number,
): { readonly named: unknown; readonly value: unknown } | undefined {
  if (isSeq(node) && typeof part === "number") {
    const item = node.items[part];
    return item === undefined ? undefined : { named: item, value: item };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
  return pair === undefined ? undefined : { named: pair.key, value: pair.value };
}

function startOf(node: unknown): number | undefined {
  // What a parsed document is made of are nodes, and those have a range.
  return (node as Node | null | undefined)?.range?.[0];
}
