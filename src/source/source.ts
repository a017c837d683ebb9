/**
 * Where an agent's objects come from. One interface for a directory of manifests and for the
 * Kubernetes API, so that no agent knows which it has.
 */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";

/** All objects an agent works from, at one instant. Defaults are applied, rules are checked. */
export interface ObjectSet {
  readonly virtualServices: readonly VirtualService[];
  readonly realServers: readonly RealServer[];
  /** Objects that are refused (schema or rule), each with the condition that says why. */
  readonly refused: ReadonlyMap<ObjectKey, Condition>;
}

/** A trouble of the source itself, for logs and the health endpoint. */
export interface SourceProblem {
  /** For example `shop.yaml:14:3`. */
  readonly where: string;
  readonly message: string;
}

export interface SourceState {
  /** undefined until the first complete read; then the last good objects. */
  readonly objects: ObjectSet | undefined;
  /** Why the newest read is not (wholly) in `objects`; empty when all is well. */
  readonly problems: readonly SourceProblem[];
}

export interface ObjectSource {
  /** Reads once, then watches until `signal` fires. Resolves after the first read. */
  start(signal: AbortSignal): Promise<void>;
  current(): SourceState;
  /** Calls back after each change of `current()`. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}
