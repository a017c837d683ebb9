/** Lets one user in at a time, in order of arrival, and forgets those who give up waiting. */
import { AbortedError } from "../lib/errors.ts";

interface Waiter {
  readonly enter: () => void;
  readonly refuse: (error: Error) => void;
}

export class TurnQueue {
  readonly #waiting: Waiter[] = [];
  #busy = false;

  /**
   * Waits for the turn, runs, passes the turn on.
   * @throws AbortedError when the signal fires while waiting
   */
  async run<T>(task: () => Promise<T>, signal: AbortSignal, what: string): Promise<T> {
    if (signal.aborted) throw new AbortedError(`${what}: aborted`, { cause: signal.reason });
    if (this.#busy) await this.#wait(signal, what);
    this.#busy = true;
    try {
      return await task();
    } finally {
      this.#passOn();
    }
  }

  /** Refuses everybody who waits now. */
  refuseAll(error: Error): void {
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error);
  }

  #wait(signal: AbortSignal, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new AbortedError(`${what}: aborted while waiting`, { cause: signal.reason }));
      };
      const settle = (): void => signal.removeEventListener("abort", onAbort);
      const waiter: Waiter = {
        enter: () => {
          settle();
          resolve();
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      this.#waiting.push(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  #passOn(): void {
    const next = this.#waiting.shift();
    // Stays busy while the turn travels to a waiter, so that nobody slips in between.
    this.#busy = next !== undefined;
    next?.enter();
  }
}
