/** Devices of a host plan: brought up before anything else, taken down after everything else. */
import { ipScope } from "../lib/ip-address.ts";
import type { LinkRecord } from "./journal.ts";
import type { DesiredLink, HostStep, ObservedLink } from "./model.ts";
import {
  type HostPlanInput,
  RecordBook,
  type RecordPlan,
  isReleasable,
  withOwner,
  withoutOwner,
} from "./plan-input.ts";
import type { HostReport } from "./reports.ts";

export interface LinkPlan {
  readonly up: readonly HostStep[];
  readonly down: readonly HostStep[];
  readonly records: RecordPlan<LinkRecord>;
  readonly reports: readonly HostReport[];
  /** Devices that the plan creates. */
  readonly appearing: ReadonlySet<string>;
}

/** @param holding something of this owner stays bound: release nothing */
export function planLinks(input: HostPlanInput, holding: boolean): LinkPlan {
  const planner = new LinkPlanner(input);
  for (const link of input.desired.links) planner.want(link);
  if (!holding) planner.releaseOthers();
  return planner.result();
}

class LinkPlanner {
  readonly #input: HostPlanInput;
  readonly #book: RecordBook<LinkRecord>;
  readonly #up: HostStep[] = [];
  readonly #down: HostStep[] = [];
  readonly #reports: HostReport[] = [];
  readonly #wanted = new Set<string>();
  readonly #appearing = new Set<string>();

  constructor(input: HostPlanInput) {
    this.#input = input;
    this.#book = new RecordBook(input.journal.links, (record) => record.name);
  }

  want(link: DesiredLink): void {
    if (this.#wanted.has(link.name)) return;
    this.#wanted.add(link.name);
    const have = this.#observed(link.name);
    if (have === undefined) this.#create(link);
    else if (link.kind !== undefined && have.kind !== link.kind) this.#wrongKind(link, have);
    else if (have.up) this.#keep(link);
    else this.#bringUp(link, this.#book.get(link.name)?.made ?? false);
  }

  releaseOthers(): void {
    for (const record of this.#book.records()) {
      const mine = isReleasable(record.owners, this.#input.owner);
      if (mine && !this.#wanted.has(record.name)) this.#release(record);
    }
  }

  result(): LinkPlan {
    return {
      up: this.#up,
      down: this.#down,
      records: this.#book.plan(),
      reports: this.#reports,
      appearing: this.#appearing,
    };
  }

  #observed(name: string): ObservedLink | undefined {
    return this.#input.observed.links.find((link) => link.name === name);
  }

  #create(link: DesiredLink): void {
    if (link.kind === undefined) {
      this.#book.drop(link.name);
      this.#report("link-missing", link.name, `device ${link.name} does not exist on this node`);
      return;
    }
    this.#appearing.add(link.name);
    this.#bringUp(link, true);
  }

  #bringUp(link: DesiredLink, made: boolean): void {
    this.#up.push({ op: "link-up", link });
    const record = this.#book.get(link.name);
    if (record?.confirmed === true && record.owners.includes(this.#input.owner)) {
      this.#report("link-drift", link.name, `device ${link.name} was taken down; up again`);
    }
    const owners = withOwner(record?.owners ?? [], this.#input.owner);
    const next = { name: link.name, made, owners, confirmed: record?.confirmed ?? false };
    this.#book.put(next, { ...next, confirmed: true });
  }

  /** The device is as it must be. A record exists only if one of us brought it up. */
  #keep(link: DesiredLink): void {
    const record = this.#book.get(link.name);
    if (record === undefined) return;
    const owners = withOwner(record.owners, this.#input.owner);
    this.#book.put({ ...record, owners, confirmed: true });
  }

  #wrongKind(link: DesiredLink, have: ObservedLink): void {
    const text = `device ${link.name} must be of kind ${String(link.kind)} and is ${have.kind ?? "a plain device"}`;
    this.#report("link-kind", link.name, text);
  }

  #release(record: LinkRecord): void {
    const owners = withoutOwner(record.owners, this.#input.owner);
    const have = this.#observed(record.name);
    if (owners.length > 0) {
      this.#book.put({ ...record, owners });
    } else if (have === undefined || (!record.made && !have.up)) {
      this.#book.drop(record.name);
    } else if (this.#carriesForeignAddresses(record.name)) {
      this.#book.drop(record.name);
      const text = `device ${record.name} has addresses that are not ours and stays up`;
      this.#report("link-kept", record.name, text);
    } else {
      this.#down.push({ op: "link-down", name: record.name, remove: record.made });
      this.#book.putUntilSettled({ ...record, owners });
    }
  }

  #carriesForeignAddresses(name: string): boolean {
    const { observed, journal } = this.#input;
    const recorded = new Set(
      journal.addresses.filter((a) => a.interfaceName === name).map((a) => a.address),
    );
    return observed.addresses.some(
      (a) =>
        a.interfaceName === name &&
        !a.ours &&
        !recorded.has(a.address) &&
        // The kernel gives every device a link-local address by itself.
        ipScope(a.address) !== "LinkLocal",
    );
  }

  #report(kind: HostReport["kind"], subject: string, message: string): void {
    this.#reports.push({ kind, subject, message });
  }
}
