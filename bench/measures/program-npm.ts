/**
 * The transport's choice, by measurement: the same table programmed by us and by the npm packages
 * that speak netlink. They send messages made in advance; encoding is not counted against them.
 */
import { floorRun, ipvsadmRestoreRun, npmRun, REHEARSALS, startOurs } from "../lib/contestants.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

const SIZE: Size = { services: 1000, destinations: 4 };

export const programNpm: Measure = {
  name: "program-npm",
  summary:
    "the same beside the npm packages netlink and node-netlink, and one message per call in C",
  async run(context): Promise<readonly Row[]> {
    const peers = [
      { name: "C floor", run: floorRun(context, "batched", SIZE) },
      { name: "C, one message per call", run: floorRun(context, "single", SIZE) },
      { name: "ipvsadm -R", run: await ipvsadmRestoreRun(context, SIZE) },
      { name: "npm netlink 0.3.0", run: await npmRun(context, "netlink", SIZE) },
      { name: "npm node-netlink 0.0.4", run: await npmRun(context, "node-netlink", SIZE) },
    ].map((peer) => ({ ...peer, samples: new Array<number>() }));
    const ours: number[] = [];
    for (let round = 1; round <= context.rounds; round += 1) {
      context.progress(`${formatSize(SIZE)}, round ${round} of ${context.rounds}`);
      ours.push(await warmRun(context));
      for (const peer of peers) peer.samples.push(await peer.run());
    }
    const common = { name: "program warm", size: formatSize(SIZE), unit: "ms", ours } as const;
    return peers.map((peer) => toRow({ ...common, peer }));
  },
};

async function warmRun(context: BenchContext): Promise<number> {
  const ours = startOurs(context, SIZE);
  try {
    for (let n = 0; n < REHEARSALS.warm; n += 1) await ours.program();
    return (await ours.program()).applyMs;
  } finally {
    await ours.end();
  }
}
