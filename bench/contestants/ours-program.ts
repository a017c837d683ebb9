/**
 * Programs an empty table with the product's own code: plan, then apply, as an agent does. Reads
 * lines `NETNS_PATH SERVICES DESTINATIONS` from stdin and answers each with a line of JSON, so that
 * one process can be measured cold, warm and hot, each time in a namespace that has no past.
 */
import { createInterface } from "node:readline";

import { applyPlan } from "../../src/ipvs/apply.ts";
import type { IpvsClient } from "../../src/ipvs/client.ts";
import { openIpvsClient } from "../../src/ipvs/netlink-client.ts";
import { planIpvs } from "../../src/ipvs/plan.ts";
import { TableModel } from "../../src/ipvs/table-model.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";
import { desiredTable } from "../lib/desired-table.ts";
import type { Size } from "../lib/workload.ts";

/** Notes when the kernel has acknowledged the last command; what follows is our bookkeeping. */
function notingLastAck(client: IpvsClient): { client: IpvsClient; lastAckMs(): number } {
  let lastAckMs = 0;
  const noting: IpvsClient = {
    counters: client.counters,
    info: (...args) => client.info(...args),
    readTable: (...args) => client.readTable(...args),
    readService: (...args) => client.readService(...args),
    timeouts: (...args) => client.timeouts(...args),
    daemons: (...args) => client.daemons(...args),
    close: () => client.close(),
    async execute(...args) {
      const report = await client.execute(...args);
      lastAckMs = performance.now();
      return report;
    },
  };
  return { client: noting, lastAckMs: () => lastAckMs };
}

async function program(netnsPath: string, size: Size): Promise<object> {
  const signal = AbortSignal.timeout(60_000);
  const kernel = openIpvsClient({ transport: nativeTransport, netnsPath });
  try {
    const desired = desiredTable(size);
    const model = new TableModel(await kernel.readTable(signal));
    // The tables of the runs before are garbage of this program; an agent has one.
    globalThis.gc?.();
    const start = performance.now();
    const plan = planIpvs({
      desired,
      observed: model.table,
      owns: () => true,
      drains: new Map(),
      nowMs: Date.now(),
    });
    const planned = performance.now();
    const noting = notingLastAck(kernel);
    const result = await applyPlan({ plan, client: noting.client, model, signal });
    const returned = performance.now();
    if (result.refused.length > 0) throw new Error(`${result.refused.length} refused`);
    return {
      planMs: planned - start,
      applyMs: noting.lastAckMs() - planned,
      bookkeepingMs: returned - noting.lastAckMs(),
      steps: plan.steps.length,
    };
  } finally {
    kernel.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [netnsPath = "", services, destinations] = line.split(" ");
  const size = { services: Number(services), destinations: Number(destinations) };
  console.log(JSON.stringify(await program(netnsPath, size)));
}
