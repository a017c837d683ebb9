/** Everything that can go wrong between us and a kernel socket, as classes with stable codes. */
import { LvsError } from "../lib/errors.ts";
import { errnoName } from "./errno.ts";

/** Bytes do not follow the ABI. `attribute` is the kernel's name of the field, or a header's. */
export class WireFormatError extends LvsError {
  override readonly name = "WireFormatError";
  readonly code = "LVS_WIRE_FORMAT";
  readonly retryable = false;
  readonly attribute: string;
  constructor(attribute: string, problem: string, options?: ErrorOptions) {
    super(`${attribute}: ${problem}`, options);
    this.attribute = attribute;
  }
}

/** A socket call failed; `errno` is the name, `syscall` what was tried. */
export class SocketError extends LvsError {
  override readonly name = "SocketError";
  readonly code = "LVS_SOCKET";
  readonly retryable: boolean;
  readonly syscall: string;
  readonly errno: string;
  /** @param errno positive number */
  constructor(syscall: string, errno: number, detail = "", options?: ErrorOptions) {
    const name = errnoName(errno);
    super(`${syscall}: ${name}${detail === "" ? "" : ` (${detail})`}`, options);
    this.syscall = syscall;
    this.errno = name;
    this.retryable = TRANSIENT.has(name);
  }
}

/** Why answers are missing. */
export type LossReason =
  | "overrun" // ENOBUFS: the kernel dropped answers
  | "truncated" // a datagram was larger than our buffer
  | "silence" // the queue stayed empty although an answer was due
  | "interrupted" // a dump kept changing under us
  | "confused"; // an answer that no request of ours can have

/**
 * Answers were lost. The commands may have been executed: read the state again before the next
 * write. The socket is already closed; the connection opens another at its next use.
 */
export class NetlinkLostError extends LvsError {
  override readonly name = "NetlinkLostError";
  readonly code = "LVS_NETLINK_LOST";
  readonly retryable = true;
  readonly reason: LossReason;
  constructor(operation: string, reason: LossReason, options?: ErrorOptions) {
    super(`${operation}: the kernel's answer was lost (${reason})`, options);
    this.reason = reason;
  }
}

/** The kernel answered a command with an error. `errno` is the name; `command` is for people. */
export class KernelRejectedError extends LvsError {
  override readonly name = "KernelRejectedError";
  readonly code = "LVS_KERNEL_REJECTED";
  readonly retryable: boolean;
  readonly command: string;
  readonly errno: string;
  readonly detail: string;
  /** @param errno name, for example `EEXIST` @param detail the kernel's own text, or empty */
  constructor(command: string, errno: string, detail: string, options?: ErrorOptions) {
    super(`${command}: ${errno}${detail === "" ? "" : ` (${detail})`}`, options);
    this.command = command;
    this.errno = errno;
    this.detail = detail;
    this.retryable = STALE_OR_BUSY.has(errno) || TRANSIENT.has(errno);
  }
}

/** The socket addon is not built for this machine; the message names the cure. */
export class NativeMissingError extends LvsError {
  override readonly name = "NativeMissingError";
  readonly code = "LVS_NATIVE_MISSING";
  readonly retryable = false;
}

const TRANSIENT: ReadonlySet<string> = new Set(["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM", "EBUSY"]);
// Our snapshot was older than the kernel's table: planning again from a fresh dump cures it.
const STALE_OR_BUSY: ReadonlySet<string> = new Set(["EEXIST", "ENOENT", "ESRCH"]);
