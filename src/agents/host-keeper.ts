/**
 * An agent's hold on the node around IPVS: what was observed, what has to change, and the journal
 * that makes every change reversible. Looks at the node only after a hint that it changed, so that
 * a pass about objects alone costs nothing here.
 */
import { changeHost, describeStep, loadOrSetAside, type HostChange } from "../host/apply.ts";
import type { HostClient } from "../host/client.ts";
import type { NodeJournal } from "../host/journal.ts";
import type { JournalStore } from "../host/journal-store.ts";
import type { NodeLocks } from "../host/lock.ts";
import type {
  DesiredAddress,
  DesiredHost,
  HostOwner,
  HostStep,
  ObservedAddress,
  ObservedLink,
  RouteFact,
} from "../host/model.ts";
import type { HostRetention } from "../host/plan.ts";
import type { HostReport } from "../host/reports.ts";
import type { Logger } from "../lib/logger.ts";
import { LastAnswer } from "./last-answer.ts";

/** The node as the compiler sees it. */
export interface HostView {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
}

/** Addresses whose routes matter. */
export interface LookUps {
  readonly all: ReadonlySetLike<string>;
  /** Those of them that are new. */
  readonly added: ReadonlySet<string>;
}

export interface HostWish {
  readonly desired: DesiredHost;
  readonly retained: HostRetention;
}

/** A step that the kernel refused, with what to tell a person. */
export interface HostFailure {
  readonly step: HostStep;
  readonly detail: string;
}

/** What was changed and found, for logs and reports. */
export interface HostChanges {
  /** false: the wish was known to be fulfilled, so nothing was looked at and nothing found. */
  readonly looked: boolean;
  readonly executed: readonly HostStep[];
  readonly failures: readonly HostFailure[];
  readonly reports: readonly HostReport[];
  /** Wanted addresses that were not there, whether they were added or not. */
  readonly missing: readonly DesiredAddress[];
}

/** Wanted addresses that are not bound after the steps. */
export function unboundAfter({ missing, executed }: HostChanges): ReadonlySet<string> {
  const unbound = new Set(missing.map(({ address }) => address));
  for (const step of executed) if (step.op === "add-address") unbound.delete(step.address.address);
  return unbound;
}

export interface HostKeeperOptions {
  readonly owner: HostOwner;
  readonly client: HostClient;
  readonly store: JournalStore;
  readonly locks: NodeLocks;
  readonly log: Logger;
}

const NO_CHANGES: HostChanges = {
  looked: false,
  executed: [],
  failures: [],
  reports: [],
  missing: [],
};

export class HostKeeper {
  readonly #options: HostKeeperOptions;
  #routes: ReadonlyMap<string, RouteFact> | undefined;
  readonly #lastLinks = new LastAnswer<HostView["links"]>();
  readonly #lastAddresses = new LastAnswer<HostView["addresses"]>();
  readonly #lastRoutes = new LastAnswer<ReadonlyMap<string, RouteFact>>();
  #view: HostView | undefined;
  /** The last wish that was found fulfilled, as long as nothing hints otherwise. */
  #fulfilled: HostWish | undefined;
  /** Counts hints, so that a look that began before one is not taken for a newer one. */
  #hints = 0;

  constructor(options: HostKeeperOptions) {
    this.#options = options;
  }

  /** Something changed on the node, or may have: look again at the next use. */
  invalidate(): void {
    this.#hints += 1;
    this.#view = undefined;
    this.#routes = undefined;
    this.#fulfilled = undefined;
  }

  /** The node's devices and addresses; the members are identical while they say the same. */
  async view(signal: AbortSignal): Promise<HostView> {
    if (this.#view !== undefined) return this.#view;
    const hints = this.#hints;
    const view = this.#viewOf(await this.#options.client.observe([], signal));
    // Probes and announcements look too, beside the passes.
    if (hints === this.#hints) this.#view ??= view;
    return view;
  }

  /** Answers for the addresses, from memory where nothing changed since; identical while equal. */
  async routes(lookUps: LookUps, signal: AbortSignal): Promise<ReadonlyMap<string, RouteFact>> {
    const { client } = this.#options;
    const known = this.#routes;
    if (known === undefined) {
      const found = await client.lookUpRoutes(setItems(lookUps.all), signal);
      this.#routes = this.#lastRoutes.take(found);
      return this.#routes;
    }
    // A newer version of an object brings its old addresses along.
    const unknown = [...lookUps.added].filter((address) => !known.has(address));
    if (unknown.length === 0) return known;
    const found = await client.lookUpRoutes(unknown, signal);
    if (found.size > 0) this.#routes = this.#lastRoutes.take(new Map([...known, ...found]));
    return this.#routes ?? known;
  }

  /** Devices and settings that are wanted, and addresses off that are not. Restores nothing yet. */
  before(wish: HostWish, signal: AbortSignal): Promise<HostChanges> {
    const retained = { ...wish.retained, settings: true };
    return this.#change({ ...wish, retained }, wish, () => false, signal);
  }

  /**
   * Everything that is left: wanted addresses on, and what nobody needs any more restored.
   * @param mayBind whether an address that is not bound may be now
   */
  after(
    wish: HostWish,
    mayBind: (address: DesiredAddress) => boolean,
    signal: AbortSignal,
  ): Promise<HostChanges> {
    return this.#change(wish, wish, mayBind, signal);
  }

  /** The journal as it stands. */
  async journal(signal: AbortSignal): Promise<NodeJournal> {
    return this.#options.locks.withJournal(() => this.#loadJournal(), signal);
  }

  /** Changes the journal; nothing is written when the result is the same. */
  async updateJournal(
    edit: (journal: NodeJournal) => NodeJournal,
    signal: AbortSignal,
  ): Promise<void> {
    const { locks, store } = this.#options;
    await locks.withJournal(async () => store.save(edit(await this.#loadJournal())), signal);
  }

  async #change(
    wish: HostWish,
    key: HostWish,
    mayBind: (address: DesiredAddress) => boolean,
    signal: AbortSignal,
  ): Promise<HostChanges> {
    if (this.#isFulfilled(key)) return NO_CHANGES;
    const { owner, client, store, locks } = this.#options;
    const change = await changeHost({ ...wish, owner, client, store, locks, mayBind }, signal);
    this.#noteJournal(change);
    this.#view = this.#viewOf(change.observed);
    const { steps, missing, reports } = change.plan;
    if (steps.length > 0) this.invalidate();
    else if (wish === key && missing.length === 0) this.#fulfilled = wish;
    const failures = change.failures.map(({ step, error }) => ({
      step,
      detail: `${describeStep(step)}: ${error.message}`,
    }));
    return { looked: true, executed: change.executed, failures, reports, missing };
  }

  #viewOf({ links, addresses }: HostView): HostView {
    return { links: this.#lastLinks.take(links), addresses: this.#lastAddresses.take(addresses) };
  }

  #noteJournal({ journalDefect, setAside }: Pick<HostChange, "journalDefect" | "setAside">): void {
    if (setAside === undefined) return;
    this.#options.log.error({ err: journalDefect, setAside }, "journal cannot be used, set aside");
  }

  async #loadJournal(): Promise<NodeJournal> {
    const loaded = await loadOrSetAside(this.#options.store);
    this.#noteJournal(loaded);
    return loaded.journal;
  }

  #isFulfilled(wish: HostWish): boolean {
    const last = this.#fulfilled;
    return last?.desired === wish.desired && sameRetention(last.retained, wish.retained);
  }
}

function sameRetention(a: HostRetention, b: HostRetention): boolean {
  return a.everything === b.everything && a.settings === b.settings && a.addresses === b.addresses;
}

function* setItems(set: ReadonlySetLike<string>): Generator<string> {
  const keys = set.keys();
  for (let next = keys.next(); next.done !== true; next = keys.next()) yield next.value;
}
