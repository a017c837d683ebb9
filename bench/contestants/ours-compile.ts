/**
 * From manifests to a plan without a kernel, in its parts. Reads lines `SERVICES DESTINATIONS` from
 * stdin and answers each with a line of JSON; a later answer is that of a warmer process.
 */
import { createInterface } from "node:readline";
import { parse } from "yaml";

import { parseObject } from "../../src/api/parse.ts";
import type { VirtualService } from "../../src/api/v1alpha1/virtual-service.ts";
import { createDirectorCompiler } from "../../src/compile/director.ts";
import type { DirectorUpdate, NodeFacts } from "../../src/compile/model.ts";
import { applyToModel } from "../../src/ipvs/table-model.ts";
import { planIpvs, type PlanInput } from "../../src/ipvs/plan.ts";
import type { ObservedTable } from "../../src/ipvs/model.ts";
import { summarize } from "../lib/stats.ts";
import { destinationEndpoint, manifest, type Size, type WeightChange } from "../lib/workload.ts";

const EMPTY: ObservedTable = { services: new Map() };

function facts(size: Size): NodeFacts {
  const interfaceName = "eth0";
  const route = { local: false, onLink: true, interfaceName };
  const servers = Array.from({ length: size.services * size.destinations }, (_, n) =>
    destinationEndpoint(Math.floor(n / size.destinations), n % size.destinations),
  );
  return {
    nodeName: "bench",
    groupName: "default",
    interfaceName: undefined,
    links: [
      {
        index: 2,
        name: interfaceName,
        up: true,
        mtu: 1500,
        macAddress: "02:00:00:00:00:01",
        loopback: false,
        kind: undefined,
      },
    ],
    addresses: [
      { address: "10.100.255.254", family: "IPv4", prefixLength: 16, interfaceName, ours: false },
    ],
    routes: new Map(servers.map(({ address }) => [address, route])),
    missingSchedulers: new Set(),
    occupiedAddresses: new Map(),
  };
}

function readManifest(index: number, size: Size, change?: WeightChange): VirtualService {
  const { ok, problems } = parseObject(parse(manifest(index, size.destinations, change)));
  if (ok?.kind !== "VirtualService") throw new Error(JSON.stringify(problems));
  return ok;
}

function plan(state: DirectorUpdate, observed: ObservedTable, only?: PlanInput["only"]) {
  const desired = state.table;
  return planIpvs({ desired, observed, owns: () => true, drains: new Map(), nowMs: 0, only });
}

const CHANGES = 50;

/** One service at a time; the kernel's table stays, so each change also takes back the last. */
function medianChange(size: Size, change: (at: number, weight: number) => number): number {
  const times = Array.from({ length: CHANGES }, (_, n) => change((n * 37) % size.services, 2 + n));
  return summarize(times).median;
}

function measure(size: Size): object {
  const start = performance.now();
  const services = Array.from({ length: size.services }, (_, index) => readManifest(index, size));
  const parsed = performance.now();
  const known = facts(size);
  const compiler = createDirectorCompiler();
  const rest = { realServers: [], refused: new Map<never, never>() };
  const ready = performance.now();
  const first = { virtualServices: services, ...rest };
  compiler.lookUps(first);
  const state = compiler.compile(first, known);
  const compiled = performance.now();
  const full = plan(state, EMPTY);
  const planned = performance.now();

  const observed = applyToModel(
    EMPTY,
    full.steps.map((step) => step.command),
  );
  const change = medianChange(size, (at, weight) => {
    const edited = readManifest(at, size, { service: at, destination: 0, weight });
    const next = { virtualServices: services.with(at, edited), ...rest };
    const before = performance.now();
    compiler.lookUps(next);
    const state = compiler.compile(next, known);
    const { steps } = plan(state, observed, state.changed);
    if (steps.length === 0 || steps.length > 2) throw new Error(`${steps.length} steps`);
    return performance.now() - before;
  });
  if (full.steps.length !== size.services * (1 + size.destinations)) {
    throw new Error(`${full.steps.length} steps`);
  }
  return {
    parseMs: parsed - start,
    compileMs: compiled - ready,
    planMs: planned - compiled,
    changeMs: change,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [services, destinations] = line.split(" ").map(Number);
  console.log(
    JSON.stringify(measure({ services: services ?? 0, destinations: destinations ?? 0 })),
  );
}
