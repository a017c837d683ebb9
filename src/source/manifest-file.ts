/**
 * One file of manifests as a list of parsed documents. A new version of the file is compared with
 * the one before, and only documents whose text changed are parsed: one edit among five thousand
 * objects in one file costs a comparison of bytes and the parsing of one document.
 */
import { isUtf8 } from "node:buffer";

import { commonPrefix, commonSuffix, documentStarts, isPreamble } from "./split-documents.ts";
import { parseManifest, type ManifestDocument } from "./yaml-document.ts";

/** A file that was read, or why it could not be. */
export interface ManifestFile {
  /** To compare a newer version with; empty where there is nothing to compare, see `compact`. */
  readonly bytes: Buffer;
  /** In the order of the file. A document that did not change is the same one (`===`). */
  readonly documents: readonly ManifestDocument[];
  /** Where each begins in `bytes`. */
  readonly starts: readonly number[];
  /** Why nothing of the file could be used. */
  readonly failure: string | undefined;
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const NO_BYTES = Buffer.alloc(0);
const FROM_THE_START: readonly number[] = [0];

/** A file that cannot be read as a whole. */
export function failedManifest(failure: string): ManifestFile {
  return { bytes: NO_BYTES, documents: [], starts: [], failure };
}

/** Parses the file, taking over what did not change from its version before. */
export function readManifest(bytes: Buffer, before?: ManifestFile): ManifestFile {
  if (!isUtf8(bytes)) {
    return failedManifest(`line ${firstBadLine(bytes)} is not valid UTF-8; save the file as UTF-8`);
  }
  if (before === undefined || before.bytes.length === 0) return compact(parseAll(bytes));
  const { head, tail, from, to } = changedPart(before, bytes);
  const shift = bytes.length - before.bytes.length;
  const known = new Map(
    before.documents
      .slice(head, before.documents.length - tail)
      .map((document, i) => [documentText(before, head + i), document]),
  );
  const starts = from < to ? documentStarts(bytes, from, to) : [];
  const middle = starts.map((start, i) => {
    const text = bytes.toString("utf8", start, starts[i + 1] ?? to);
    const document = known.get(text);
    // Each only once: two documents with the same text are two documents.
    known.delete(text);
    return document ?? parseManifest(text);
  });
  const end = before.documents.length - tail;
  return compact({
    bytes,
    documents: [...before.documents.slice(0, head), ...middle, ...before.documents.slice(end)],
    starts: [
      ...before.starts.slice(0, head),
      ...starts,
      ...before.starts.slice(end).map((start) => start + shift),
    ],
    failure: undefined,
  });
}

/**
 * A file of one document is parsed as a whole when it changes, so its bytes need not be kept: with an
 * object in each of ten thousand files they are a third of what a director holds.
 */
function compact(file: ManifestFile): ManifestFile {
  const single = file.documents.length === 1 && file.starts[0] === 0;
  return single ? { ...file, bytes: NO_BYTES, starts: FROM_THE_START } : file;
}

/** Line on which a document begins, counted from 1. */
export function firstLine(file: ManifestFile, document: ManifestDocument): number {
  const start = startAt(file, file.documents.indexOf(document));
  let line = 1;
  for (
    let at = file.bytes.indexOf(0x0a);
    at >= 0 && at < start;
    at = file.bytes.indexOf(0x0a, at + 1)
  ) {
    line += 1;
  }
  return line;
}

/**
 * Whether the file may be only half there: text that is complete ends with a newline, or with the
 * bracket that closes it all. Nothing can tell a half-written file that happens to end so.
 */
export function looksUnfinished(bytes: Buffer): boolean {
  const last = bytes.at(-1);
  return last !== undefined && last !== 0x0a && last !== 0x7d && last !== 0x5d;
}

function parseAll(bytes: Buffer): ManifestFile {
  const from = firstStart(bytes);
  const starts = from < bytes.length ? documentStarts(bytes, from, bytes.length) : [];
  const documents = starts.map((start, i) =>
    parseManifest(bytes.toString("utf8", start, starts[i + 1] ?? bytes.length)),
  );
  return { bytes, documents, starts, failure: undefined };
}

function firstStart(bytes: Buffer): number {
  return bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
}

function startAt(file: ManifestFile, index: number): number {
  return file.starts[index] ?? file.bytes.length;
}

function documentText(file: ManifestFile, index: number): string {
  return file.bytes.toString("utf8", startAt(file, index), startAt(file, index + 1));
}

interface ChangedPart {
  /** Number of documents at the beginning that are the same in both versions. */
  readonly head: number;
  /** The same at the end. */
  readonly tail: number;
  /** What is between them in the new version. */
  readonly from: number;
  readonly to: number;
}

function changedPart(before: ManifestFile, bytes: Buffer): ChangedPart {
  const { head, tail } = unchangedEnds(before, bytes);
  const shift = bytes.length - before.bytes.length;
  const from = head === 0 ? firstStart(bytes) : startAt(before, head);
  const to = tail === 0 ? bytes.length : startAt(before, before.documents.length - tail) + shift;
  // Directives now begin the file, and belong to the document after them.
  if (head === 0 && isPreamble(bytes, from, to)) return { head, tail: 0, from, to: bytes.length };
  return { head, tail, from, to };
}

function unchangedEnds(
  before: ManifestFile,
  bytes: Buffer,
): { readonly head: number; readonly tail: number } {
  const { documents } = before;
  const prefix = commonPrefix(before.bytes, bytes);
  // A document has ended where the next marker line begins: `---` and the byte after it. The last
  // document has no such end, so text that was appended counts as a change of it.
  let head = 0;
  while (head + 1 < documents.length && startAt(before, head + 1) + 4 <= prefix) head += 1;
  const limit =
    Math.min(before.bytes.length, bytes.length) - Math.min(prefix, startAt(before, head));
  const suffix = commonSuffix(before.bytes, bytes, limit);
  const sameFrom = before.bytes.length - suffix;
  let tail = 0;
  // The newline before the marker makes it one, so it must be there in both as well.
  // The first document may get a preamble put before it, so it is never taken over from the end.
  while (
    head + tail + 1 < documents.length &&
    startAt(before, documents.length - tail - 1) > sameFrom
  ) {
    tail += 1;
  }
  return { head, tail };
}

function firstBadLine(bytes: Buffer): number {
  let line = 1;
  let start = 0;
  for (;;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    if (newline < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = newline + 1;
    line += 1;
  }
}
