import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { AbortedError, TimeoutError } from "../lib/errors.ts";
import { LockHeldError } from "./errors.ts";
import { NodeLocks } from "./lock.ts";

const signal = AbortSignal.timeout(20_000);

function someLocks(): NodeLocks {
  return new NodeLocks({ namespace: `test-${randomUUID()}` });
}

describe("acquireRole", () => {
  it("refuses a second agent of the role and says who the first is", async () => {
    const namespace = `test-${randomUUID()}`;
    const first = new NodeLocks({ namespace, pid: 4711 });
    await first.acquireRole("director", signal);
    const second = new NodeLocks({ namespace }).acquireRole("director", signal);
    await expect(second).rejects.toThrow(LockHeldError);
    await expect(second).rejects.toMatchObject({
      code: "LVS_LOCK_HELD",
      holder: { pid: 4711, role: "director" },
    });
  });

  it("lets two roles run side by side", async () => {
    const locks = someLocks();
    await locks.acquireRole("director", signal);
    await expect(locks.acquireRole("realserver", signal)).resolves.toBeDefined();
  });

  it("is free again once released, at once", async () => {
    const locks = someLocks();
    for (let i = 0; i < 50; i++) {
      const lock = await locks.acquireRole("director", signal);
      await lock.release();
      await lock.release();
    }
    expect(await locks.whoHolds("director", signal)).toBeUndefined();
  });

  it("is free again when its holder is killed", async () => {
    const namespace = `test-${randomUUID()}`;
    const source = `
      import { NodeLocks } from ${JSON.stringify(new URL("lock.ts", import.meta.url).href)};
      await new NodeLocks({ namespace: ${JSON.stringify(namespace)} })
        .acquireRole("director", AbortSignal.timeout(10000));
      setInterval(() => undefined, 1000);
      console.log("held");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const locks = new NodeLocks({ namespace });
    await expect(locks.acquireRole("director", signal)).rejects.toMatchObject({
      holder: { pid: child.pid },
    });
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    await expect(locks.acquireRole("director", signal)).resolves.toBeDefined();
  });

  it("does not wait for a peer that asks and never hangs up", async () => {
    const namespace = `test-${randomUUID()}`;
    const locks = new NodeLocks({ namespace });
    const lock = await locks.acquireRole("director", signal);
    const peer = connect({ path: `\0${namespace}/director`, allowHalfOpen: true });
    await once(peer, "connect");
    await lock.release();
    await (await locks.acquireRole("director", signal)).release();
    peer.destroy();
  });

  it("takes nothing once the signal has fired", async () => {
    const locks = someLocks();
    const aborted = locks.acquireRole("director", AbortSignal.abort());
    await expect(aborted).rejects.toThrow(AbortedError);
    expect(await locks.whoHolds("director", signal)).toBeUndefined();
  });
});

describe("withJournal", () => {
  it("runs one task at a time, also inside one process", async () => {
    const locks = someLocks();
    let running = 0;
    let most = 0;
    const task = async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await systemClock.sleep(2, signal);
      running -= 1;
    };
    await Promise.all(Array.from({ length: 8 }, () => locks.withJournal(task, signal)));
    expect(most).toBe(1);
  });

  it("lets go when the task throws", async () => {
    const locks = someLocks();
    const failing = locks.withJournal(() => Promise.reject(new Error("no")), signal);
    await expect(failing).rejects.toThrow("no");
    await expect(locks.withJournal(() => Promise.resolve(1), signal)).resolves.toBe(1);
  });

  it("gives up at its deadline", async () => {
    const locks = someLocks();
    const held = Promise.withResolvers<undefined>();
    const first = locks.withJournal(() => held.promise, signal);
    const late = locks.withJournal(() => Promise.resolve(), signal, 30);
    await expect(late).rejects.toThrow(TimeoutError);
    held.resolve(undefined);
    await first;
  });
});
