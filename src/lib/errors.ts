/**
 * Errors that cross a module boundary. A code is part of the product: tests, logs and exit codes
 * decide on it, never on the message, and a code is never renamed.
 */

/** Every stable error code of the project. */
export type LvsErrorCode =
  | "LVS_ABORTED" // the caller's signal fired
  | "LVS_TIMEOUT" // a deadline of ours passed
  | "LVS_NATIVE_MISSING" // the socket addon is not built for this machine
  | "LVS_SOCKET" // a socket call failed
  | "LVS_NETLINK_LOST" // replies were lost (ENOBUFS, truncation, missing ack); state must be read again
  | "LVS_WIRE_FORMAT" // bytes from the kernel do not follow the ABI
  | "LVS_KERNEL_REJECTED" // the kernel answered a command with an errno
  | "LVS_KERNEL_UNAVAILABLE" // no IPVS in the kernel, or no permission to use it
  | "LVS_ADDRESS_SYNTAX" // text is not a canonical IP address or prefix
  | "LVS_MANIFEST" // a manifest cannot be read or is not valid
  | "LVS_JOURNAL" // the node journal cannot be used
  | "LVS_LOCK_HELD" // another process of this network namespace has the role
  | "LVS_STATE_INCOMPLETE" // an input is missing, so no table may be compiled
  | "LVS_USAGE"; // the command line is wrong

/** Base of all errors that the queue may retry or a caller may handle by code. */
export abstract class LvsError extends Error {
  abstract readonly code: LvsErrorCode;
  /** Whether the same work may succeed when tried again without anybody changing anything. */
  abstract readonly retryable: boolean;
}

/** The caller's signal fired while we waited. */
export class AbortedError extends LvsError {
  override readonly name = "AbortedError";
  readonly code = "LVS_ABORTED";
  readonly retryable = false;
}

/** A deadline passed. `milliseconds` is the time that was allowed. */
export class TimeoutError extends LvsError {
  override readonly name = "TimeoutError";
  readonly code = "LVS_TIMEOUT";
  readonly retryable = true;
  readonly milliseconds: number;
  constructor(what: string, milliseconds: number, options?: ErrorOptions) {
    super(`${what}: no answer within ${milliseconds} ms`, options);
    this.milliseconds = milliseconds;
  }
}

/** Narrows an unknown catch variable to an `Error` without losing what was thrown. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
