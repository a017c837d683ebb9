/** Inputs and outputs of the compiler from API objects to what a node must look like. Pure data. */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { DesiredHost, ObservedAddress, ObservedLink, RouteFact } from "../host/model.ts";
import type { DesiredTable, ServiceKey } from "../ipvs/model.ts";
import type { ObjectSet } from "../source/source.ts";

/** What the compiler may know about the node it compiles for. */
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
}

export interface RealServerState {
  readonly host: DesiredHost;
  readonly conditions: ObjectConditions;
}

export type AddressesToLookUp = (objects: ObjectSet) => ReadonlySet<string>;
export type CompileDirector = (objects: ObjectSet, facts: NodeFacts) => DirectorState;
export type CompileRealServer = (objects: ObjectSet, facts: NodeFacts) => RealServerState;
