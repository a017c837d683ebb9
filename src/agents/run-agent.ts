/**
 * What both agents share around their passes: the source, the loop, notifications of the node, the
 * health endpoint, and `--once`.
 */
import type { HostClient, HostWatch } from "../host/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isAbort } from "../lib/abort.ts";
import { LvsError } from "../lib/errors.ts";
import type { Logger } from "../lib/logger.ts";
import type { ObjectSource, SourceProblem } from "../source/source.ts";
import type { ConditionLog } from "./condition-log.ts";
import { startHealthServer, type HealthServer } from "./health-server.ts";
import {
  createLoop,
  DEFAULT_BACKOFF,
  type Loop,
  type PassOutcome,
  type PassSignals,
  type WakeReason,
} from "./loop.ts";

/** Changes of a node come in flocks (a pod starts, a device is renamed): one pass for each flock. */
const HOST_SETTLE_MS = 100;
/** Time between two tries to open a watch that ended, milliseconds. */
const WATCH_RETRY_MS = 1_000;

/** One of the agents, as its runner sees it. */
export interface Agent {
  pass(reasons: ReadonlySet<WakeReason>, signals: PassSignals): Promise<PassOutcome>;
  /** Whether the last pass left nothing to do. */
  readonly settled: boolean;
  /** Whether the node was brought to a complete desired state at least once. */
  readonly ready: boolean;
  /** The conditions of all objects. */
  readonly conditions: ConditionLog;
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

/** How a run ended: an object was refused, or a manifest could not be used; or neither. */
export interface RunOutcome {
  readonly refusals: boolean;
}

/**
 * Runs until `signal` fires, or with `once` until the node is as wanted. What was programmed stays.
 * @throws whatever keeps the agent from starting: the source, the health endpoint's port; with
 *   `once` ManifestError when there is nothing to work from
 */
export async function runAgent(options: RunOptions, signal: AbortSignal): Promise<RunOutcome> {
  const { agent, source, log } = options;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  let failure: Error | undefined;
  const loop = createLoop({
    ...options,
    pass: (reasons, signals) => agent.pass(reasons, signals),
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
  if (options.once) assertObjects(source);
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
  const broken = source.current().problems.some(({ severity }) => severity === "Error");
  return { refusals: broken || agent.conditions.hasRefusals };
}

/** Without objects a single run would wait for ever. */
function assertObjects(source: ObjectSource): void {
  const { objects, problems } = source.current();
  if (objects !== undefined) return;
  const reasons = problems.map(({ where, message }) => `${where}: ${message}`);
  throw new NoObjectsError(reasons.join("\n"));
}

/** There is no complete set of objects to work from; nothing was changed. */
class NoObjectsError extends LvsError {
  override readonly name = "NoObjectsError";
  readonly code = "LVS_MANIFEST";
  readonly retryable = true;
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
      settled: agent.settled,
      objects: Object.fromEntries(agent.conditions.current),
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
  #settling: NodeJS.Timeout | undefined;

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
      onChange: () => {
        this.#settling ??= setTimeout(() => {
          this.#settling = undefined;
          this.#loop.wake("host");
        }, HOST_SETTLE_MS);
      },
      onEnd: (error) => {
        this.#options.log.warn({ err: error }, "watch of the node ended and is opened again");
        void this.#reopen();
      },
    });
  }

  close(): void {
    clearTimeout(this.#settling);
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
