/**
 * One weight changes among 5,000 services: from the moment its manifest is replaced to the moment
 * the kernel has it, by a running agent; beside one `ipvsadm -e` and beside keepalived's reload.
 */
import { startAgent, withAgentHome, type Agent } from "../lib/agent.ts";
import { keepalivedName, startKeepalived } from "../lib/keepalived.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { withNamespace, type Namespace } from "../lib/namespace.ts";
import { figure, runJson } from "../lib/process.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, ipvsadmEdit, type Checks, type Size } from "../lib/workload.ts";
import type { WeightChange } from "../lib/workload.ts";

const SIZE: Size = { services: 5000, destinations: 2 };
/** Changes before the first that counts: an agent runs for weeks. */
const REHEARSALS = 10;
const PER_ROUND = 5;
/** A reload with checks takes ten to twenty seconds. */
const ROUNDS_WITH_CHECKS = 2;
/** A hundred times faster. */
const OF_KEEPALIVED = 1 / 100;

/** Spreads the changes over the table. */
function nthChange(n: number): WeightChange {
  return { service: (n * 1009) % SIZE.services, destination: n % 2, weight: 2 + (n % 50) };
}

export const weightChange: Measure = {
  name: "weight-change",
  summary: "one weight among 5,000 services, manifest to kernel; beside ipvsadm -e and keepalived",
  note:
    "keepalived 2.4.3, newer than Debian's, took 1.0 s (1.2 s with TCP checks) for a reload with one " +
    "changed server at 5,000 x 4 when it was tried in a guest like this one.",
  run: (context) =>
    withAgentHome(context, SIZE, async (home) => {
      const agent = startAgent(context, home);
      try {
        context.progress("an agent programs 5,000 services");
        await agent.untilConverged();
        const { ours, edits } = await oursAndIpvsadm(context, agent, home.namespace);
        const checked = Math.min(context.rounds, ROUNDS_WITH_CHECKS);
        const reloads = await reloadTimes(context, "no checks", context.rounds);
        const checkedReloads = await reloadTimes(context, "TCP checks", checked);
        const name = await keepalivedName(context.signal);
        return toRows(ours, edits, [
          { name: `${name} reload, no checks`, samples: reloads },
          { name: `${name} reload, TCP checks`, samples: checkedReloads },
        ]);
      } finally {
        await agent.daemon.stop("SIGTERM");
      }
    }),
};

async function oursAndIpvsadm(
  context: BenchContext,
  agent: Agent,
  namespace: Namespace,
): Promise<{ ours: readonly number[]; edits: readonly number[] }> {
  const ours: number[] = [];
  const edits: number[] = [];
  let n = 0;
  for (; n < REHEARSALS; n += 1) await agent.change(nthChange(n));
  await withNamespace(context.signal, async (other) => {
    const fill = [context.tools.floor, "batched", String(SIZE.services), String(SIZE.destinations)];
    await runJson(other.inside(fill), context.signal);
    for (const end = n + context.rounds * PER_ROUND; n < end; n += 1) {
      ours.push(await agent.change(nthChange(n)));
      edits.push(await ipvsadmEditTime(context, other, nthChange(n)));
    }
  });
  context.progress(`${ours.length} changes measured in ${namespace.name}`);
  return { ours, edits };
}

/** In a namespace of its own, with the same table: the agent would repair the edit. */
async function ipvsadmEditTime(
  context: BenchContext,
  namespace: Namespace,
  { service, destination, weight }: WeightChange,
): Promise<number> {
  const argv = [context.tools.stopwatch, "run", ...ipvsadmEdit(service, destination, weight)];
  return figure(await runJson(namespace.inside(argv), context.signal), "ms");
}

function reloadTimes(
  context: BenchContext,
  checks: Checks,
  rounds: number,
): Promise<readonly number[]> {
  return withNamespace(context.signal, async (namespace) => {
    context.progress(`keepalived, ${checks}, ${rounds} reloads`);
    const keepalived = await startKeepalived(context, namespace, SIZE, checks);
    try {
      const times: number[] = [];
      for (let n = 1; n <= rounds; n += 1) times.push(await keepalived.reload(nthChange(n)));
      return times;
    } finally {
      await keepalived.stop();
    }
  });
}

function toRows(
  ours: readonly number[],
  edits: readonly number[],
  reloads: readonly { readonly name: string; readonly samples: readonly number[] }[],
): readonly Row[] {
  const common = { name: "weight change", size: formatSize(SIZE), unit: "ms", ours } as const;
  const edit = { name: "ipvsadm -e", samples: edits };
  return [
    toRow({ ...common, peer: edit, goal: { of: "ratio", atMost: 1 } }),
    ...reloads.map((peer) =>
      toRow({ ...common, peer, goal: { of: "ratio", atMost: OF_KEEPALIVED } }),
    ),
  ];
}
