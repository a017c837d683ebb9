/**
 * When a VIP may leave a real server. A director drains first, but this node cannot see how far it
 * is, so a VIP that is no longer wanted stays until no connection uses it, and at the longest for
 * the drain time. Pure; what is held lives in the journal, so that a restart does not start over.
 */

/** A VIP that is no longer wanted. */
export interface HeldAddress {
  readonly address: string;
  /** Wall clock when it was first seen as unwanted, milliseconds. */
  readonly sinceWallMs: number;
  /** How long it may stay, as it was known then; the object that said so may be gone. */
  readonly maximumMs?: number | undefined;
}

export interface HoldDownLimits {
  /** Time at the least: a director that has not seen the change yet still sends new connections. */
  readonly minimumMs: number;
  /** Time at the most, connections or not. */
  readonly maximumMs: number;
}

export const DEFAULT_HOLD_DOWN: HoldDownLimits = { minimumMs: 10_000, maximumMs: 300_000 };

export interface HoldDownInput {
  /** Addresses that our agent put here, by its journal or mark. */
  readonly bound: readonly string[];
  readonly wanted: ReadonlySet<string>;
  readonly held: readonly HeldAddress[];
  /** Open connections whose local address it is. */
  readonly connectionsOf: (address: string) => number;
  readonly nowWallMs: number;
  readonly limits: HoldDownLimits;
}

export interface HoldDownDecision {
  /** Still to be kept although unwanted. */
  readonly keep: readonly HeldAddress[];
  readonly release: readonly string[];
}

/** Decides for each bound address that is not wanted. A clock that stepped back restarts the hold. */
export function decideHoldDown(input: HoldDownInput): HoldDownDecision {
  const held = new Map(input.held.map((h) => [h.address, h]));
  const keep: HeldAddress[] = [];
  const release: string[] = [];
  for (const address of input.bound) {
    if (input.wanted.has(address)) continue;
    const known = held.get(address);
    const sinceWallMs = Math.min(known?.sinceWallMs ?? input.nowWallMs, input.nowWallMs);
    const maximumMs = Math.max(known?.maximumMs ?? 0, input.limits.maximumMs);
    const ageMs = input.nowWallMs - sinceWallMs;
    const done =
      ageMs >= maximumMs || (ageMs >= input.limits.minimumMs && input.connectionsOf(address) === 0);
    if (done) release.push(address);
    else keep.push({ address, sinceWallMs, maximumMs });
  }
  return { keep, release };
}
