/** One bounded wait for a socket to become readable. */
import type { Clock } from "../lib/clock.ts";
import { AbortedError } from "../lib/errors.ts";

/** The part of a socket that can be waited for. */
export interface Watchable {
  watch(onReadable: (() => void) | null): void;
}

/** How long and until whose word to wait. */
export interface WaitLimits {
  readonly milliseconds: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * Resolves true when the socket is readable, false when the time is over.
 * @throws AbortedError when the signal fires
 */
export async function waitReadable(
  socket: Watchable,
  { milliseconds, signal, clock }: WaitLimits,
): Promise<boolean> {
  if (signal.aborted) throw new AbortedError("wait aborted", { cause: signal.reason });
  const stop = new AbortController();
  const readable = new Promise<boolean>((resolve) => socket.watch(() => resolve(true)));
  const over = clock.sleep(milliseconds, AbortSignal.any([signal, stop.signal])).then(() => false);
  try {
    return await Promise.race([readable, over]);
  } finally {
    socket.watch(null);
    stop.abort();
    // Its rejection by `stop` has no other reader.
    over.catch(() => undefined);
  }
}
