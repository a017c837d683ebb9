/**
 * What both agents share around their passes: the source, the loop, notifications of the node, the
 * health endpoint, and `--once`.
 */
import type { HostClient, HostWatch } from "../host/client.ts";
import type { Clock } from "../lib/clock.ts";
import { isAbort } from "../lib/abort.ts";
import { LvsError, toError } from "../lib/errors.ts";
import type { ObjectConditions } from "../compile/model.ts";
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
/** So many failed passes in a row end a single run. */
const ONCE_FAILURES = 5;
/** Time between two tries to open a watch that ended, milliseconds. */
const WATCH_RETRY_MS = 1_000;

/** One of the agents, as its runner sees it. */
export interface Agent {
  pass(reasons: ReadonlySet<WakeReason>, signals: PassSignals): Promise<PassOutcome>;
  /** Whether the last pass left nothing to do. */
  readonly settled: boolean;
  /** Whether what is left to do was refused again and again, so that waiting does not help. */
  readonly stuck: boolean;
  /** Whether the node was brought to a complete desired state at least once. */
  readonly ready: boolean;
  /** What was noted about all objects. */
  readonly conditions: ConditionLog;
  /** The conditions of all objects with what only the agent knows; made when asked for. */
  objectConditions(): ObjectConditions;
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

/** How a run ended. */
export interface RunOutcome {
  /** An object or a manifest was refused, or the node does not take something that is needed. */
  readonly refusals: boolean;
}

/**
 * Runs until `signal` fires, or with `once` until the node is as wanted. What was programmed stays.
 * @throws whatever keeps the agent from starting: the source, the health endpoint's port; with
 *   `once` NoObjectsError when there is nothing to work from, and what passes failed by when
 *   several in a row did
 */
export async function runAgent(options: RunOptions, signal: AbortSignal): Promise<RunOutcome> {
  const { agent, source, log } = options;
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  let failure: Error | undefined;
  let failures = 0;
  const loop = createLoop({
    ...options,
    pass: (reasons, signals) => agent.pass(reasons, signals),
    random: Math.random,
    backoff: DEFAULT_BACKOFF,
    onPass: (error) => {
      failure = error;
      failures = error === undefined ? 0 : failures + 1;
      const ended = error === undefined && (agent.settled || agent.stuck);
      if (options.once && (ended || failures >= ONCE_FAILURES)) done.abort();
    },
  });
  options.onLoop?.(loop);
  await using ending = new AsyncDisposableStack();
  ending.defer(() => done.abort());
  const health = await openHealth(options, () => failure);
  ending.defer(() => health?.close());
  const problems = new ProblemLog(log);
  await source.start(stop);
  problems.note(source.current().problems);
  if (options.once) assertObjects(source);
  ending.defer(() => agent.finish());
  const unsubscribe = source.onChange(() => {
    problems.note(source.current().problems);
    loop.wake("objects");
  });
  ending.defer(unsubscribe);
  using watch = new HostWatcher(options, loop, stop);
  watch.open();
  log.info({}, "agent started");
  await loop.run(stop);
  log.info({}, "agent stops; services, addresses and settings stay in place");
  if (options.once && failure !== undefined && !signal.aborted) throw failure;
  const broken = source.current().problems.some(({ severity }) => severity === "Error");
  return { refusals: broken || agent.conditions.hasRefusals || !agent.settled };
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
  { health, agent, source, log }: RunOptions,
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
      objects: Object.fromEntries(agent.objectConditions()),
      problems: source.current().problems,
      lastFailure: lastFailure()?.message,
    }),
    onError: (error) => log.error({ err: error }, "health endpoint failed"),
  });
}

/** Keeps a watch on the node open; while there is none, the audit alone finds changes. */
class HostWatcher implements Disposable {
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

  /** Opens the watch; while the node refuses, it is tried again. */
  open(): void {
    try {
      this.#watch = this.#subscribe();
    } catch (thrown) {
      this.#options.log.warn({ err: toError(thrown) }, "node cannot be watched, tried again");
      void this.#reopen();
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#settling);
    this.#watch?.close();
  }

  #subscribe(): HostWatch {
    return this.#options.host.watch({
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
