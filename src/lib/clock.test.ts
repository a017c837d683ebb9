import { describe, expect, it } from "vitest";
import { isAbort, throwIfAborted } from "./abort.ts";
import { systemClock } from "./clock.ts";
import { AbortedError, TimeoutError, toError } from "./errors.ts";

describe("the machine's clock", () => {
  it("sleeps at least the time asked for", async () => {
    const before = systemClock.monotonicMs();
    await systemClock.sleep(20, new AbortController().signal);
    // Node's timers may fire up to a millisecond early by the monotonic clock.
    expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
  });

  it("stops sleeping when the signal fires, and keeps the reason", async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(new Error("told to stop"));
    await expect(sleeping).rejects.toThrow(AbortedError);
    await expect(sleeping).rejects.toMatchObject({ cause: new Error("told to stop") });
  });

  it("does not begin to sleep when the signal has fired already", async () => {
    await expect(systemClock.sleep(60_000, AbortSignal.abort())).rejects.toThrow(AbortedError);
  });

  it("leaves nothing on the signal after a sleep that ended by itself", async () => {
    const listeners = new Set<unknown>();
    const signal = new AbortController().signal;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    Object.assign(signal, {
      addEventListener(...args: Parameters<typeof add>) {
        listeners.add(args[1]);
        add(...args);
      },
      removeEventListener(...args: Parameters<typeof remove>) {
        listeners.delete(args[1]);
        remove(...args);
      },
    });
    await systemClock.sleep(1, signal);
    expect(listeners.size).toBe(0);
  });

  it("tells wall time in milliseconds since 1970", () => {
    expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1000);
  });
});

describe("errors", () => {
  it("an abort is told from a failure, ours and Node's alike", () => {
    expect(isAbort(new AbortedError("x"))).toBe(true);
    expect(isAbort(new DOMException("x", "AbortError"))).toBe(true);
    expect(isAbort(new TimeoutError("x", 5))).toBe(false);
    expect(isAbort("AbortError")).toBe(false);
  });

  it("a fired signal throws with its reason as the cause", () => {
    const reason = new Error("told to stop");
    expect(() => throwIfAborted(AbortSignal.abort(reason), "read")).toThrow(
      expect.objectContaining({ message: "read: aborted", cause: reason }),
    );
    expect(() => throwIfAborted(new AbortController().signal, "read")).not.toThrow();
  });

  it("a deadline says how long was allowed and may be tried again", () => {
    expect(new TimeoutError("dump services", 250)).toMatchObject({
      message: "dump services: no answer within 250 ms",
      milliseconds: 250,
      code: "LVS_TIMEOUT",
      retryable: true,
    });
  });

  it("whatever was thrown becomes an error, and an error stays itself", () => {
    const error = new Error("x");
    expect(toError(error)).toBe(error);
    expect(toError("boom")).toMatchObject({ message: "boom", cause: "boom" });
  });
});
