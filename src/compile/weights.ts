/**
 * Weight arithmetic: shares of backends turned into kernel weights, and weights made to fit the
 * schedulers that cannot take any sum. Pure.
 */

/** Largest weight that ipvsadm and this API know; the kernel would take more. */
export const MAX_WEIGHT = 65_535;
/** Slots of the sh scheduler: destinations beyond this sum of weights would get none. */
export const SH_SLOTS = 256;

/** One server of a backend that has a share. */
export interface SharedWeight {
  /** Share of its backend; only the relation to other shares counts. */
  readonly share: number;
  /** Weight of the server in the backend. */
  readonly weight: number;
  /** Sum of the weights in the backend. */
  readonly total: number;
}

/**
 * Kernel weights in the relation share x weight / total: each backend gets its share as a whole,
 * whatever the number and weights of its servers. Exact and as small as possible where that fits
 * into `MAX_WEIGHT` (small numbers make wrr alternate finely); else scaled so that the largest is
 * `MAX_WEIGHT` and rounded, but never to 0, which would take a server out.
 */
export function kernelWeights(servers: readonly SharedWeight[]): readonly number[] {
  const denominator = servers.reduce(
    (lcm, { total }) => leastCommonMultiple(lcm, BigInt(total)),
    1n,
  );
  const exact = servers.map(({ share, weight, total }) =>
    total === 0 ? 0n : (BigInt(share) * BigInt(weight) * denominator) / BigInt(total),
  );
  return shrink(exact);
}

/** Adds up the weights of servers that turn out to be one destination. */
export function addWeights(a: number, b: number): number {
  return Math.min(MAX_WEIGHT, a + b);
}

function shrink(exact: readonly bigint[]): readonly number[] {
  const divisor = exact.reduce(greatestCommonDivisor, 0n);
  if (divisor === 0n) return exact.map(() => 0);
  const largest = exact.reduce((a, b) => (a > b ? a : b)) / divisor;
  const limit = BigInt(MAX_WEIGHT);
  return exact.map((value) => {
    const reduced = value / divisor;
    if (reduced === 0n || largest <= limit) return Number(reduced);
    const rounded = (2n * reduced * limit + largest) / (2n * largest);
    return Math.max(1, Number(rounded));
  });
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  return b === 0n ? a : (a / greatestCommonDivisor(a, b)) * b;
}

/**
 * Weights for sh: as they are while their sum fits into its slots, else scaled to exactly that
 * sum by largest remainder, where each server that had a weight keeps at least 1. More servers
 * than slots cannot be helped: all get 1, and the last of them no connections.
 */
export function fitToSlots(weights: readonly number[]): readonly number[] {
  if (total(weights) <= SH_SLOTS) return weights;
  const { slots, sum } = proportionalPart(weights);
  // Weights below one slot are the ones that proportion alone would round away.
  const parts = weights.map((weight) => (weight === 0 ? 0 : Math.max(1, (weight * slots) / sum)));
  const fitted = parts.map(Math.floor);
  const left = Math.max(0, SH_SLOTS - total(fitted));
  const byRemainder = parts
    .map((part, index) => ({ index, remainder: part - Math.floor(part) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder.slice(0, left)) fitted[index] = (fitted[index] ?? 0) + 1;
  return fitted;
}

/** Slots and sum of weights that remain when each weight too small for a slot has got one. */
function proportionalPart(weights: readonly number[]): { slots: number; sum: number } {
  let slots = SH_SLOTS;
  let sum = total(weights);
  for (const weight of weights.filter((w) => w > 0).sort((a, b) => a - b)) {
    if (weight * slots >= sum || slots <= 1) break;
    slots -= 1;
    sum -= weight;
  }
  return { slots, sum };
}

function total(weights: readonly number[]): number {
  return weights.reduce((a, b) => a + b, 0);
}
