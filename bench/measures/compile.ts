/** The pure part of an agent's pass: manifests to objects, objects to a table, table to steps. */
import { join } from "node:path";

import type { BenchContext, Measure } from "../lib/measure.ts";
import { figure, startContestant } from "../lib/process.ts";
import { productNode } from "../lib/product.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

const SIZES: readonly Size[] = [
  { services: 1000, destinations: 2 },
  { services: 10_000, destinations: 2 },
];
const PROGRAM = join(import.meta.dirname, "../contestants/ours-compile.ts");
/** As for `program`: the third time the process does it. */
const REHEARSALS = 2;

const PARTS = [
  { figure: "parseMs", name: "parse manifests" },
  { figure: "compileMs", name: "compile all" },
  { figure: "planMs", name: "plan all" },
  { figure: "changeMs", name: "compile and plan one change" },
] as const;

export const compile: Measure = {
  name: "compile",
  summary: "manifests to objects to a table to steps, warm; all of it, and one change",
  async run(context): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for (const size of SIZES) {
      const runs: Readonly<Record<string, number>>[] = [];
      for (let round = 1; round <= context.rounds; round += 1) {
        context.progress(`${formatSize(size)}, round ${round} of ${context.rounds}`);
        runs.push(await warmRun(context, size));
      }
      for (const part of PARTS) {
        const ours = runs.map((run) => figure(run, part.figure));
        rows.push(toRow({ name: part.name, size: formatSize(size), unit: "ms", ours }));
      }
    }
    return rows;
  },
};

async function warmRun(
  context: BenchContext,
  size: Size,
): Promise<Readonly<Record<string, number>>> {
  const contestant = startContestant([...productNode(), PROGRAM], context.signal);
  const request = `${size.services} ${size.destinations}`;
  try {
    for (let n = 0; n < REHEARSALS; n += 1) await contestant.ask(request);
    return await contestant.ask(request);
  } finally {
    await contestant.end();
  }
}
