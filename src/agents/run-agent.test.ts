import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Condition } from "../api/conditions.ts";
import { objectsOf } from "../compile/testing/builders.ts";
import type { HostWatch, HostWatchHandler } from "../host/client.ts";
import { systemClock, type Clock } from "../lib/clock.ts";
import { SocketError } from "../netlink/errors.ts";
import { ConditionLog } from "./condition-log.ts";
import type { WakeReason } from "./loop.ts";
import { runAgent, type Agent, type RunOptions, type RunOutcome } from "./run-agent.ts";
import { MemorySource } from "./testing/memory-source.ts";
import { NodeFixture } from "./testing/node-fixture.ts";

/** The machine's clock, at a hundred times its speed. */
const fastClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
};

class ScriptedAgent implements Agent {
  readonly conditions: ConditionLog;
  readonly passes: (readonly WakeReason[])[] = [];
  settled = true;
  stuck = false;
  ready = true;
  finished = false;
  /** Thrown by the next passes, in order. */
  readonly failures: Error[] = [];

  constructor(node: NodeFixture) {
    this.conditions = new ConditionLog(node.log);
  }

  pass(reasons: ReadonlySet<WakeReason>): Promise<{ recheckAfterMs: number }> {
    this.passes.push([...reasons]);
    const failure = this.failures.shift();
    return failure === undefined
      ? Promise.resolve({ recheckAfterMs: 1e7 })
      : Promise.reject(failure);
  }

  objectConditions(): ReadonlyMap<string, readonly Condition[]> {
    return this.conditions.current;
  }

  status(): object {
    return { role: "scripted" };
  }

  finish(): Promise<void> {
    this.finished = true;
    return Promise.resolve();
  }
}

let node: NodeFixture;
let agent: ScriptedAgent;
let source: MemorySource;
let stop: AbortController;
beforeEach(() => {
  node = new NodeFixture();
  agent = new ScriptedAgent(node);
  source = new MemorySource(objectsOf([]));
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  node[Symbol.dispose]();
});

function run(options: Partial<RunOptions> = {}): Promise<RunOutcome> {
  const { host, log } = node;
  return runAgent(
    { agent, source, host, clock: fastClock, log, once: false, health: undefined, ...options },
    stop.signal,
  );
}

async function until(holds: () => boolean): Promise<void> {
  for (let left = 200; left > 0 && !holds(); left--) await delay(5);
  expect(holds()).toBe(true);
}

describe("runAgent", () => {
  it("passes at the start, on changes of objects and of the node, and ends as told", async () => {
    const done = run();
    await until(() => agent.passes.length === 1);
    source.set(objectsOf([]));
    await until(() => agent.passes.length === 2);
    await node.host.change(() => undefined);
    await node.host.change(() => undefined);
    await until(() => agent.passes.length === 3);
    stop.abort();
    await done;
    expect(agent.passes).toEqual([["start"], ["objects"], ["host"]]);
    expect(agent.finished).toBe(true);
    await node.host.change(() => undefined);
    source.set(objectsOf([]));
    await delay(150);
    expect(agent.passes).toHaveLength(3);
  });

  it("opens the watch again when it ends, and when that fails at first", async () => {
    const handlers: HostWatchHandler[] = [];
    let refusals = 0;
    node.host.watch = (handler): HostWatch => {
      if (handlers.length === 1 && refusals < 2) {
        refusals += 1;
        throw new SocketError("socket", 24);
      }
      handlers.push(handler);
      return { close: () => undefined };
    };
    const done = run();
    await until(() => handlers.length === 1);
    handlers[0]?.onEnd(new Error("overrun"));
    await until(() => handlers.length === 2 && agent.passes.length > 1);
    expect(refusals).toBe(2);
    stop.abort();
    await done;
  });

  it("says each problem of the source once while it lasts", async () => {
    const problem = { severity: "Error", where: "a.yaml:1:1", message: "no" } as const;
    const done = run();
    await until(() => agent.passes.length === 1);
    for (const problems of [[problem], [problem], [], [problem]]) {
      source.set(objectsOf([]), problems);
    }
    expect(node.lines.filter((line) => line.startsWith("error manifest problem"))).toHaveLength(2);
    stop.abort();
    await done;
  });

  it("tells readiness and status", async () => {
    const health = { address: "127.0.0.1", port: 29_640 };
    agent.ready = false;
    const done = run({ health, clock: systemClock });
    await until(() => agent.passes.length === 1);
    const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:29640${path}`);
    expect(await (await ask("/readyz")).text()).toBe("the first pass has not ended yet\n");
    agent.ready = true;
    expect((await ask("/readyz")).status).toBe(200);
    agent.failures.push(new Error("kernel gone"));
    source.set(objectsOf([]));
    await until(() => agent.passes.length === 2);
    expect(await (await ask("/readyz")).text()).toBe("the last pass failed: kernel gone\n");
    expect(await (await ask("/status")).json()).toMatchObject({
      role: "scripted",
      settled: true,
      objects: {},
      problems: [],
    });
    stop.abort();
    await done;
    await expect(ask("/healthz")).rejects.toThrow();
  });
});

describe("runAgent once", () => {
  const REFUSED: Condition = { type: "Accepted", status: "False", reason: "Invalid", message: "" };

  it("ends when the agent is settled, and not before", async () => {
    agent.settled = false;
    const done = run({ once: true });
    await until(() => agent.passes.length === 1);
    agent.settled = true;
    source.set(objectsOf([]));
    expect(await done).toEqual({ refusals: false });
  });

  it("ends when waiting does not help, and says so", async () => {
    Object.assign(agent, { settled: false, stuck: true });
    expect(await run({ once: true })).toEqual({ refusals: true });
  });

  it("tells of a refused object and of a broken manifest", async () => {
    agent.conditions.note(new Map([["VirtualService shop/web", [REFUSED]]]));
    expect(await run({ once: true })).toEqual({ refusals: true });
    agent.conditions.note(new Map());
    source.set(objectsOf([]), [{ severity: "Error", where: "a.yaml", message: "no" }]);
    expect(await run({ once: true })).toEqual({ refusals: true });
  });

  it("does not call an object refused that is held back by its own wish", async () => {
    const held: Condition = { ...REFUSED, type: "Programmed", reason: "DryRun" };
    agent.conditions.note(new Map([["VirtualService shop/web", [held]]]));
    expect(await run({ once: true })).toEqual({ refusals: false });
  });

  it("fails without objects, and leaves no endpoint open", async () => {
    source.set(undefined, [{ severity: "Error", where: "dir", message: "is empty" }]);
    const health = { address: "127.0.0.1", port: 29_641 };
    await expect(run({ once: true, health })).rejects.toMatchObject({
      code: "LVS_MANIFEST",
      message: "dir: is empty",
    });
    await expect(fetch("http://127.0.0.1:29641/healthz")).rejects.toThrow();
  });

  it("tries a failing pass again, and gives up with its error in the end", async () => {
    agent.failures.push(new Error("first"), new Error("second"));
    expect(await run({ once: true })).toEqual({ refusals: false });
    agent.failures.push(...Array.from({ length: 9 }, () => new Error("read-only file system")));
    await expect(run({ once: true })).rejects.toThrow("read-only file system");
  });
});
