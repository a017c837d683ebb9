import { expect, it } from "vitest";
import { steadyWall } from "./steady-wall.ts";
import { ManualClock } from "./testing/manual-clock.ts";

it("goes on from the wall clock at the start, and does not follow its steps", () => {
  const clock = new ManualClock();
  const start = clock.wallMs();
  const nowMs = steadyWall(clock);
  clock.advance(1_000);
  clock.stepWall(-3_600_000);
  expect(nowMs()).toBe(start + 1_000);
  expect(steadyWall(clock)()).toBe(clock.wallMs());
});
