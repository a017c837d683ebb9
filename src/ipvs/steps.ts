/** What a plan consists of. Shared by the planner, which makes it, and `apply.ts`, which runs it. */
import type { IpvsCommand } from "./client.ts";
import type { DestinationKey, ServiceKey } from "./model.ts";

/**
 * What a step does to the capacity of its service. `edit` leaves it as it is, `grow` adds to it,
 * `switch` interrupts it for a moment (a scheduler change refuses new connections for some
 * milliseconds), `shrink` takes away. A plan lists edits and growth first, then switches, then what
 * shrinks.
 */
export type StepEffect = "edit" | "grow" | "switch" | "shrink";

/** Why a step is there, for people: `lvsctl plan` and logs show it. */
export type StepReason =
  | "missing in the kernel"
  | "settings differ"
  | "weight differs"
  | "wanted again"
  | "scheduler differs"
  | "scheduler set after bulk load"
  | "insertion order differs"
  | "no longer wanted"
  | "no longer wanted, draining"
  | "drained"
  | "drain deadline passed"
  | "no longer wanted, not drained"
  | "timeouts differ";

/** One write command and what it is for. */
export interface IpvsStep {
  readonly command: IpvsCommand;
  /** undefined for commands about the whole network namespace. */
  readonly service: ServiceKey | undefined;
  /** Set for commands about one destination. */
  readonly destination: DestinationKey | undefined;
  readonly effect: StepEffect;
  readonly reason: StepReason;
}

/**
 * A destination that is no longer wanted and still in the kernel. The agent keeps these in its
 * journal, so that a deadline survives a restart; the rest of the drain's state (weight 0 and the
 * connection counts) is in the kernel.
 */
export interface DrainRecord {
  readonly service: ServiceKey;
  readonly destination: DestinationKey;
  /** When it stopped being wanted, milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
}

/** Key of a drain record in a map. */
export type DrainKey = string;

/** All running drains. */
export type DrainRecords = ReadonlyMap<DrainKey, DrainRecord>;

/** @returns the one spelling of a drain's key: `TCP 192.0.2.10:80 192.0.2.21:8080` */
export function drainKey(service: ServiceKey, destination: DestinationKey): DrainKey {
  return `${service} ${destination}`;
}

/** Ordered steps and what else follows from the comparison. An empty plan means converged. */
export interface IpvsPlan {
  readonly steps: readonly IpvsStep[];
  /** Steps of services whose changes are to be shown but not made. */
  readonly withheld: readonly IpvsStep[];
  /** The drains that run once the steps are executed. */
  readonly drains: DrainRecords;
  /** When the next drain has to end, milliseconds since the Unix epoch; undefined = none. */
  readonly nextDeadlineMs: number | undefined;
}
