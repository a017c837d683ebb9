/** `lvsctl plan`: the agents' own functions, up to the point where they would write. */
import { ownershipOf, vipsOf } from "../agents/director/ownership.ts";
import { readMemory } from "../agents/director/memory.ts";
import type { PlanOutcome } from "../cli/commands/plan.ts";
import { compileDirector } from "../compile/director.ts";
import { addressesToLookUp } from "../compile/look-ups.ts";
import type { DirectorState, NodeFacts } from "../compile/model.ts";
import { compileRealServer } from "../compile/real-server.ts";
import { retainObserved } from "../compile/retention.ts";
import type { HostOwner } from "../host/model.ts";
import { keysToObserve, planHost, type HostPlan } from "../host/plan.ts";
import { planIpvs } from "../ipvs/plan.ts";
import { systemClock } from "../lib/clock.ts";
import type { ObjectSet, SourceState } from "../source/source.ts";
import type { Node } from "./node.ts";

export interface PreviewOptions {
  readonly node: Node;
  readonly state: SourceState;
  readonly nodeName: string;
  readonly groupName: string;
  readonly interfaceName: string | undefined;
}

/** What a director agent would change. VIPs are shown as added although nobody was asked yet. */
export async function previewDirector(
  options: PreviewOptions,
  signal: AbortSignal,
): Promise<PlanOutcome> {
  const { objects, problems } = options.state;
  if (objects === undefined) return nothing(options.state);
  const { ipvs, store } = options.node;
  const state = compileDirector(objects, await gatherFacts(options, objects, signal));
  const memory = readMemory((await store.load()).journal);
  const observed = await ipvs.readTable(signal, { stats: false });
  const ownership = ownershipOf(memory.services, vipsOf(state), observed);
  const plan = planIpvs({
    desired: retainObserved(state, observed, ownership),
    observed,
    owns: ownership.isOurs,
    drains: memory.drains,
    nowMs: systemClock.wallMs(),
    withheld: state.withheld,
  });
  const host = await planForHost(options.node, "director", state, signal);
  return {
    host: host.steps,
    ipvs: plan.steps,
    withheld: plan.withheld,
    reports: host.reports,
    conditions: state.conditions,
    problems,
  };
}

/** What a real-server agent would change. */
export async function previewRealServer(
  options: PreviewOptions,
  signal: AbortSignal,
): Promise<PlanOutcome> {
  const { objects, problems } = options.state;
  if (objects === undefined) return nothing(options.state);
  const state = compileRealServer(objects, await gatherFacts(options, objects, signal));
  const host = await planForHost(options.node, "realserver", state, signal);
  const { steps, reports } = host;
  return { host: steps, ipvs: [], withheld: [], reports, conditions: state.conditions, problems };
}

/** No complete set of objects: an agent would not touch the node either. */
function nothing({ problems }: SourceState): PlanOutcome {
  return { host: [], ipvs: [], withheld: [], reports: [], conditions: new Map(), problems };
}

async function gatherFacts(
  { node, nodeName, groupName, interfaceName }: PreviewOptions,
  objects: ObjectSet,
  signal: AbortSignal,
): Promise<NodeFacts> {
  const { links, addresses } = await node.host.observe([], signal);
  const routes = await node.host.lookUpRoutes(addressesToLookUp(objects), signal);
  return {
    nodeName,
    groupName,
    interfaceName,
    links,
    addresses,
    routes,
    missingSchedulers: new Set(),
    occupiedAddresses: new Map(),
  };
}

async function planForHost(
  { host: client, store }: Node,
  owner: HostOwner,
  { host: desired, retained }: Pick<DirectorState, "host" | "retained">,
  signal: AbortSignal,
): Promise<HostPlan> {
  const { journal } = await store.load();
  const observed = await client.observe(keysToObserve(desired, journal), signal);
  return planHost({ owner, desired, observed, journal, retained });
}
