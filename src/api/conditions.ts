/** Closed unions of condition types and reasons: the words that people and GitOps tools read. */

export type ConditionType =
  "Accepted" | "ResolvedRefs" | "Programmed" | "Available" | "Ready" | "Degraded";

export type ConditionReason =
  | "Accepted"
  | "Pending"
  | "Invalid"
  | "AddressConflict"
  | "PortConflict"
  | "UnsupportedValue"
  | "UnsupportedProtocol"
  | "KernelFeatureMissing"
  | "NotAllowed"
  | "ResolvedRefs"
  | "BackendNotFound"
  | "AddressFamilyMismatch"
  | "Programmed"
  | "PartiallyProgrammed"
  | "KernelRejected"
  | "ForeignConflict"
  | "AddressNotUsable"
  | "NotOnLink"
  | "LocalRealServer"
  | "TooManyServices"
  | "Paused"
  | "DryRun"
  | "Ready"
  | "RealServersDown"
  | "DriftCorrected";

/** A statement about one object. `message` says what is wrong and what to do about it. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: ConditionReason;
  readonly message: string;
}

/** Whether the condition says that something is not as the object's author wants it. */
export function isTrouble({ type, status }: Condition): boolean {
  return status === (type === "Degraded" ? "True" : "False");
}

/** Whether it says that something of the object is refused, and not held back by its own wish. */
export function isRefusal({ type, status, reason }: Condition): boolean {
  return type !== "Degraded" && status === "False" && reason !== "DryRun" && reason !== "Paused";
}

/** `Kind namespace/name`, for maps, logs and messages. */
export type ObjectKey = string;

export function objectKey(object: {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}): ObjectKey {
  return `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`;
}
