/** Results of a suite in numbers, and how they add up to a verdict. Pure. */

export interface Skipped {
  readonly title: string;
  readonly reason: string;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skipped[];
}

/**
 * A skip that names the kernel is about what that kernel can do, and is right. Any other says that
 * this machine lacks something, which a continuous build must not hide.
 */
const RIGHTFUL_SKIP = /\bkernel\b/i;

/** With `strict`, skips that hide a missing tool become failures. */
export function judge(counts: Counts, strict: boolean): Counts {
  if (!strict) return counts;
  const rightful = counts.skipped.filter(({ reason }) => RIGHTFUL_SKIP.test(reason));
  const hidden = counts.skipped.length - rightful.length;
  return { passed: counts.passed, failed: counts.failed + hidden, skipped: rightful };
}

/** All counts together. */
export function total(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((sum, { passed }) => sum + passed, 0),
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
    skipped: all.flatMap(({ skipped }) => skipped),
  };
}

/** `12 passed, 0 failed`, and the skipped when there are any. */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  const rest = skipped.length === 0 ? "" : `, ${skipped.length} skipped`;
  return `${passed} passed, ${failed} failed${rest}`;
}

/** One line for each reason, with the number of tests that gave it. */
export function formatReasons(skipped: readonly Skipped[]): readonly string[] {
  const byReason = Map.groupBy(skipped, ({ reason }) => reason);
  return [...byReason].map(([reason, tests]) => `${tests.length} skipped: ${reason}`);
}
