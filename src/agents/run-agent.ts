/**
 * What both agents share around their passes: the source, the loop, notifications of the node, the
 * health endpoint, and `--once`.
 */
import type { HostClient, HostWatch } from "../host/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isAbort } from "../lib/abort.ts";
import type { Logger } from "../lib/logger.ts";
import type { ObjectSource, SourceProblem } from "../source/source.ts";
import { startHealthServer, type HealthServer } from "./health-server.ts";
import {
  createLoop,
  DEFAULT_BACKOFF,
  type Loop,
  type PassOutcome,
  type WakeReason,
} from "./loop.ts";

/** Time between two tries to open a watch that ended, milliseconds. */
const WATCH_RETRY_MS = 1_000;

/** One of the agents, as its runner sees it. */
export interface Agent {
  pass(reasons: ReadonlySet<WakeReason>, signal: AbortSignal): Promise<PassOutcome>;
  /** Whether the last pass left nothing to do. */
  readonly settled: boolean;
  /** Whether the node was brought to a complete desired state at least once. */
  readonly ready: boolean;
  /** For `/status`. */
  status(): object;
  /** Ends what runs beside the passes; resolves when it has. */
  finish(): Promise<void>;
}

export interface RunOptions {
  readonly agent: Agent;
  readonly source: ObjectSource;
  readonly host: HostClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stop when the node is as the objects say. */
  readonly once: boolean;
  /** Where to listen; undefined = no health endpoint. */
  readonly health: { readonly address: string; readonly port: number } | undefined;
  /** Given the way to ask for a pass, before the first one. */
  readonly onLoop?: (loop: Loop) => void;
}

/**
 * Runs until `signal` fires, or with `once` until the node is as wanted. What was programmed stays.
 * @throws whatever keeps the agent from starting: the source, the health endpoint's port
 */
export async function runAgent(options: RunOptions, signal: AbortSignal): Promise<void> {
  const { agent, source, log } = options;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  let failure: Error | undefined;
  const loop = createLoop({
    ...options,
    pass: (reasons, passSignal) => agent.pass(reasons, passSignal),
    random: Math.random,
    backoff: DEFAULT_BACKOFF,
    onPass: (error) => {
      failure = error;
      if (options.once && error === undefined && agent.settled) done.abort();
    },
  });
  options.onLoop?.(loop);
  const health = await openHealth(options, () => failure);
  const problems = new ProblemLog(log);
  await source.start(stop);
  problems.note(source.current().problems);
  const unsubscribe = source.onChange(() => {
    problems.note(source.current().problems);
    loop.wake("objects");
  });
  const watch = new HostWatcher(options, loop, stop);
  try {
    watch.open();
    log.info({}, "agent started");
    await loop.run(stop);
  } finally {
    unsubscribe();
    watch.close();
    await agent.finish();
    await health?.close();
    log.info({}, "agent stopped; services, addresses and settings stay in place");
  }
}

async function openHealth(
  { health, agent, source }: RunOptions,
  lastFailure: () => Error | undefined,
): Promise<HealthServer | undefined> {
  if (health === undefined) return undefined;
  return startHealthServer(health.address, health.port, {
    notReady: () => {
      if (source.current().objects === undefined) return "no complete set of objects was read yet";
      const failure = lastFailure();
      if (failure !== undefined) return `the last pass failed: ${failure.message}`;
      return agent.ready ? undefined : "the first pass has not ended yet";
    },
    status: () => ({
      ...agent.status(),
      problems: source.current().problems,
      lastFailure: lastFailure()?.message,
    }),
  });
}

/** Keeps a watch on the node open; while there is none, the audit alone finds changes. */
class HostWatcher {
  readonly #options: Pick<RunOptions, "host" | "clock" | "log">;
  readonly #loop: Loop;
  readonly #signal: AbortSignal;
  #watch: HostWatch | undefined;

  constructor(
    options: Pick<RunOptions, "host" | "clock" | "log">,
    loop: Loop,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#loop = loop;
    this.#signal = signal;
  }

  open(): void {
    this.#watch = this.#options.host.watch({
      onChange: () => this.#loop.wake("host"),
      onEnd: (error) => {
        this.#options.log.warn({ err: error }, "watch of the node ended and is opened again");
        void this.#reopen();
      },
    });
  }

  close(): void {
    this.#watch?.close();
  }

  async #reopen(): Promise<void> {
    try {
      await this.#options.clock.sleep(WATCH_RETRY_MS, this.#signal);
      this.open();
      this.#loop.wake("host");
    } catch (error) {
      if (!isAbort(error)) throw error;
    }
  }
}

/** Says each problem of the source once while it lasts. */
class ProblemLog {
  readonly #log: Logger;
  #standing: ReadonlySet<string> = new Set();

  constructor(log: Logger) {
    this.#log = log;
  }

  note(problems: readonly SourceProblem[]): void {
    const standing = new Set<string>();
    for (const { severity, where, message } of problems) {
      const key = `${where} ${message}`;
      standing.add(key);
      if (this.#standing.has(key)) continue;
      const write = severity === "Error" ? "error" : "info";
      this.#log[write]({ where, detail: message }, "manifest problem");
    }
    this.#standing = standing;
  }
}
