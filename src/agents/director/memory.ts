/** The director's part of the node journal: services it programmed and drains that run. Pure. */
import type { NodeJournal } from "../../host/journal.ts";
import { drainKey, type DrainKey, type DrainRecord, type DrainRecords } from "../../ipvs/steps.ts";
import { sameOwned, type OwnedServices } from "./ownership.ts";

export interface DirectorMemory {
  readonly services: OwnedServices;
  readonly drains: DrainRecords;
}

export function readMemory(journal: NodeJournal): DirectorMemory {
  const drains = new Map<DrainKey, DrainRecord>();
  for (const [key, { startedWallMs }] of Object.entries(journal.drains)) {
    // The key ends in the destination, which has no blank; the service's own text has.
    const cut = key.lastIndexOf(" ");
    const service = key.slice(0, cut);
    const destination = key.slice(cut + 1);
    drains.set(drainKey(service, destination), {
      service,
      destination,
      startedAtMs: startedWallMs,
    });
  }
  return { services: new Map(Object.entries(journal.services)), drains };
}

export function writeMemory(journal: NodeJournal, memory: DirectorMemory): NodeJournal {
  const drains = Object.fromEntries(
    [...memory.drains].map(([key, { startedAtMs }]) => [
      key,
      { startedWallMs: startedAtMs, reason: "no longer wanted" },
    ]),
  );
  return { ...journal, services: Object.fromEntries(memory.services), drains };
}

/** Whether writing the second over the first would change nothing. */
export function sameMemory(a: DirectorMemory, b: DirectorMemory): boolean {
  return sameOwned(a.services, b.services) && sameDrains(a.drains, b.drains);
}

function sameDrains(a: DrainRecords, b: DrainRecords): boolean {
  if (a.size !== b.size) return false;
  for (const [key, record] of a) if (b.get(key)?.startedAtMs !== record.startedAtMs) return false;
  return true;
}
