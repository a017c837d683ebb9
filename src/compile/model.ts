/** Inputs and outputs of the compiler from API objects to what a node must look like. Pure data. */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { DesiredHost, ObservedAddress, ObservedLink, RouteFact } from "../host/model.ts";
import type { DesiredTable, ServiceKey } from "../ipvs/model.ts";
import type { ObjectSet } from "../source/source.ts";

/**
 * What the compiler may know about the node it compiles for. The incremental compiler takes an
 * equal member (`===`) as unchanged, so replace a member exactly when its content changes.
 */
export interface NodeFacts {
  readonly nodeName: string;
  /** The DirectorGroup this node serves. */
  readonly groupName: string;
  /** Interface for VIPs when the VIP's network is connected to none; undefined = must be connected. */
  readonly interfaceName: string | undefined;
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
  /** Answer of a route lookup for each address of `addressesToLookUp`; absent = no route. */
  readonly routes: ReadonlyMap<string, RouteFact>;
  /** Schedulers that this kernel refused (ENOENT) and that were not retried since. */
  readonly missingSchedulers: ReadonlySet<string>;
  /** VIPs that another machine answers for, with its link-layer address. */
  readonly occupiedAddresses: ReadonlyMap<string, string>;
}

/** Conditions of each object, as far as this node can tell. */
export type ObjectConditions = ReadonlyMap<ObjectKey, readonly Condition[]>;

/**
 * What stays as it is although the desired state does not have it: neither made, nor changed, nor
 * taken away. A refused object must never turn into a removal: what an earlier, good version of it
 * put in place goes on serving until the object is repaired or really deleted.
 */
export interface Retention {
  /** Some input could not even be identified: nothing at all may be removed or restored now. */
  readonly everything: boolean;
  /**
   * Objects that are refused as a whole, or withheld. What was programmed for them stays, also
   * where this version of the object no longer mentions it. A record of what was programmed has
   * to know the owner for this; one that does not must take a non-empty set as `everything`.
   */
  readonly owners: ReadonlySet<ObjectKey>;
  /** Services that are refused, as far as this version of their object names them. */
  readonly services: ReadonlySet<ServiceKey>;
  /** Services that may get destinations but lose none: some of their servers cannot be read. */
  readonly destinations: ReadonlySet<ServiceKey>;
  /** VIPs that are refused, or withheld, and that nothing enforced needs. */
  readonly addresses: ReadonlySet<string>;
  /** Sysctls and links that were set for an earlier state: do not restore any. */
  readonly settings: boolean;
}

export interface DirectorState {
  readonly table: DesiredTable;
  readonly host: DesiredHost;
  readonly conditions: ObjectConditions;
  /** Which object each service belongs to, for logs and reports. */
  readonly owners: ReadonlyMap<ServiceKey, ObjectKey>;
  /** Services whose steps are computed and reported but not executed (enforcement DryRun, Paused). */
  readonly withheld: ReadonlyMap<ServiceKey, "DryRun" | "Paused">;
  /** VIPs of such objects that no enforced object shares: neither bound nor taken away. */
  readonly withheldAddresses: ReadonlySet<string>;
  readonly retained: Retention;
}

/**
 * A state from the incremental compiler. Its maps and sets are live: they are changed in place by
 * the next call, so a state is good until then.
 */
export interface DirectorUpdate extends DirectorState {
  /**
   * Keys that may differ from the previous state, also removed ones; undefined = all of them, also
   * those that the kernel has from before: at first, and whenever something else is retained.
   */
  readonly changed: ReadonlySet<ServiceKey> | undefined;
}

/** Compiles again and again, at the cost of what changed since the last call. */
export interface DirectorCompiler {
  /**
   * Brings the list of addresses to look up up to date with the objects, before `compile`.
   * The returned sets are live.
   */
  lookUps(objects: ObjectSet): {
    readonly all: ReadonlySetLike<string>;
    /** Addresses that joined since the last `compile`: only their routes are unknown. */
    readonly added: ReadonlySet<string>;
  };
  compile(objects: ObjectSet, facts: NodeFacts): DirectorUpdate;
}

export interface RealServerState {
  readonly host: DesiredHost;
  readonly conditions: ObjectConditions;
  readonly retained: Retention;
}

export type AddressesToLookUp = (objects: ObjectSet) => ReadonlySet<string>;
export type CompileDirector = (objects: ObjectSet, facts: NodeFacts) => DirectorState;
export type CompileRealServer = (objects: ObjectSet, facts: NodeFacts) => RealServerState;
