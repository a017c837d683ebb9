/**
 * Who gets a VIP, a port of it, or a mark, where several VirtualServices want it. The oldest wins,
 * by creation time and else by namespace and name; objects from manifests have no creation time
 * and count as the oldest. What one object loses changes nothing for the others.
 */
import { objectKey, type ObjectKey } from "../api/conditions.ts";
import type { Port } from "../api/v1alpha1/port.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { Problem } from "./problems.ts";

/** What an object does not get of one thing that it wants. */
export interface Refusal {
  /** Refused ports of an address, by index; undefined = the address as a whole, or the mark. */
  readonly ports: readonly number[] | undefined;
  readonly problems: readonly Problem[];
}

/** Name of the thing that a mark is, in the same map as addresses. */
export function markName(value: number): string {
  return `mark ${value}`;
}

/** Nearly everything has one claimant, so a list is made only for the second. */
type Group = VirtualService | VirtualService[];

export class Claims {
  /** Claimants of each address or mark. */
  readonly #groups = new Map<string, Group>();
  readonly #refusals = new Map<ObjectKey, Map<string, Refusal>>();
  readonly #touched = new Set<string>();

  add(service: VirtualService): void {
    for (const name of claimedNames(service)) {
      const group = this.#groups.get(name);
      if (group === undefined) {
        this.#groups.set(name, service);
        continue;
      }
      if (Array.isArray(group)) group.push(service);
      else this.#groups.set(name, [group, service]);
      this.#touched.add(name);
    }
  }

  remove(service: VirtualService): void {
    for (const name of claimedNames(service)) {
      const rest = members(this.#groups.get(name)).filter((claimant) => claimant !== service);
      const [first] = rest;
      if (first === undefined) {
        this.#groups.delete(name);
      } else {
        this.#groups.set(name, rest.length === 1 ? first : rest);
        this.#touched.add(name);
      }
    }
    this.#refusals.delete(objectKey(service));
  }

  /** Puts a newer version of an object in place that claims alike; nothing is decided again. */
  replace(before: VirtualService, after: VirtualService): void {
    for (const name of claimedNames(before)) {
      const group = members(this.#groups.get(name));
      const renewed = group.map((claimant) => (claimant === before ? after : claimant));
      this.#groups.set(name, group.length === 1 ? after : renewed);
    }
  }

  /** Decides again where claimants came or went. @returns keys of objects whose refusals changed */
  settle(): ReadonlySet<ObjectKey> {
    const changed = new Set<ObjectKey>();
    for (const name of this.#touched) {
      const group = members(this.#groups.get(name)).toSorted(compareSeniority);
      const settled = name.startsWith("mark ")
        ? settleMark(name, group)
        : settleAddress(name, group);
      for (const claimant of group) {
        const key = objectKey(claimant);
        if (this.#record(key, name, settled.get(key))) changed.add(key);
      }
    }
    this.#touched.clear();
    return changed;
  }

  refusal(key: ObjectKey, name: string): Refusal | undefined {
    return this.#refusals.get(key)?.get(name);
  }

  /** Objects that want the address or mark. */
  claimants(name: string): readonly VirtualService[] {
    return members(this.#groups.get(name));
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

function members(group: Group | undefined): readonly VirtualService[] {
  if (group === undefined) return [];
  return Array.isArray(group) ? group : [group];
}

/** Oldest first; the keys of one kind sort by namespace and name. */
function compareSeniority(a: VirtualService, b: VirtualService): number {
  const created = ({ metadata }: VirtualService): string => metadata.creationTimestamp ?? "";
  return compareText(created(a), created(b)) || compareText(objectKey(a), objectKey(b));
}

function settleMark(
  name: string,
  group: readonly VirtualService[],
): ReadonlyMap<ObjectKey, Refusal> {
  const [winner, ...losers] = group;
  if (winner === undefined) return new Map();
  const message = `${name} belongs to ${objectKey(winner)}, which comes first; use another mark`;
  const problems: readonly Problem[] = [{ type: "Accepted", reason: "PortConflict", message }];
  return new Map(losers.map((loser) => [objectKey(loser), { ports: undefined, problems }]));
}

function settleAddress(
  ip: string,
  group: readonly VirtualService[],
): ReadonlyMap<ObjectKey, Refusal> {
  const refusals = new Map<ObjectKey, Refusal>();
  const winner = group[0];
  if (winner === undefined || group.length === 1) return refusals;
  const ledger = new PortLedger();
  for (const claimant of group) {
    const stranger = whyStranger(ip, winner, claimant);
    const refusal = stranger === undefined ? claimPorts(ip, claimant, ledger) : refuseAll(stranger);
    if (refusal !== undefined) refusals.set(objectKey(claimant), refusal);
  }
  return refusals;
}

function refuseAll(message: string): Refusal {
  return { ports: undefined, problems: [{ type: "Accepted", reason: "AddressConflict", message }] };
}

function whyStranger(
  ip: string,
  winner: VirtualService,
  other: VirtualService,
): string | undefined {
  const owner = `${ip} belongs to ${objectKey(winner)}, which comes first`;
  if (other.metadata.namespace !== winner.metadata.namespace) {
    return `${owner}, and only VirtualServices of its namespace can share it; use another address`;
  }
  const group = winner.spec.directorGroupName;
  if (other.spec.directorGroupName === group) return undefined;
  return `${owner} in DirectorGroup ${group}; use that group or another address`;
}

function claimPorts(ip: string, claimant: VirtualService, ledger: PortLedger): Refusal | undefined {
  const key = objectKey(claimant);
  const refused: number[] = [];
  const problems: Problem[] = [];
  for (const [index, port] of claimant.spec.ports.entries()) {
    const holder = ledger.claim(port, key);
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
