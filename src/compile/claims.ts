/**
 * Who gets a VIP, a port of it, or a mark, where several VirtualServices want it. The oldest wins,
 * by creation time and else by namespace and name; objects from manifests have no creation time
 * and count as the oldest. What one object loses changes nothing for the others.
 */
import type { ObjectKey } from "../api/conditions.ts";
import type { Port } from "../api/v1alpha1/port.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { Problem } from "./problems.ts";

/** What an object does not get of one thing that it wants. */
export interface Refusal {
  /** Refused ports of an address, by index; undefined = the address as a whole, or the mark. */
  readonly ports: readonly number[] | undefined;
  readonly problems: readonly Problem[];
}

interface Claimant {
  readonly key: ObjectKey;
  /** Creation time; empty = from a manifest, before all others. */
  readonly created: string;
  readonly namespace: string;
  readonly directorGroupName: string;
  readonly ports: readonly Port[];
}

/** Name of the thing that a mark is, in the same map as addresses. */
export function markName(value: number): string {
  return `mark ${value}`;
}

export class Claims {
  /** Claimants of each address or mark. */
  readonly #groups = new Map<string, Claimant[]>();
  readonly #refusals = new Map<ObjectKey, Map<string, Refusal>>();
  readonly #touched = new Set<string>();

  add(key: ObjectKey, service: VirtualService): void {
    const claimant = toClaimant(key, service);
    for (const name of claimedNames(service)) {
      const group = this.#groups.get(name);
      if (group === undefined) {
        this.#groups.set(name, [claimant]);
      } else {
        group.push(claimant);
        this.#touched.add(name);
      }
    }
  }

  remove(key: ObjectKey, service: VirtualService): void {
    for (const name of claimedNames(service)) {
      const rest = (this.#groups.get(name) ?? []).filter((claimant) => claimant.key !== key);
      if (rest.length === 0) {
        this.#groups.delete(name);
      } else {
        this.#groups.set(name, rest);
        this.#touched.add(name);
      }
    }
    this.#refusals.delete(key);
  }

  /** Decides again where claimants came or went. @returns keys of objects whose refusals changed */
  settle(): ReadonlySet<ObjectKey> {
    const changed = new Set<ObjectKey>();
    for (const name of this.#touched) {
      const group = this.#groups.get(name);
      if (group === undefined) continue;
      group.sort(compareSeniority);
      const refusals = name.startsWith("mark ")
        ? settleMark(name, group)
        : settleAddress(name, group);
      for (const { key } of group) {
        if (this.#record(key, name, refusals.get(key))) changed.add(key);
      }
    }
    this.#touched.clear();
    return changed;
  }

  refusal(key: ObjectKey, name: string): Refusal | undefined {
    return this.#refusals.get(key)?.get(name);
  }

  /** Objects that want the address or mark. */
  claimants(name: string): readonly { readonly key: ObjectKey }[] {
    return this.#groups.get(name) ?? [];
  }

  #record(key: ObjectKey, name: string, refusal: Refusal | undefined): boolean {
    const known = this.#refusals.get(key);
    if (refusal === undefined) return known?.delete(name) ?? false;
    if (known === undefined) this.#refusals.set(key, new Map([[name, refusal]]));
    else known.set(name, refusal);
    return true;
  }
}

/** Whether two versions of one object want the same with the same seniority. */
export function claimsAlike(a: VirtualService, b: VirtualService): boolean {
  return claimText(a) === claimText(b);
}

function claimText({ metadata, spec }: VirtualService): string {
  const ips = spec.addresses.map(({ ip }) => ip);
  const ports = spec.ports.map(({ port, endPort, protocol }) => [port, endPort, protocol]);
  const mark = spec.firewallMark?.value;
  return JSON.stringify([metadata.creationTimestamp, spec.directorGroupName, ips, ports, mark]);
}

function claimedNames({ spec }: VirtualService): readonly string[] {
  const ips = spec.addresses.map(({ ip }) => ip);
  return spec.firewallMark === undefined ? ips : [...ips, markName(spec.firewallMark.value)];
}

function toClaimant(key: ObjectKey, service: VirtualService): Claimant {
  const { namespace, creationTimestamp: created = "" } = service.metadata;
  const { directorGroupName, ports } = service.spec;
  return { key, created, namespace, directorGroupName, ports };
}

/** Oldest first; the keys of one kind sort by namespace and name. */
function compareSeniority(a: Claimant, b: Claimant): number {
  return compareText(a.created, b.created) || compareText(a.key, b.key);
}

function settleMark(name: string, group: readonly Claimant[]): ReadonlyMap<ObjectKey, Refusal> {
  const [winner, ...losers] = group;
  if (winner === undefined) return new Map();
  const message = `${name} belongs to ${winner.key}, which comes first; use another mark`;
  const problems: readonly Problem[] = [{ type: "Accepted", reason: "PortConflict", message }];
  return new Map(losers.map(({ key }) => [key, { ports: undefined, problems }]));
}

function settleAddress(ip: string, group: readonly Claimant[]): ReadonlyMap<ObjectKey, Refusal> {
  const refusals = new Map<ObjectKey, Refusal>();
  const winner = group[0];
  if (winner === undefined || group.length === 1) return refusals;
  const ledger = new PortLedger();
  for (const claimant of group) {
    const stranger = whyStranger(ip, winner, claimant);
    const refusal = stranger === undefined ? claimPorts(ip, claimant, ledger) : refuseAll(stranger);
    if (refusal !== undefined) refusals.set(claimant.key, refusal);
  }
  return refusals;
}

function refuseAll(message: string): Refusal {
  return { ports: undefined, problems: [{ type: "Accepted", reason: "AddressConflict", message }] };
}

function whyStranger(ip: string, winner: Claimant, other: Claimant): string | undefined {
  const owner = `${ip} belongs to ${winner.key}, which comes first`;
  if (other.namespace !== winner.namespace) {
    return `${owner}, and only VirtualServices of its namespace can share it; use another address`;
  }
  if (other.directorGroupName === winner.directorGroupName) return undefined;
  return `${owner} in DirectorGroup ${winner.directorGroupName}; use that group or another address`;
}

function claimPorts(ip: string, claimant: Claimant, ledger: PortLedger): Refusal | undefined {
  const refused: number[] = [];
  const problems: Problem[] = [];
  for (const [index, port] of claimant.ports.entries()) {
    const holder = ledger.claim(port, claimant.key);
    if (holder === undefined) continue;
    refused.push(index);
    const message = `${port.protocol} ${portText(port)} on ${ip} belongs to ${holder}, which comes first; use another port or address`;
    problems.push({ type: "Accepted", reason: "PortConflict", message });
  }
  return refused.length === 0 ? undefined : { ports: refused, problems };
}

/** Ports of one address that are given away. */
class PortLedger {
  readonly #single = new Map<string, ObjectKey>();
  readonly #ranges: { readonly port: Port; readonly holder: ObjectKey }[] = [];

  /** Gives the port away, or says who has it or a part of it. */
  claim(port: Port, key: ObjectKey): ObjectKey | undefined {
    const holder = this.#holder(port, key);
    if (holder !== undefined) return holder;
    if (port.endPort === undefined) this.#single.set(`${port.protocol} ${port.port}`, key);
    else this.#ranges.push({ port, holder: key });
    return undefined;
  }

  #holder(port: Port, key: ObjectKey): ObjectKey | undefined {
    const range = this.#ranges.find(
      (other) => other.holder !== key && overlaps(other.port, port),
    )?.holder;
    if (range !== undefined) return range;
    for (let number = port.port; number <= (port.endPort ?? port.port); number++) {
      const holder = this.#single.get(`${port.protocol} ${number}`);
      if (holder !== undefined && holder !== key) return holder;
    }
    return undefined;
  }
}

function overlaps(a: Port, b: Port): boolean {
  return a.protocol === b.protocol && a.port <= last(b) && b.port <= last(a);
}

function last({ port, endPort = port }: Port): number {
  return endPort;
}

function portText({ port, endPort }: Port): string {
  return endPort === undefined ? String(port) : `${port}-${endPort}`;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
