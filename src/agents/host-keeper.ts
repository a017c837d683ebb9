/**
 * An agent's hold on the node around IPVS: what was observed, what has to change, and the journal
 * that makes every change reversible. Both agents have one; `owner` says whose wishes it speaks.
 */
import type { NodeJournal } from "../host/journal.ts";
import type {
  DesiredAddress,
  DesiredHost,
  ObservedAddress,
  ObservedLink,
  RouteFact,
} from "../host/model.ts";
import type { HostReport } from "../host/reports.ts";

/** The node as the compiler sees it. Members are replaced when their content changes. */
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
  /** Addresses to be neither added nor removed. */
  readonly withheld: ReadonlySet<string>;
  /** Nothing may be taken away or restored now, because part of the input is not known. */
  readonly keepAll: boolean;
  /** Settings and devices that an earlier state needed stay as they are. */
  readonly keepSettings: boolean;
  /** Whether the network was asked about an exclusive address and is silent. */
  readonly mayBind: (address: DesiredAddress) => boolean;
}

/** What was changed, for logs and reports. */
export interface HostChanges {
  /** Steps executed. */
  readonly executed: number;
  /** Steps that failed, each with what to tell a person. */
  readonly failures: readonly string[];
}

/** A plan for the node, executed in two halves with the table in between. */
export interface HostPass {
  /** Exclusive addresses that are not bound, whether they may be or not. */
  readonly missing: readonly DesiredAddress[];
  readonly reports: readonly HostReport[];
  /** Devices, settings, and unwanted addresses off. */
  before(signal: AbortSignal): Promise<HostChanges>;
  /**
   * Wanted addresses on, and what nobody needs any more restored.
   * @param unserved addresses to be left out: no service answers there
   */
  after(unserved: ReadonlySet<string>, signal: AbortSignal): Promise<HostChanges>;
}

export interface HostKeeper {
  /** Something changed on the node, or may have: look again at the next use. */
  invalidate(): void;
  view(signal: AbortSignal): Promise<HostView>;
  /** Answers for the addresses, from memory where nothing changed since. */
  routes(lookUps: LookUps, signal: AbortSignal): Promise<ReadonlyMap<string, RouteFact>>;
  plan(wish: HostWish, signal: AbortSignal): Promise<HostPass>;
  /** The journal as of the last use. */
  journal(signal: AbortSignal): Promise<NodeJournal>;
  /** Changes the journal; nothing is written when the result is the same. */
  updateJournal(edit: (journal: NodeJournal) => NodeJournal, signal: AbortSignal): Promise<void>;
}
