/** What left and what joined a list, by identity. */
export interface ListDifference<T> {
  readonly removed: readonly T[];
  readonly added: readonly T[];
}

/**
 * Compares two versions of a list whose items are replaced, not changed. Equal ends are skipped,
 * so that one changed item among thousands costs a scan and nothing more.
 */
export function listDifference<T>(before: readonly T[], after: readonly T[]): ListDifference<T> {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (
    end < shorter - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end += 1;
  }
  const left = before.slice(start, before.length - end);
  const right = after.slice(start, after.length - end);
  const kept = new Set(right);
  const known = new Set(left);
  return {
    removed: left.filter((item) => !kept.has(item)),
    added: right.filter((item) => !known.has(item)),
  };
}
