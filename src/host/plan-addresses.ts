/**
 * Addresses of a host plan. Ours is what carries our mark; on a kernel that keeps no marks, what
 * the journal says we added. Everything else is used where it serves and never removed.
 */
import { HOST_PREFIX_LENGTH, compareIp } from "../lib/ip-address.ts";
import type { AddressRecord } from "./journal.ts";
import type { DesiredAddress, HostOwner, HostStep, ObservedAddress } from "./model.ts";
import {
  type HostPlanInput,
  RecordBook,
  type RecordPlan,
  isReleasable,
  withOwner,
  withoutOwner,
} from "./plan-input.ts";
import type { HostReport } from "./reports.ts";

export interface AddressPlan {
  readonly add: readonly HostStep[];
  readonly remove: readonly HostStep[];
  /** Removals of addresses that are added on another device: to come after the additions. */
  readonly removeMoved: readonly HostStep[];
  readonly records: RecordPlan<AddressRecord>;
  readonly reports: readonly HostReport[];
  readonly missing: readonly DesiredAddress[];
}

/** The part of an address that says which one it is. */
type Place = Pick<DesiredAddress, "address" | "interfaceName">;

function placeKey({ address, interfaceName }: Place): string {
  return `${address} ${interfaceName}`;
}

/** Whether an address of this owner is bound that may not be taken away now. */
export function holdsRetained(input: HostPlanInput): boolean {
  const { retained } = input;
  if (retained === undefined || retained.addresses.size === 0) return false;
  const planner = new AddressPlanner(input, false);
  return input.observed.addresses.some(
    (a) => retained.addresses.has(a.address) && planner.isMine(a),
  );
}

/** @param unmet a setting is not as it must be: VIPs that need it are not added */
export function planAddresses(input: HostPlanInput, unmet: boolean): AddressPlan {
  const planner = new AddressPlanner(input, unmet);
  const desired = [...input.desired.addresses].sort(
    (a, b) => compareIp(a.address, b.address) || (placeKey(a) < placeKey(b) ? -1 : 1),
  );
  for (const address of desired) planner.want(address);
  if (input.retained?.everything !== true) planner.releaseOthers();
  return planner.result();
}

const UNRECORDED: Pick<AddressRecord, "owners" | "confirmed"> = { owners: [], confirmed: false };

class AddressPlanner {
  readonly #input: HostPlanInput;
  readonly #unmet: boolean;
  readonly #book: RecordBook<AddressRecord>;
  readonly #observed = new Map<string, ObservedAddress[]>();
  readonly #wanted = new Set<string>();
  readonly #adding = new Set<string>();
  /** Addresses that are wanted on a device and may not be put there yet. */
  readonly #waiting = new Set<string>();
  readonly #add: HostStep[] = [];
  readonly #remove: HostStep[] = [];
  readonly #removeMoved: HostStep[] = [];
  readonly #missing: DesiredAddress[] = [];
  readonly #reports: HostReport[] = [];

  constructor(input: HostPlanInput, unmet: boolean) {
    this.#input = input;
    this.#unmet = unmet;
    this.#book = new RecordBook(input.journal.addresses, placeKey);
    for (const address of input.observed.addresses) {
      const key = placeKey(address);
      const there = this.#observed.get(key);
      if (there === undefined) this.#observed.set(key, [address]);
      else there.push(address);
    }
  }

  want(wanted: DesiredAddress): void {
    const key = placeKey(wanted);
    if (this.#wanted.has(key)) return;
    this.#wanted.add(key);
    if (this.#isRetained(wanted)) return;
    const [first, ...others] = this.#observed.get(key) ?? [];
    if (first === undefined) this.#addMissing(wanted);
    else this.#use(wanted, [first, ...others].find(isHostAddress) ?? first);
  }

  releaseOthers(): void {
    for (const [key, addresses] of this.#observed) {
      if (this.#wanted.has(key)) continue;
      for (const address of addresses) this.#releaseObserved(key, address);
    }
    for (const record of this.#book.records()) this.#releaseVanished(record);
  }

  /** Whether it is ours, and this owner is one who may let it go. */
  isMine(address: ObservedAddress): boolean {
    const record = this.#book.get(placeKey(address));
    if (!isHostAddress(address) || !this.#isOurs(address, record)) return false;
    if (record === undefined) return address.markedBy === this.#input.owner;
    return isReleasable(record.owners, this.#input.owner);
  }

  result(): AddressPlan {
    return {
      add: this.#add,
      remove: this.#remove,
      removeMoved: this.#removeMoved,
      records: this.#book.plan(),
      reports: this.#reports,
      missing: this.#missing,
    };
  }

  #isRetained({ address }: Place): boolean {
    return this.#input.retained?.addresses.has(address) === true;
  }

  #isOurs(address: ObservedAddress, record: AddressRecord | undefined): boolean {
    if (address.ours) return true;
    return this.#input.observed.addressMarks !== true && record !== undefined;
  }

  #addMissing(wanted: DesiredAddress): void {
    this.#missing.push(wanted);
    if (this.#unmet && !wanted.exclusive && wanted.family === "IPv4") {
      const text = `${placeKey(wanted)} is not added: this node would answer ARP for it`;
      this.#report("address-blocked", wanted, text);
      this.#waiting.add(wanted.address);
    } else if (this.#input.mayBind?.(wanted) === false) {
      this.#waiting.add(wanted.address);
    } else {
      this.#addNow(wanted);
    }
  }

  #addNow(wanted: DesiredAddress): void {
    const { owner } = this.#input;
    const { address, interfaceName } = wanted;
    const { owners, confirmed } = this.#book.get(placeKey(wanted)) ?? UNRECORDED;
    if (confirmed && owners.includes(owner)) {
      const text = `${placeKey(wanted)} was taken away; added again`;
      this.#report("address-drift", wanted, text);
    }
    this.#add.push({ op: "add-address", address: wanted, owner });
    this.#adding.add(address);
    const next = { address, interfaceName, owners: withOwner(owners, owner), confirmed };
    this.#book.put(next, { ...next, confirmed: true });
  }

  /** The address is there already. */
  #use(wanted: DesiredAddress, have: ObservedAddress): void {
    const { address, interfaceName } = wanted;
    const key = placeKey(wanted);
    const record = this.#book.get(key);
    if (!isHostAddress(have) || !this.#isOurs(have, record)) {
      this.#book.drop(key);
      const text = `${key}/${have.prefixLength} was there before; used as it is and never removed`;
      this.#report("address-foreign", wanted, text);
      return;
    }
    const before: readonly HostOwner[] =
      record?.owners ?? (have.markedBy === undefined ? [] : [have.markedBy]);
    const owners = withOwner(before, this.#input.owner);
    this.#book.put({ address, interfaceName, owners, confirmed: true });
  }

  #releaseObserved(key: string, address: ObservedAddress): void {
    if (this.#isRetained(address) || !isHostAddress(address)) return;
    const record = this.#book.get(key);
    if (this.isMine(address)) {
      this.#take(address, record);
    } else if (record !== undefined && !this.#isOurs(address, record)) {
      this.#book.drop(key);
      const text = `${key} was added again by somebody else; left alone`;
      this.#report("address-replaced", address, text);
    }
  }

  #take(address: ObservedAddress, record: AddressRecord | undefined): void {
    // It serves where it is until it can move.
    if (this.#waiting.has(address.address)) return;
    const owners = withoutOwner(record?.owners ?? [], this.#input.owner);
    if (record !== undefined && owners.length > 0) {
      this.#book.put({ ...record, owners });
      return;
    }
    const moved = this.#adding.has(address.address);
    const list = moved ? this.#removeMoved : this.#remove;
    list.push({ op: "remove-address", address });
    if (record !== undefined) this.#book.putUntilSettled({ ...record, owners });
  }

  /** Forgets what this owner no longer wants and nobody has to remove. */
  #releaseVanished(record: AddressRecord): void {
    const key = placeKey(record);
    if (this.#wanted.has(key) || this.#observed.has(key)) return;
    if (!isReleasable(record.owners, this.#input.owner)) return;
    const owners = withoutOwner(record.owners, this.#input.owner);
    if (owners.length > 0) this.#book.put({ ...record, owners });
    else this.#book.drop(key);
  }

  #report(kind: HostReport["kind"], place: Place, message: string): void {
    this.#reports.push({ kind, subject: placeKey(place), message });
  }
}

/** VIPs are single hosts; an address with a network behind it is never one of ours. */
function isHostAddress({ family, prefixLength }: ObservedAddress): boolean {
  return prefixLength === HOST_PREFIX_LENGTH[family];
}
