/**
 * An agent is killed and started again on a table that is as it should be: how many commands that
 * change the kernel does it send? Counted by strace around the agent; the reads of the same trace
 * prove that the counting works, and a change afterwards proves that it sees writes.
 */
import { join } from "node:path";

import { startAgent, withAgentHome } from "../lib/agent.ts";
import type { Measure } from "../lib/measure.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";
import { countCommands, traceWrites } from "../lib/write-trace.ts";

const SIZE: Size = { services: 10_000, destinations: 2 };

export const restart: Measure = {
  name: "restart",
  summary: "write commands of an agent that is killed and restarted at 10,000 services",
  run: (context) =>
    withAgentHome(context, SIZE, async (home): Promise<readonly Row[]> => {
      context.progress(`an agent programs ${formatSize(SIZE)}`);
      const first = startAgent(context, home);
      try {
        await first.untilConverged();
      } finally {
        await first.daemon.stop("SIGKILL");
      }

      context.progress("started again under strace");
      const trace = join(context.scratch, "restart.trace");
      const second = startAgent(context, home, traceWrites(trace));
      try {
        await second.untilConverged();
        const { writes, reads } = await countCommands(trace);
        if (reads <= SIZE.services) throw new Error(`the trace shows ${reads} reads only`);
        const reported = await second.reportedWrites();
        if (reported !== writes) throw new Error(`${writes} writes, the agent says ${reported}`);
        await second.change({ service: 4711, destination: 0, weight: 7 });
        const { writes: afterChange } = await countCommands(trace);
        if (afterChange !== writes + 1) throw new Error(`one change cost ${afterChange - writes}`);
        const goal = { of: "ours", atMost: 0 } as const;
        const size = formatSize(SIZE);
        return [toRow({ name: "restart", size, unit: "writes", ours: [writes], goal })];
      } finally {
        await second.daemon.stop("SIGTERM");
      }
    }),
};
