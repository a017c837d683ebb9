/**
 * Exclusion between the agents of a node and lvsctl. A lock is an abstract unix socket: the kernel
 * lets one process bind a name, per network namespace, and releases it when the process dies in
 * whatever way. So no lock is ever stale, none outlives its namespace, and the nodes of a test lab
 * that share a file system do not meet. A lock is not re-entrant, inside one process either.
 */
import { once } from "node:events";
import { type Server, type Socket, connect, createServer } from "node:net";
import { throwIfAborted } from "../lib/abort.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { AbortedError, TimeoutError } from "../lib/errors.ts";
import { type LockHolder, LockHeldError } from "./errors.ts";

/** A lock we hold. Its release is idempotent; `using` works too. */
export interface HeldLock extends AsyncDisposable {
  release(): Promise<void>;
}

export interface LockOptions {
  /** First part of the name; tests choose their own. */
  readonly namespace?: string;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly pid?: number;
}

const DEFAULT_NAMESPACE = "lvs-operator";
const JOURNAL_DEADLINE_MS = 10_000;
const HOLDER_ANSWER_MS = 500;
const HOLDER_ANSWER_BYTES = 1024;
const RETRY = { baseMs: 5, maxMs: 100 };

/** The locks of the network namespace that this process is in. */
export class NodeLocks {
  readonly #namespace: string;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #pid: number;

  constructor(options: LockOptions = {}) {
    this.#namespace = options.namespace ?? DEFAULT_NAMESPACE;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#pid = options.pid ?? process.pid;
  }

  /**
   * Makes this process the only agent of the role in the network namespace until it ends or lets
   * go. Does not keep the process alive.
   * @throws LockHeldError when there is one; it tells its process id if it answered
   * @throws AbortedError
   */
  async acquireRole(role: string, signal: AbortSignal): Promise<HeldLock> {
    const lock = await this.#tryAcquire(role, signal);
    if (lock !== undefined) return lock;
    throw new LockHeldError(`role ${role}`, await this.whoHolds(role, signal));
  }

  /**
   * Runs `task` while no other process changes the journal or what it is about.
   * @param deadlineMs longest wait for the lock
   * @throws TimeoutError when others held it all the time; AbortedError; what the task throws
   */
  async withJournal<T>(
    task: () => Promise<T>,
    signal: AbortSignal,
    deadlineMs: number = JOURNAL_DEADLINE_MS,
  ): Promise<T> {
    const lock = await this.#acquireWithin("journal", deadlineMs, signal);
    try {
      return await task();
    } finally {
      await lock.release();
    }
  }

  /** Asks the holder of a role; undefined when there is none or it does not answer in time. */
  async whoHolds(role: string, signal: AbortSignal): Promise<LockHolder | undefined> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(HOLDER_ANSWER_MS)]);
    try {
      return parseHolder(await readAll(connect({ path: this.#path(role), signal: limit })));
    } catch {
      // Nobody there, no answer in time, or not one of ours: nothing is known.
      return undefined;
    }
  }

  #path(name: string): string {
    return `\0${this.#namespace}/${name}`;
  }

  async #acquireWithin(name: string, deadlineMs: number, signal: AbortSignal): Promise<HeldLock> {
    const endMs = this.#clock.monotonicMs() + deadlineMs;
    for (let attempt = 1; ; attempt++) {
      const lock = await this.#tryAcquire(name, signal);
      if (lock !== undefined) return lock;
      const leftMs = endMs - this.#clock.monotonicMs();
      if (leftMs <= 0) throw new TimeoutError(`lock ${name}`, deadlineMs);
      const pauseMs = Math.min(leftMs, backoffMs(attempt, RETRY, this.#random));
      await this.#clock.sleep(pauseMs, signal);
    }
  }

  async #tryAcquire(name: string, signal: AbortSignal): Promise<HeldLock | undefined> {
    throwIfAborted(signal, `lock ${name}`);
    const holder: LockHolder = { pid: this.#pid, role: name, sinceWallMs: this.#clock.wallMs() };
    const server = createServer((socket) => answer(socket, holder));
    server.unref();
    try {
      server.listen({ path: this.#path(name) });
      await once(server, "listening");
    } catch (error) {
      server.close();
      if (isAddressInUse(error)) return undefined;
      throw error;
    }
    const lock = holdServer(server);
    if (!signal.aborted) return lock;
    await lock.release();
    throw new AbortedError(`lock ${name}: aborted`, { cause: signal.reason });
  }
}

function holdServer(server: Server): HeldLock {
  const release = (): Promise<void> => {
    // `close` closes the descriptor at once, and with it the name is free. Its callback would also
    // wait for those who are asking who we are.
    server.close();
    return Promise.resolve();
  };
  return { release, [Symbol.asyncDispose]: release };
}

function answer(socket: Socket, holder: LockHolder): void {
  // A peer that goes away early is its own business.
  socket.on("error", () => undefined);
  socket.unref();
  socket.end(JSON.stringify(holder), () => socket.destroy());
}

async function readAll(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.length > HOLDER_ANSWER_BYTES) break;
  }
  return text;
}

function parseHolder(text: string): LockHolder | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) return undefined;
  if (!("pid" in value) || !("role" in value) || !("sinceWallMs" in value)) return undefined;
  const { pid, role, sinceWallMs } = value;
  if (typeof pid !== "number" || typeof role !== "string") return undefined;
  return typeof sinceWallMs === "number" ? { pid, role, sinceWallMs } : undefined;
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
