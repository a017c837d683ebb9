/** A topology for the tests of one file, with a dump of everything when one of them fails. */
import { afterAll, afterEach, beforeAll } from "vitest";
import { dumpTopology } from "./dump.ts";
import { createTopology, type Topology, type TopologyOptions } from "./topology.ts";

/**
 * Builds the topology before the tests of the file or `describe` block and takes it down after
 * them. The returned function gives the topology to tests and hooks.
 */
export function useTopology(options: TopologyOptions = {}): () => Topology {
  let topology: Topology | undefined;
  beforeAll(async () => {
    topology = await createTopology(options);
  }, 30_000);
  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail" || topology === undefined) return;
    process.stderr.write(`\n==== lab after "${task.name}"\n${await dumpTopology(topology)}\n`);
  }, 30_000);
  afterAll(async () => {
    await topology?.down();
  }, 30_000);
  return () => {
    if (topology === undefined) throw new Error("the topology exists inside tests and hooks only");
    return topology;
  };
}
