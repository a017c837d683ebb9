/** Resident memory of the director agent after a forced collection, by the size of its table. */
import { collectedMemory, startAgent, startBareNode, withAgentHome } from "../lib/agent.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

const SMALL: Size = { services: 1000, destinations: 2 };
const LARGE: Size = { services: 10_000, destinations: 2 };
/** Memory repeats well, and each sample needs a whole agent. */
const ROUNDS = 3;

export const memory: Measure = {
  name: "memory",
  summary: "the agent's resident memory after a forced collection: slope, and above bare Node",
  async run(context): Promise<readonly Row[]> {
    const above: number[] = [];
    const slope: number[] = [];
    for (let round = 1; round <= Math.min(ROUNDS, context.rounds); round += 1) {
      context.progress(`round ${round}`);
      const bare = await bareMb(context);
      const small = await agentMb(context, SMALL);
      const large = await agentMb(context, LARGE);
      context.progress(
        `bare ${bare} MB, ${SMALL.services}: ${small} MB, ${LARGE.services}: ${large} MB`,
      );
      above.push(large - bare);
      slope.push((large - small) / ((LARGE.services - SMALL.services) / 1000));
    }
    return [
      toRow({
        name: "memory slope",
        size: `${SMALL.services} to ${formatSize(LARGE)}`,
        unit: "MB per 1000 services",
        ours: slope,
        goal: { of: "ours", atMost: 2.5 },
      }),
      toRow({
        name: "memory above bare Node",
        size: formatSize(LARGE),
        unit: "MB",
        ours: above,
        goal: { of: "ours", atMost: 90 },
      }),
    ];
  },
};

async function bareMb(context: BenchContext): Promise<number> {
  const { daemon, memoryFile } = startBareNode(context);
  try {
    // Node installs the signal handler some time after its start
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return (await collectedMemory(daemon, memoryFile)).rssMb;
  } finally {
    await daemon.stop("SIGTERM");
  }
}

function agentMb(context: BenchContext, size: Size): Promise<number> {
  return withAgentHome(context, size, async (home) => {
    const agent = startAgent(context, home);
    try {
      await agent.untilConverged();
      await agent.change({ service: 1, destination: 0, weight: 2 });
      return (await agent.memory()).rssMb;
    } finally {
      await agent.daemon.stop("SIGTERM");
    }
  });
}
