/**
 * The level-triggered loop of an agent. It has one key, the node itself: however many things
 * changed, the next pass looks at the world as it is. A pass that fails is tried again with a
 * growing delay; a change that arrives meanwhile is not delayed by that, because it may be the cure.
 */
import { backoffMs, type BackoffLimits } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { isAbort } from "../lib/abort.ts";
import { toError } from "../lib/errors.ts";
import type { Logger } from "../lib/logger.ts";

/** Why a pass runs; passed on so that cheap triggers can do less. */
export type WakeReason = "start" | "objects" | "host" | "probe" | "timer" | "retry";

export interface PassOutcome {
  /** Look again after this time although nothing changed, milliseconds. */
  readonly recheckAfterMs: number;
}

/** What a pass is given besides its reasons. */
export interface PassSignals {
  /** The agent stops: end soon. */
  readonly stop: AbortSignal;
  /** Something waits for the next pass: leave out what can be done later. */
  readonly hurry: AbortSignal;
}

export interface LoopOptions {
  /** One pass. Throwing means: try again later. */
  pass(reasons: ReadonlySet<WakeReason>, signals: PassSignals): Promise<PassOutcome>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly backoff: BackoffLimits;
  /** After each pass, for readiness. */
  readonly onPass?: (error: Error | undefined) => void;
}

/** Back-off of a failing pass. */
export const DEFAULT_BACKOFF: BackoffLimits = { baseMs: 200, maxMs: 15_000 };

export interface Loop {
  /** Asks for a pass; equal requests collapse. */
  wake(reason: WakeReason): void;
  /** Runs passes until `signal` fires, then lets the running one end and resolves. */
  run(signal: AbortSignal): Promise<void>;
}

function withoutTimer(reasons: ReadonlySet<WakeReason>): readonly WakeReason[] {
  return [...reasons].filter((reason) => reason !== "timer");
}

export function createLoop(options: LoopOptions): Loop {
  const pending = new Set<WakeReason>();
  // What a failed pass was for; without it the retry would do less.
  const deferred = new Set<WakeReason>();
  let wakeUp: (() => void) | undefined;
  let hurry = new AbortController();

  const wake = (reason: WakeReason): void => {
    pending.add(reason);
    hurry.abort();
    wakeUp?.();
  };

  /** Waits for a wake-up, the delay or the end, whichever comes first. */
  async function wait(delayMs: number, timeout: WakeReason, signal: AbortSignal): Promise<void> {
    if (pending.size > 0 || signal.aborted) return;
    const woken = new AbortController();
    wakeUp = () => woken.abort();
    try {
      await options.clock.sleep(delayMs, AbortSignal.any([signal, woken.signal]));
      pending.add(timeout);
    } catch (error) {
      if (!isAbort(error)) throw error;
    } finally {
      wakeUp = undefined;
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    pending.add("start");
    while (!signal.aborted) {
      const reasons = new Set(pending);
      pending.clear();
      hurry = new AbortController();
      let failure: Error | undefined;
      let delayMs = 0;
      try {
        delayMs = (await options.pass(reasons, { stop: signal, hurry: hurry.signal }))
          .recheckAfterMs;
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) break;
        failure = toError(thrown);
        failures += 1;
        delayMs = backoffMs(failures, options.backoff, options.random);
        for (const reason of withoutTimer(reasons)) deferred.add(reason);
        options.log.error(
          { err: failure, failures, retryInMs: Math.round(delayMs) },
          "pass failed",
        );
      }
      options.onPass?.(failure);
      await wait(delayMs, failure === undefined ? "timer" : "retry", signal);
      for (const reason of deferred) pending.add(reason);
      deferred.clear();
    }
  }
  return { wake, run };
}
