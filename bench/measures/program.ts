/** Programming an empty table: beside the kernel's own floor and beside `ipvsadm -R`. */
import { floorRun, ipvsadmRestoreRun, REHEARSALS, startOurs } from "../lib/contestants.ts";
import type { OurProcess, OursRun, TimedRun, Warmth } from "../lib/contestants.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { toRow, type Goal, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

/** Small tables amortize less: a fixed cost weighs ten times as much at a tenth of the size. */
const SIZES: readonly (Size & { readonly timesFloor: number })[] = [
  { services: 1000, destinations: 2, timesFloor: 5 },
  { services: 10_000, destinations: 2, timesFloor: 3 },
];
/** Twenty times faster. */
const OF_IPVSADM = 1 / 20;
const WARMTHS: readonly Warmth[] = ["cold", "warm", "hot"];

/** Of one warmth: our runs, and the floor's right beside each. */
interface Pairs {
  readonly ours: OursRun[];
  readonly floor: number[];
}

interface Samples {
  readonly pairs: Readonly<Record<Warmth, Pairs>>;
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
  const noPairs = (): Pairs => ({ ours: [], floor: [] });
  const samples: Samples = {
    pairs: { cold: noPairs(), warm: noPairs(), hot: noPairs() },
    ipvsadm: [],
  };
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`${formatSize(size)}, round ${round} of ${context.rounds}`);
    const ours = startOurs(context, size);
    try {
      await sampleProcess(ours, floor, samples.pairs);
    } finally {
      await ours.end();
    }
    samples.ipvsadm.push(await ipvsadm());
  }
  return samples;
}

/** The floor before and after each run of ours that counts: the machine's speed drifts. */
async function sampleProcess(
  ours: OurProcess,
  floor: TimedRun,
  pairs: Samples["pairs"],
): Promise<void> {
  const warmths = new Map<number, Pairs>(WARMTHS.map((name) => [REHEARSALS[name], pairs[name]]));
  for (let n = 0; n <= REHEARSALS.hot; n += 1) {
    const pair = warmths.get(n);
    if (pair === undefined) {
      await ours.program();
      continue;
    }
    const before = await floor();
    pair.ours.push(await ours.program());
    pair.floor.push((before + (await floor())) / 2);
  }
}

function toRows(size: (typeof SIZES)[number], { pairs, ipvsadm }: Samples): readonly Row[] {
  const common = { size: formatSize(size), unit: "ms" } as const;
  const apply = (runs: readonly OursRun[]): readonly number[] => runs.map((run) => run.applyMs);
  const besideFloor = (warmth: Warmth, goal?: Goal): Row =>
    toRow({
      ...common,
      name: `program ${warmth}`,
      ours: apply(pairs[warmth].ours),
      peer: { name: "C floor", samples: pairs[warmth].floor },
      goal,
    });
  return [
    besideFloor("cold"),
    besideFloor("warm", { of: "ratio", atMost: size.timesFloor }),
    besideFloor("hot"),
    toRow({
      ...common,
      name: "program warm",
      ours: apply(pairs.warm.ours),
      peer: { name: "ipvsadm -R", samples: ipvsadm },
      goal: { of: "ratio", atMost: OF_IPVSADM },
    }),
    toRow({ ...common, name: "plan warm", ours: pairs.warm.ours.map((run) => run.planMs) }),
  ];
}
