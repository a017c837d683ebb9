/** What the host planners are given, and the small sums they share. */
import type { NodeJournal } from "./journal.ts";
import type { DesiredAddress, DesiredHost, HostOwner, ObservedHost } from "./model.ts";

export interface HostPlanInput {
  /** The agent that plans. Only what it wished for is ever taken back. */
  readonly owner: HostOwner;
  readonly desired: DesiredHost;
  /** Must hold a value (or undefined) for each of `keysToObserve(desired, journal)`. */
  readonly observed: ObservedHost;
  readonly journal: NodeJournal;
  /** Default: nothing is retained. */
  readonly retained?: HostRetention;
  /**
   * Whether an address that is not bound may be now: the network was asked and is silent, the
   * table is there. Default: it may.
   */
  readonly mayBind?: (address: DesiredAddress) => boolean;
}

/** What stays as it is although the desired state does not have it. */
export interface HostRetention {
  /** Nothing at all is removed or restored. */
  readonly everything: boolean;
  /** Addresses neither added nor removed. While one of ours is bound, settings stay too. */
  readonly addresses: ReadonlySet<string>;
  /** No sysctl is restored and no device taken down. */
  readonly settings: boolean;
}

/** Records before the steps, and after all of them have succeeded. */
export interface RecordPlan<T> {
  readonly journal: readonly T[];
  readonly settled: readonly T[];
}

/** Records by key in both stages. */
export class RecordBook<T> {
  readonly #journal: Map<string, T>;
  readonly #settled: Map<string, T>;
  readonly #keyOf: (record: T) => string;

  constructor(records: readonly T[], keyOf: (record: T) => string) {
    this.#keyOf = keyOf;
    this.#journal = new Map(records.map((record) => [keyOf(record), record]));
    this.#settled = new Map(this.#journal);
  }

  get(key: string): T | undefined {
    return this.#journal.get(key);
  }

  /** @param settled the record after the steps, where they change it */
  put(record: T, settled: T = record): void {
    const key = this.#keyOf(record);
    this.#journal.set(key, record);
    this.#settled.set(key, settled);
  }

  /** The record stays until the steps have succeeded, and is gone then. */
  putUntilSettled(record: T): void {
    const key = this.#keyOf(record);
    this.#journal.set(key, record);
    this.#settled.delete(key);
  }

  drop(key: string): void {
    this.#journal.delete(key);
    this.#settled.delete(key);
  }

  records(): readonly T[] {
    return [...this.#journal.values()];
  }

  plan(): RecordPlan<T> {
    const sorted = (map: ReadonlyMap<string, T>): readonly T[] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
    return { journal: sorted(this.#journal), settled: sorted(this.#settled) };
  }
}

/** The owners with one more, in canonical order. */
export function withOwner(owners: readonly HostOwner[], owner: HostOwner): readonly HostOwner[] {
  return [...new Set([...owners, owner])].sort();
}

/** The owners without one. */
export function withoutOwner(owners: readonly HostOwner[], owner: HostOwner): readonly HostOwner[] {
  return owners.filter((o) => o !== owner);
}

/** Whether the record is this owner's to release: it holds it, or nobody does any more. */
export function isReleasable(owners: readonly HostOwner[], owner: HostOwner): boolean {
  return owners.length === 0 || owners.includes(owner);
}
