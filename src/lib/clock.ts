import { AbortedError } from "./errors.ts";

/**
 * Time as a dependency. `monotonicMs` never jumps and is for deadlines; `wallMs` is for people and
 * for records that outlive the process.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back, not affected by clock steps. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** @throws AbortedError when `signal` fires first */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(new AbortedError("sleep aborted", { cause: signal.reason }));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(new AbortedError("sleep aborted", { cause: signal.reason }));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, milliseconds);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  },
};
