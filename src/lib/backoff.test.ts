import fc from "fast-check";
import { expect, it } from "vitest";
import { backoffMs } from "./backoff.ts";

const LIMITS = { baseMs: 100, maxMs: 30_000 };

it.each([
  { attempt: 1, least: 50, most: 100 },
  { attempt: 2, least: 100, most: 200 },
  { attempt: 5, least: 800, most: 1600 },
  { attempt: 9, least: 12_800, most: 25_600 },
  { attempt: 10, least: 15_000, most: 30_000 },
  { attempt: 1000, least: 15_000, most: 30_000 },
])("attempt $attempt waits $least to $most ms", ({ attempt, least, most }) => {
  expect(backoffMs(attempt, LIMITS, () => 0)).toBe(least);
  expect(backoffMs(attempt, LIMITS, () => 1)).toBe(most);
});

it("never exceeds the limit and never retries at once, whatever the attempt", () => {
  const anything = fc.record({
    attempt: fc.integer({ min: 1, max: 1_000_000 }),
    baseMs: fc.integer({ min: 1, max: 10_000 }),
    factor: fc.integer({ min: 1, max: 1000 }),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  });
  fc.assert(
    fc.property(anything, ({ attempt, baseMs, factor, chance }) => {
      const limits = { baseMs, maxMs: baseMs * factor };
      const delay = backoffMs(attempt, limits, () => chance);
      expect(delay).toBeGreaterThanOrEqual(baseMs / 2);
      expect(delay).toBeLessThanOrEqual(limits.maxMs);
    }),
  );
});
