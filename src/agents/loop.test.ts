import { describe, expect, it } from "vitest";
import type { Clock } from "../lib/clock.ts";
import { AbortedError } from "../lib/errors.ts";
import { silentLogger } from "../lib/logger.ts";
import { createLoop, type WakeReason } from "./loop.ts";

/** A clock whose sleeps end when the test says so. */
function manualClock(): Clock & { sleeps: { ms: number; wake: () => void }[] } {
  const sleeps: { ms: number; wake: () => void }[] = [];
  return {
    sleeps,
    monotonicMs: () => 0,
    wallMs: () => 0,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleeps.push({ ms, wake: resolve });
        signal.addEventListener("abort", () => reject(new AbortedError("aborted")), { once: true });
      }),
  };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

function start(pass: (reasons: ReadonlySet<WakeReason>) => number) {
  const clock = manualClock();
  const stop = new AbortController();
  const seen: WakeReason[][] = [];
  const loop = createLoop({
    pass: async (reasons) => {
      seen.push([...reasons].sort());
      return { recheckAfterMs: pass(reasons) };
    },
    clock,
    random: () => 0,
    log: silentLogger,
    backoff: { baseMs: 100, maxMs: 1000 },
  });
  const done = loop.run(stop.signal);
  return { loop, clock, stop, seen, done };
}

describe("the agent loop", () => {
  it("runs at once, then after the time the pass asks for", async () => {
    const { clock, seen, stop, done } = start(() => 5000);
    await settle();
    expect(seen).toEqual([["start"]]);
    expect(clock.sleeps.map((s) => s.ms)).toEqual([5000]);
    clock.sleeps[0]?.wake();
    await settle();
    expect(seen[1]).toEqual(["timer"]);
    stop.abort();
    await done;
  });

  it("collapses wake-ups that arrive together into one pass", async () => {
    const { loop, seen, stop, done } = start(() => 5000);
    await settle();
    loop.wake("objects");
    loop.wake("objects");
    loop.wake("host");
    await settle();
    expect(seen).toEqual([["start"], ["host", "objects"]]);
    stop.abort();
    await done;
  });

  it("tells a running pass that something waits", async () => {
    const stop = new AbortController();
    const hurried: boolean[] = [];
    let end: (() => void) | undefined;
    const loop = createLoop({
      pass: async (_reasons, { hurry }) => {
        await new Promise<void>((resolve) => (end = resolve));
        hurried.push(hurry.aborted);
        return { recheckAfterMs: 1000 };
      },
      clock: manualClock(),
      random: () => 0,
      log: silentLogger,
      backoff: { baseMs: 100, maxMs: 1000 },
    });
    const done = loop.run(stop.signal);
    await settle();
    loop.wake("objects");
    end?.();
    await settle();
    end?.();
    await settle();
    stop.abort();
    await done;
    expect(hurried).toEqual([true, false]);
  });

  it("repeats a failed pass with its reasons and a growing delay", async () => {
    let failing = true;
    const { clock, seen, stop, done } = start(() => {
      if (failing) throw new Error("kernel says no");
      return 7000;
    });
    await settle();
    clock.sleeps[0]?.wake();
    await settle();
    failing = false;
    clock.sleeps[1]?.wake();
    await settle();
    expect(clock.sleeps.map((s) => s.ms)).toEqual([50, 100, 7000]);
    expect(seen).toEqual([["start"], ["retry", "start"], ["retry", "start"]]);
    stop.abort();
    await done;
  });

  it("does not make a change wait for the back-off of an earlier failure", async () => {
    const { loop, seen, stop, done } = start((reasons) => {
      if (!reasons.has("objects")) throw new Error("bad input");
      return 1000;
    });
    await settle();
    loop.wake("objects");
    await settle();
    expect(seen).toEqual([["start"], ["objects", "start"]]);
    stop.abort();
    await done;
  });
});
