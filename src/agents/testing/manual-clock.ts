/** Time that passes when the test says so. */
import type { Clock } from "../../lib/clock.ts";
import { AbortedError } from "../../lib/errors.ts";

const START_WALL_MS = 1_700_000_000_000;

export class ManualClock implements Clock {
  #monotonicMs = 0;
  #steppedMs = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return START_WALL_MS + this.#monotonicMs + this.#steppedMs;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.#monotonicMs + milliseconds, wake: resolve };
      this.#sleepers.add(sleeper);
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(new AbortedError("sleep aborted"));
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
    });
  }

  advance(milliseconds: number): void {
    this.#monotonicMs += milliseconds;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > this.#monotonicMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  /** Somebody sets the wall clock. */
  stepWall(milliseconds: number): void {
    this.#steppedMs += milliseconds;
  }
}
