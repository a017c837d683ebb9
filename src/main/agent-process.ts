/** The frame of an agent's process: logger, signals, node, role lock, source. */
import { EXIT } from "../cli/specs.ts";
import { isAbort } from "../lib/abort.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { HostOwner } from "../host/model.ts";
import { runAgent, type Agent } from "../agents/run-agent.ts";
import type { Loop } from "../agents/loop.ts";
import type { ObjectSource } from "../source/source.ts";
import { createManifestSource } from "../source/manifest-source.ts";
import type { AgentOptions } from "./agent-options.ts";
import { createLogger } from "./logger.ts";
import { openNode, type Node } from "./node.ts";
import { stopSignal } from "./stop-signal.ts";
import { VERSION } from "./version.ts";

/** What an agent is made from. */
export interface AgentParts {
  readonly node: Node;
  readonly source: ObjectSource;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Asks for a pass; usable from the first pass on. */
  readonly wake: Loop["wake"];
}

/**
 * Runs one agent until it is told to stop.
 * @returns the exit status
 * @throws LockHeldError when an agent of the role runs in this network namespace
 */
export async function runAgentProcess(
  role: HostOwner,
  options: AgentOptions,
  build: (parts: AgentParts) => Promise<Agent>,
): Promise<number> {
  const log = createLogger(options.logLevel, { role, node: options.nodeName, version: VERSION });
  const signal = stopSignal((name) => log.info({ signal: name }, "agent is asked to stop"));
  const node = await openNode(options.stateDirectory);
  try {
    await using _role = await node.locks.acquireRole(role, signal);
    const source = createManifestSource({ directory: options.manifests });
    let loop: Loop | undefined;
    const wake: Loop["wake"] = (reason) => loop?.wake(reason);
    const agent = await build({ node, source, log, signal, wake });
    const { healthAddress: address, healthPort: port } = options;
    const { refusals } = await runAgent(
      {
        agent,
        source,
        host: node.host,
        clock: systemClock,
        log,
        once: options.once,
        health: port === 0 ? undefined : { address, port },
        onLoop: (created) => {
          loop = created;
        },
      },
      signal,
    );
    return options.once && refusals ? EXIT.refused : EXIT.ok;
  } catch (error) {
    // Asked to stop before it had begun, which is no failure.
    if (signal.aborted && isAbort(error)) return EXIT.ok;
    throw error;
  } finally {
    node.close();
  }
}
