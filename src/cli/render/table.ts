/** `lvsctl list` for a person: one line a service, one line a real server below it. */
import {
  formatEndpoint,
  serviceKey,
  type ObservedDestination,
  type ObservedTable,
  type Service,
  type ServiceKey,
} from "../../ipvs/model.ts";
import { alignColumns } from "./columns.ts";
import { persistenceMask, schedulerFlagNames } from "./ipvsadm.ts";
import { inListOrder } from "./list-order.ts";

const HEADER = ["SERVICE", "SCHEDULER", "METHOD", "WEIGHT", "ACTIVE", "INACTIVE", "CONNS", "NOTES"];

/** @param managed services that we programmed; the others are marked as foreign */
export function renderTable(table: ObservedTable, managed: ReadonlySet<ServiceKey>): string {
  if (table.services.size === 0) return "No virtual services in this network namespace.\n";
  const rows: string[][] = [HEADER];
  for (const { service, destinations, stats } of inListOrder(table)) {
    const key = serviceKey(service.identity);
    const total = stats === undefined ? "" : String(stats.connections);
    const notes = [...serviceNotes(service), ...(managed.has(key) ? [] : ["foreign"])];
    rows.push([key, service.scheduler, "", "", "", "", total, notes.join(", ")]);
    for (const observed of destinations) rows.push(destinationRow(observed));
    if (destinations.length === 0) rows.push(["  (no real server: connections are refused)"]);
  }
  return alignColumns(rows);
}

function serviceNotes(service: Service): string[] {
  const notes: string[] = [];
  if (service.persistence !== undefined) {
    const mask = persistenceMask(service);
    const per = mask === undefined ? "" : ` per ${mask}`;
    notes.push(`persistent ${service.persistence.timeoutSeconds}s${per}`);
  }
  if (service.persistenceEngine !== undefined) notes.push(`engine ${service.persistenceEngine}`);
  if (service.onePacket) notes.push("one-packet");
  notes.push(...schedulerFlagNames(service.scheduler, service.schedulerFlags));
  return notes;
}

function destinationRow({ destination, connections, stats }: ObservedDestination): string[] {
  const notes: string[] = [];
  if (destination.weight === 0) notes.push("draining");
  if (destination.upperThreshold > 0) notes.push(`at most ${destination.upperThreshold}`);
  if (destination.tunnel !== undefined && destination.tunnel.type !== "IPIP") {
    notes.push(destination.tunnel.type);
  }
  return [
    `  -> ${formatEndpoint(destination.address, destination.port)}`,
    "",
    destination.method,
    String(destination.weight),
    String(connections.active),
    String(connections.inactive),
    stats === undefined ? "" : String(stats.connections),
    notes.join(", "),
  ];
}
