/**
 * Programs an empty table with the product's own code: plan, then apply, as an agent does. Reads
 * lines `NETNS_PATH SERVICES DESTINATIONS` from stdin and answers each with a line of JSON, so that
 * one process can be measured cold, warm and hot, each time in a namespace that has no past.
 */
import { createInterface } from "node:readline";

import { applyPlan } from "../../src/ipvs/apply.ts";
import { openIpvsClient } from "../../src/ipvs/netlink-client.ts";
import { planIpvs } from "../../src/ipvs/plan.ts";
import { TableModel } from "../../src/ipvs/table-model.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";
import { desiredTable } from "../lib/desired-table.ts";

async function program(netnsPath: string, services: number, destinations: number): Promise<object> {
  const signal = AbortSignal.timeout(60_000);
  const client = openIpvsClient({ transport: nativeTransport, netnsPath });
  try {
    const desired = desiredTable({ services, destinations });
    const model = new TableModel(await client.readTable(signal));
    const start = performance.now();
    const plan = planIpvs({
      desired,
      observed: model.table,
      owns: () => true,
      drains: new Map(),
      nowMs: Date.now(),
    });
    const planned = performance.now();
    const result = await applyPlan({ plan, client, model, signal });
    const applied = performance.now();
    if (result.refused.length > 0) throw new Error(`${result.refused.length} refused`);
    return { planMs: planned - start, applyMs: applied - planned, steps: plan.steps.length };
  } finally {
    client.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [netnsPath = "", services, destinations] = line.split(" ");
  const figures = await program(netnsPath, Number(services), Number(destinations));
  console.log(JSON.stringify(figures));
}
