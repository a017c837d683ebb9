import type { Clock } from "../lib/clock.ts";

/**
 * Milliseconds since the Unix epoch for deadlines that outlive the process: the wall clock as it
 * was at the call, carried on by the monotonic one. A clock that is set while the agent runs ends
 * no drain early and prolongs none; a later process starts from the clock as it is then.
 */
export function steadyWall(clock: Clock): () => number {
  const offsetMs = clock.wallMs() - clock.monotonicMs();
  return () => Math.round(offsetMs + clock.monotonicMs());
}
