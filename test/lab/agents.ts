/** The product's agents in lab hosts, as a test or the demo runs them. */
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import type { LabProcess, ProcessEnd } from "./lab-process.ts";
import type { HostName } from "./network.ts";
import { PROJECT_ROOT } from "./paths.ts";
import type { Topology } from "./topology.ts";

/** Subcommand of lvs-operator. */
export type AgentRole = "director" | "realserver";

export interface AgentOptions {
  /** More arguments, e.g. `["--audit-seconds", "1"]`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: one of the host's own, kept between starts so that the journal is found again. */
  readonly stateDirectory?: string;
  readonly logLevel?: "debug" | "info" | "warn" | "error";
  /** How long the first pass may take; default 30 seconds. */
  readonly readyTimeoutMs?: number;
  /** Whether to wait until the agent is ready; default true. */
  readonly waitReady?: boolean;
  /** Command that runs the agent, e.g. strace with its options; must become the agent's process. */
  readonly wrapper?: readonly string[];
}

/** A running agent. */
export interface Agent {
  readonly host: HostName;
  readonly role: AgentRole;
  readonly process: LabProcess;
  /** Log lines, parsed; lines that are not JSON are left out. */
  logs(): readonly Readonly<Record<string, unknown>>[];
  /** The agent's /status. */
  status(): Promise<unknown>;
  /** Waits until /readyz says ok. @throws Error with the log when the time is over */
  ready(timeoutMs?: number): Promise<void>;
  /** SIGTERM, as a restart of the service sends. */
  stop(): Promise<ProcessEnd>;
  /** SIGKILL: no code of the agent runs any more. */
  kill(): Promise<ProcessEnd>;
}

const HEALTH_PORT: Readonly<Record<AgentRole, number>> = { director: 9640, realserver: 9641 };
const OPERATOR = join(PROJECT_ROOT, "src/main/lvs-operator.ts");
const LVSCTL = join(PROJECT_ROOT, "src/main/lvsctl.ts");
const READY_POLL_MS = 50;
/** Asking starts a process, and an agent that starts needs the core: ask a fraction of the time. */
const READY_POLL_PAUSES = 4;

/** Where an agent of the host keeps its journal when the caller does not say. */
export function stateDirectoryOf(topology: Topology, host: HostName): string {
  const directory = join(topology.directory, `state-${host}`);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Starts an agent in the host. @throws Error with its log when it does not become ready */
// Five values name an agent; an object would only repeat their names at every call.
// oxlint-disable-next-line eslint/max-params
export async function startAgent(
  topology: Topology,
  host: HostName,
  role: AgentRole,
  manifests: string,
  options: AgentOptions = {},
): Promise<Agent> {
  const argv = [
    ...(options.wrapper ?? []),
    ...[OPERATOR, role],
    ...["--manifests", manifests, "--node", host],
    ...["--state-dir", options.stateDirectory ?? stateDirectoryOf(topology, host)],
    ...["--log-level", options.logLevel ?? "debug"],
    ...(options.args ?? []),
  ];
  const child = await topology.spawn(
    host,
    argv,
    options.env === undefined ? {} : { env: options.env },
  );
  const agent = agentHandle(topology, host, role, child);
  if (options.waitReady !== false) await agent.ready(options.readyTimeoutMs);
  return agent;
}

function agentHandle(
  topology: Topology,
  host: HostName,
  role: AgentRole,
  child: LabProcess,
): Agent {
  const ask = async (path: string): Promise<string | undefined> => {
    const url = `http://127.0.0.1:${HEALTH_PORT[role]}${path}`;
    const result = await topology.exec(host, ["curl", "-sf", "-m", "2", url], { check: false });
    return result.code === 0 ? result.stdout : undefined;
  };
  return {
    host,
    role,
    process: child,
    logs: () => child.lines.flatMap(parseLogLine),
    status: async () => {
      const body = await ask("/status");
      if (body === undefined) throw new Error(`${child.title} does not answer /status`);
      const status: unknown = JSON.parse(body);
      return status;
    },
    async ready(timeoutMs = 30_000) {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const askedMs = performance.now();
        if ((await ask("/readyz")) !== undefined) return;
        const tookMs = performance.now() - askedMs;
        if (child.end !== undefined || performance.now() > deadline) {
          throw new Error(`${child.title} is not ready:\n${child.lines.join("\n")}`);
        }
        await sleep(Math.max(READY_POLL_MS, READY_POLL_PAUSES * tookMs));
      }
    },
    stop: () => child.stop(),
    kill: () => {
      child.kill("SIGKILL");
      return child.exited;
    },
  };
}

function parseLogLine(line: string): readonly Readonly<Record<string, unknown>>[] {
  try {
    const value: unknown = JSON.parse(line);
    // A JSON object has string keys.
    return typeof value === "object" && value !== null ? [value as Record<string, unknown>] : [];
  } catch {
    return [];
  }
}

/** Runs lvsctl in the host with the state directory of its agent. */
export function lvsctl(
  topology: Topology,
  host: HostName,
  args: readonly string[],
): ReturnType<Topology["exec"]> {
  const argv = [LVSCTL, ...args];
  return topology.exec(host, argv, { check: false, timeoutMs: 30_000 });
}
