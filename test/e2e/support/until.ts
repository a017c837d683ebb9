/** Waiting for the world to become so, with a deadline. */
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 40;
/** Most probes start processes, and what is waited for needs the core too. */
const POLL_PAUSES = 2;

/**
 * Asks again and again until the answer is neither undefined nor false, and returns it. An error
 * of the probe counts as "not yet": the last one is the cause when the time is over.
 * @throws Error naming `what` after `timeoutMs`
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | false | undefined> | T | false | undefined,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    const probedMs = performance.now();
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(Math.max(POLL_MS, POLL_PAUSES * (performance.now() - probedMs)));
  } while (performance.now() < deadline);
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause });
}
