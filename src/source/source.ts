/**
 * Where an agent's objects come from. One interface for a directory of manifests and for the
 * Kubernetes API, so that no agent knows which it has.
 */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";

/**
 * All objects an agent works from, at one instant. Defaults are applied, rules are checked, and
 * each object occurs once. An object that did not change is the same one (`===`) in the next set,
 * which is what makes compiling a single change cheap.
 */
export interface ObjectSet {
  readonly virtualServices: readonly VirtualService[];
  readonly realServers: readonly RealServer[];
  /**
   * Objects whose newest version is refused, each with the condition that says why. Where the
   * source still has the last good version, that one is in the lists above.
   */
  readonly refused: ReadonlyMap<ObjectKey, Condition>;
  /**
   * false: part of the input could not be identified and was never read before, so an object that
   * is missing here may exist all the same, and nothing may be removed for its absence.
   * Absent means true.
   */
  readonly complete?: boolean;
}

/** A trouble of the source itself, for logs and the health endpoint. */
export interface SourceProblem {
  /** Error: input is not used. Notice: worth a line in the log, nothing is wrong. */
  readonly severity: "Error" | "Notice";
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
