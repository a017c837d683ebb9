/** The real director agent as a process of its own, in a namespace with an interface for VIPs. */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startDaemon, until, type Daemon } from "./daemon.ts";
import type { BenchContext } from "./measure.ts";
import { withNamespace, type Namespace } from "./namespace.ts";
import { figure, run, runJson } from "./process.ts";
import { productNode, PROGRAM } from "./product.ts";
import { formatSize, manifest, manifestPath, vipCount, writeManifests } from "./workload.ts";
import type { Size, WeightChange } from "./workload.ts";

const COLLECTOR = join(import.meta.dirname, "collect-on-signal.ts");
const READY_DEADLINE_MS = 180_000;
/** The VIPs that were just bound are announced, and the node is looked at once more. */
const SETTLE_MS = 5_000;

/** Where an agent lives: survives the agent, not the measurement. */
export interface AgentHome {
  readonly namespace: Namespace;
  readonly manifests: string;
  readonly stateDirectory: string;
  readonly size: Size;
}

/** Memory after garbage collection. */
export interface MemoryFigures {
  readonly rssMb: number;
  readonly heapMb: number;
}

/**
 * A new namespace with manifests of the size and an interface whose network holds all VIPs and
 * leads to all real servers. Its other end is a namespace where nobody answers.
 */
export function withAgentHome<T>(
  context: BenchContext,
  size: Size,
  body: (home: AgentHome) => Promise<T>,
): Promise<T> {
  return withNamespace(context.signal, (neighbour) =>
    withNamespace(context.signal, async (namespace) => {
      const directory = join(context.scratch, namespace.name);
      await mkdir(directory, { recursive: true });
      const home: AgentHome = {
        namespace,
        manifests: join(directory, "manifests"),
        stateDirectory: join(directory, "state"),
        size,
      };
      try {
        await connect(context, namespace, neighbour);
        await writeManifests(home.manifests, size);
        return await body(home);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    }),
  );
}

async function connect(
  { signal }: BenchContext,
  namespace: Namespace,
  neighbour: Namespace,
): Promise<void> {
  const ip = (...args: string[]): Promise<string> =>
    run(["ip", "-n", namespace.name, ...args], signal);
  const pair = ["link", "add", "eth0", "type", "veth", "peer", "name", "eth0"];
  await ip(...pair, "netns", neighbour.name);
  await run(["ip", "-n", neighbour.name, "link", "set", "eth0", "up"], signal);
  await ip("link", "set", "eth0", "up");
  await ip("address", "add", "10.100.255.254/16", "dev", "eth0");
  await ip("route", "add", "10.128.0.0/9", "dev", "eth0");
}

export interface Agent {
  readonly daemon: Daemon;
  /** Waits until the kernel has the whole table, every VIP is bound, and the agent says ready. */
  untilConverged(): Promise<void>;
  /** Writes one weight to its manifest; milliseconds until the kernel has it. */
  change(change: WeightChange): Promise<number>;
  /** Write commands of this process, as it counts them itself. */
  reportedWrites(): Promise<number>;
  /** Collects garbage in the agent first. */
  memory(): Promise<MemoryFigures>;
}

/** Starts an agent in the home. `wrap` puts a tracer around it. */
export function startAgent(
  context: BenchContext,
  home: AgentHome,
  wrap: readonly string[] = [],
): Agent {
  const memoryFile = join(context.scratch, `${home.namespace.name}.memory`);
  const options = ["--manifests", home.manifests, "--state-dir", home.stateDirectory];
  const node = [
    ...productNode(),
    "--expose-gc",
    "--import",
    COLLECTOR,
    PROGRAM,
    "director",
    ...options,
  ];
  const daemon = startDaemon(
    home.namespace.inside([...wrap, ...node]),
    join(context.scratch, `${home.namespace.name}.log`),
    { BENCH_MEMORY_FILE: memoryFile },
  );
  return {
    daemon,
    async untilConverged() {
      await until(
        `an agent with ${formatSize(home.size)}`,
        READY_DEADLINE_MS,
        () => isConverged(context, home),
        async () => (await daemon.output()).slice(-4000),
      );
      await sleep(SETTLE_MS);
    },
    change: (change) => changeWeight(context, home, change),
    async reportedWrites() {
      const argv = ["curl", "-sf", "http://127.0.0.1:9640/status"];
      const status = await run(home.namespace.inside(argv), context.signal);
      return Number(/"writeCommands":(\d+)/.exec(status)?.[1]);
    },
    memory: () => collectedMemory(daemon, memoryFile),
  };
}

async function isConverged(context: BenchContext, home: AgentHome): Promise<boolean> {
  const ready = ["curl", "-sf", "http://127.0.0.1:9640/readyz"];
  try {
    await run(home.namespace.inside(ready), context.signal);
  } catch {
    return false; // not listening yet, or not ready
  }
  const read = home.namespace.inside([context.tools.floor, "read"]);
  const found = await runJson(read, context.signal);
  const { services, destinations } = home.size;
  return (
    figure(found, "services") === services &&
    figure(found, "destinations") === services * destinations &&
    (await boundVips(context, home)) === vipCount(home.size)
  );
}

async function boundVips({ signal }: BenchContext, { namespace }: AgentHome): Promise<number> {
  const argv = ["ip", "-n", namespace.name, "-4", "-o", "address", "show", "dev", "eth0"];
  return [...(await run(argv, signal)).matchAll(/inet 10\.100\.[\d.]+\/32 /g)].length;
}

async function changeWeight(
  context: BenchContext,
  home: AgentHome,
  change: WeightChange,
): Promise<number> {
  const target = manifestPath(home.manifests, change.service);
  const next = join(context.scratch, `${home.namespace.name}.next`);
  await writeFile(next, manifest(change.service, home.size.destinations, change));
  const numbers = [change.service, change.destination, change.weight].map(String);
  const argv = [context.tools.stopwatch, "change", next, target, ...numbers];
  return figure(await runJson(home.namespace.inside(argv), context.signal), "ms");
}

/** Of any process that was started with the collector. */
export async function collectedMemory(daemon: Daemon, memoryFile: string): Promise<MemoryFigures> {
  await rm(memoryFile, { force: true });
  process.kill(daemon.pid, "SIGUSR2");
  await until("a garbage collection", 30_000, () => Promise.resolve(existsSync(memoryFile)));
  const done = `${memoryFile}.read`;
  await rename(memoryFile, done);
  const figures = await runJson(["cat", done], AbortSignal.timeout(10_000));
  return { rssMb: figure(figures, "rssMb"), heapMb: figure(figures, "heapMb") };
}

/** A Node that does nothing, for comparison. */
export function startBareNode(context: BenchContext): { daemon: Daemon; memoryFile: string } {
  const memoryFile = join(context.scratch, "bare.memory");
  const program = "setInterval(() => {}, 60_000)";
  const argv = ["node", "--expose-gc", "--import", COLLECTOR, "--eval", program];
  const log = join(context.scratch, "bare.log");
  return { daemon: startDaemon(argv, log, { BENCH_MEMORY_FILE: memoryFile }), memoryFile };
}
