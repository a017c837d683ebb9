/** What one change costs must not depend on how much there is: 10,000 services beside 100. */
import { startAgent, withAgentHome, type Agent } from "../lib/agent.ts";
import type { BenchContext, Measure } from "../lib/measure.ts";
import { toRow, type Row } from "../lib/row.ts";
import { formatSize, type Size } from "../lib/workload.ts";

const LARGE: Size = { services: 10_000, destinations: 2 };
const SMALL: Size = { services: 100, destinations: 2 };
const REHEARSALS = 20;
const PER_ROUND = 10;

export const changeScaling: Measure = {
  name: "change-scaling",
  summary: "one weight change among 10,000 services beside one among 100, same agent code",
  run: (context) =>
    withAgent(context, SMALL, (small) =>
      withAgent(context, LARGE, async (large): Promise<readonly Row[]> => {
        const times = { large: new Array<number>(), small: new Array<number>() };
        for (let n = 0; n < REHEARSALS + context.rounds * PER_ROUND; n += 1) {
          const counts = n >= REHEARSALS;
          const smallTime = await changeOne(small, SMALL, n);
          const largeTime = await changeOne(large, LARGE, n);
          if (!counts) continue;
          times.small.push(smallTime);
          times.large.push(largeTime);
        }
        return [
          toRow({
            name: "one change",
            size: formatSize(LARGE),
            unit: "ms",
            ours: times.large,
            peer: { name: `ours at ${formatSize(SMALL)}`, samples: times.small },
            goal: { of: "ratio", atMost: 1.5 },
          }),
        ];
      }),
    ),
};

function changeOne(agent: Agent, size: Size, n: number): Promise<number> {
  const service = (n * 37) % size.services;
  return agent.change({ service, destination: n % 2, weight: 2 + n });
}

function withAgent<T>(
  context: BenchContext,
  size: Size,
  body: (agent: Agent) => Promise<T>,
): Promise<T> {
  return withAgentHome(context, size, async (home) => {
    const agent = startAgent(context, home);
    try {
      context.progress(`an agent programs ${formatSize(size)}`);
      await agent.untilConverged();
      return await body(agent);
    } finally {
      await agent.daemon.stop("SIGTERM");
    }
  });
}
