/** Programming an empty table: beside the kernel's own floor and beside `ipvsadm -R`. */
import { floorRun, ipvsadmRestoreRun, programOurs, type OursRun } from "../lib/contestants.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

/** Small tables amortize less: a fixed cost weighs ten times as much at a tenth of the size. */
const SIZES: readonly (Size & { readonly timesFloor: number })[] = [
  { services: 1000, destinations: 2, timesFloor: 5 },
  { services: 10_000, destinations: 2, timesFloor: 3 },
];
/** Twenty times faster. */
const OF_IPVSADM = 1 / 20;

interface Samples {
  readonly cold: OursRun[];
  readonly warm: OursRun[];
  readonly hot: OursRun[];
  readonly floor: number[];
  readonly ipvsadm: number[];
}

export const program: Measure = {
  name: "program",
  summary: "an empty table filled, cold, warm and hot; beside the C floor and ipvsadm -R",
  async run(context) {
    const rows: Row[] = [];
    for (const size of SIZES) rows.push(...toRows(size, await sample(context, size)));
    return rows;
  },
};

async function sample(context: BenchContext, size: Size): Promise<Samples> {
  const floor = floorRun(context, "batched", size);
  const ipvsadm = await ipvsadmRestoreRun(context, size);
  const samples: Samples = { cold: [], warm: [], hot: [], floor: [], ipvsadm: [] };
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`${formatSize(size)}, round ${round} of ${context.rounds}`);
    samples.floor.push(await floor());
    const ours = await programOurs(context, size);
    samples.cold.push(ours.cold);
    samples.warm.push(ours.warm);
    samples.hot.push(ours.hot);
    samples.floor.push(await floor());
    samples.ipvsadm.push(await ipvsadm());
  }
  return samples;
}

function toRows(size: (typeof SIZES)[number], samples: Samples): readonly Row[] {
  const common = { size: formatSize(size), unit: "ms" } as const;
  const floor = { name: "C floor", samples: samples.floor };
  const ipvsadm = { name: "ipvsadm -R", samples: samples.ipvsadm };
  const apply = (runs: readonly OursRun[]): readonly number[] => runs.map((run) => run.applyMs);
  const warm = apply(samples.warm);
  const goals = {
    floor: { of: "ratio", atMost: size.timesFloor },
    ipvsadm: { of: "ratio", atMost: OF_IPVSADM },
  } as const;
  return [
    toRow({ ...common, name: "program cold", ours: apply(samples.cold), peer: floor }),
    toRow({ ...common, name: "program warm", ours: warm, peer: floor, goal: goals.floor }),
    toRow({ ...common, name: "program hot", ours: apply(samples.hot), peer: floor }),
    toRow({ ...common, name: "program warm", ours: warm, peer: ipvsadm, goal: goals.ipvsadm }),
    toRow({ ...common, name: "plan warm", ours: samples.warm.map((run) => run.planMs) }),
  ];
}
