/** Puts the director together. */
import { DirectorAgent } from "../agents/director/director-agent.ts";
import { Neighbours } from "../agents/director/neighbours.ts";
import { TableKeeper } from "../agents/director/table-keeper.ts";
import { VipWatch } from "../agents/director/vip-watch.ts";
import { HostKeeper } from "../agents/host-keeper.ts";
import type { Agent } from "../agents/run-agent.ts";
import { createDirectorCompiler } from "../compile/director.ts";
import { describeCommand } from "../ipvs/errors.ts";
import { systemClock } from "../lib/clock.ts";
import { nativeTransport } from "../netlink/transport-native.ts";
import type { AgentOptions } from "./agent-options.ts";
import { runAgentProcess, type AgentParts } from "./agent-process.ts";

export function runDirector(options: AgentOptions): Promise<number> {
  return runAgentProcess("director", options, (parts) => buildDirector(options, parts));
}

async function buildDirector(options: AgentOptions, parts: AgentParts): Promise<Agent> {
  const { node, source, log, signal, wake } = parts;
  const clock = systemClock;
  // Proves before anything else that this kernel has IPVS and lets us use it.
  const info = await node.ipvs.info(signal);
  log.info({ ipvs: info.version, connectionTableSize: info.connectionTableSize }, "ipvs is there");
  const { host: client, store, locks } = node;
  const host = new HostKeeper({ owner: "director", client, store, locks, log });
  const neighbours = new Neighbours({
    transport: nativeTransport,
    clock,
    log,
    links: async (linkSignal) => (await host.view(linkSignal)).links,
  });
  const director = new DirectorAgent({
    source,
    compiler: createDirectorCompiler(),
    table: new TableKeeper({ client: node.ipvs, clock, auditMs: options.auditMs }),
    host,
    vips: new VipWatch({
      probe: (address, probeSignal) => neighbours.probe(address, probeSignal),
      clock,
      log,
      onVerdict: () => wake("probe"),
    }),
    announce: (bound) => neighbours.announce(bound, signal),
    clock,
    log,
    nodeName: options.nodeName,
    groupName: options.groupName,
    interfaceName: options.interfaceName,
  });
  return {
    conditions: director.conditions,
    pass: (reasons, signals) => director.pass(reasons, signals),
    get settled() {
      return director.settled;
    },
    get stuck() {
      return director.stuck;
    },
    get ready() {
      return director.programmed;
    },
    objectConditions: () => director.objectConditions(),
    finish: () => neighbours.silent(),
    status: () => ({
      role: "director",
      node: options.nodeName,
      writeCommands: node.ipvs.counters.commands,
      reads: node.ipvs.counters.reads,
      ...director.counters,
      hostRepaired: director.hostRepaired,
      withheld: director.withheld.map((step) => describeCommand(step.command)),
    }),
  };
}
