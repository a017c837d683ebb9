/** Puts the real-server agent together. */
import { HostKeeper } from "../agents/host-keeper.ts";
import { RealServerAgent } from "../agents/real-server/real-server-agent.ts";
import { countConnections } from "../agents/real-server/sockets.ts";
import type { Agent } from "../agents/run-agent.ts";
import { compileRealServer } from "../compile/real-server.ts";
import { systemClock } from "../lib/clock.ts";
import type { AgentOptions } from "./agent-options.ts";
import { runAgentProcess, type AgentParts } from "./agent-process.ts";

export function runRealServer(options: AgentOptions): Promise<number> {
  return runAgentProcess("realserver", options, (parts) =>
    Promise.resolve(buildRealServer(options, parts)),
  );
}

function buildRealServer(options: AgentOptions, { node, source, log }: AgentParts): Agent {
  const { host: client, store, locks } = node;
  const agent = new RealServerAgent({
    source,
    compile: compileRealServer,
    host: new HostKeeper({ owner: "realserver", client, store, locks, log }),
    // The tables of this process's own network namespace.
    countConnections: () => countConnections("/proc/self/net"),
    clock: systemClock,
    log,
    nodeName: options.nodeName,
    groupName: options.groupName,
    interfaceName: options.interfaceName,
    auditMs: options.auditMs,
  });
  return {
    conditions: agent.conditions,
    pass: (_reasons, { stop }) => agent.pass(stop),
    get settled() {
      return agent.settled;
    },
    get stuck() {
      return agent.stuck;
    },
    get ready() {
      return agent.prepared;
    },
    objectConditions: () => agent.objectConditions(),
    finish: () => Promise.resolve(),
    status: () => ({
      role: "realserver",
      node: options.nodeName,
      hostRepaired: agent.repaired,
    }),
  };
}
