/** `lvsctl list -o json`: a stable shape for programs. Counters are numbers up to 2^53. */
import {
  serviceKey,
  type ObservedDestination,
  type ObservedTable,
  type ServiceKey,
  type TrafficStats,
} from "../../ipvs/model.ts";
import { inListOrder } from "./list-order.ts";

export function renderJson(table: ObservedTable, managed: ReadonlySet<ServiceKey>): string {
  const services = inListOrder(table).map(({ service, destinations, stats }) => ({
    key: serviceKey(service.identity),
    managed: managed.has(serviceKey(service.identity)),
    ...service,
    stats: jsonStats(stats),
    destinations: destinations.map(jsonDestination),
  }));
  return `${JSON.stringify({ services }, null, 2)}\n`;
}

function jsonDestination({ destination, connections, stats }: ObservedDestination): object {
  return { ...destination, connections, stats: jsonStats(stats) };
}

function jsonStats(stats: TrafficStats | undefined): Record<string, number> | undefined {
  if (stats === undefined) return undefined;
  return Object.fromEntries(Object.entries(stats).map(([name, value]) => [name, Number(value)]));
}
