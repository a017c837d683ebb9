/**
 * Cuts a YAML stream into its documents by the marker lines alone, without parsing. A line that
 * starts with `---` begins a document wherever it stands, also inside a block scalar, so this is
 * exact. Works on bytes, because most of a big file is never looked at more closely.
 */

const NEWLINE = 0x0a;
const PERCENT = 0x25;
const MARKER = Buffer.from("\n---");
/** Bytes compared at a time; comparing is memcmp, only the last block is looked at byte by byte. */
const BLOCK_BYTES = 65_536;

/**
 * Offsets at which documents begin in `bytes[from, to)`; `from` itself is always one, and has to be
 * the beginning of a document. A document reaches to the next beginning and starts with its marker.
 */
export function documentStarts(bytes: Buffer, from: number, to: number): readonly number[] {
  const starts = [from];
  // The marker may be the very first bytes, which have no newline before them.
  let newline = bytes.indexOf(MARKER, from);
  while (newline >= 0 && newline + 1 < to) {
    const start = newline + 1;
    const previous = starts.at(-1) ?? from;
    if (endsMarker(bytes[start + 3]) && !isPreamble(bytes, previous, start)) starts.push(start);
    newline = bytes.indexOf(MARKER, start + 3);
  }
  return starts;
}

/** `---` must be followed by white space or the end, else the line is content. */
function endsMarker(byte: number | undefined): boolean {
  return byte === undefined || byte === NEWLINE || byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

/** Directives (`%YAML 1.2`) belong to the document whose marker follows them. */
export function isPreamble(bytes: Buffer, start: number, end: number): boolean {
  if (!bytes.subarray(start, end).includes(PERCENT)) return false;
  const lines = bytes.toString("latin1", start, end).split("\n");
  return lines.every((line) => /^(%.*|\s*(#.*)?)$/.test(line));
}

/** Length of the longest common beginning. */
export function commonPrefix(a: Buffer, b: Buffer): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit) {
    const end = Math.min(length + BLOCK_BYTES, limit);
    if (a.compare(b, length, end, length, end) !== 0) break;
    length = end;
  }
  while (length < limit && a[length] === b[length]) length += 1;
  return length;
}

/** Length of the longest common end, at most `limit`. */
export function commonSuffix(a: Buffer, b: Buffer, limit: number): number {
  let length = 0;
  while (length < limit) {
    const next = Math.min(length + BLOCK_BYTES, limit);
    const same =
      a.compare(b, b.length - next, b.length - length, a.length - next, a.length - length) === 0;
    if (!same) break;
    length = next;
  }
  while (length < limit && a[a.length - 1 - length] === b[b.length - 1 - length]) length += 1;
  return length;
}
