/** What can go wrong with the node's journal and its locks. */
import { LvsError } from "../lib/errors.ts";

/** Why a journal cannot be used. */
export type JournalDefect =
  | "syntax" // no complete JSON: cut off, overwritten
  | "checksum" // complete, and changed since we wrote it
  | "version" // written by a newer release
  | "shape" // valid checksum, and still not a journal
  | "unreadable"; // the file system refuses

/** The node's journal cannot be used. `reason` says what is wrong with the file at `path`. */
export class JournalError extends LvsError {
  override readonly name = "JournalError";
  readonly code = "LVS_JOURNAL";
  readonly retryable = false;
  readonly path: string;
  readonly reason: JournalDefect;
  constructor(path: string, reason: JournalDefect, detail: string, options?: ErrorOptions) {
    super(`journal ${path}: ${detail}`, options);
    this.path = path;
    this.reason = reason;
  }
}

/** Another process holds the lock. `holder` is what it told about itself, if it answered. */
export class LockHeldError extends LvsError {
  override readonly name = "LockHeldError";
  readonly code = "LVS_LOCK_HELD";
  readonly retryable = false;
  readonly lock: string;
  readonly holder: LockHolder | undefined;
  constructor(lock: string, holder: LockHolder | undefined) {
    const who = holder === undefined ? "another process" : `process ${holder.pid}`;
    super(`${lock} is held by ${who} in this network namespace; stop that first`);
    this.lock = lock;
    this.holder = holder;
  }
}

/** What a process tells to others about a lock it holds. */
export interface LockHolder {
  readonly pid: number;
  readonly role: string;
  /** Wall clock when it took the lock, milliseconds. */
  readonly sinceWallMs: number;
}
