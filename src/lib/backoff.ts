/** Exponential back-off with full jitter, as data: the caller keeps the attempt count. */
export interface BackoffLimits {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Delay before attempt number `attempt` (1 = first retry), in milliseconds: uniform in
 * [ceiling/2, ceiling], where the ceiling doubles from `baseMs` up to `maxMs`. Half of it is fixed
 * so that a retry never follows at once.
 * @param random returns a number in [0, 1)
 */
export function backoffMs(attempt: number, limits: BackoffLimits, random: () => number): number {
  const ceiling = Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(attempt - 1, 30));
  return ceiling / 2 + (ceiling / 2) * random();
}
