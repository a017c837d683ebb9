import { EXIT } from "../cli/specs.ts";
import { LvsError, type LvsErrorCode } from "../lib/errors.ts";

const STATUS: Partial<Readonly<Record<LvsErrorCode, number>>> = {
  LVS_USAGE: EXIT.usage,
  LVS_MANIFEST: EXIT.refused,
  LVS_KERNEL_UNAVAILABLE: EXIT.unavailable,
  LVS_NATIVE_MISSING: EXIT.unavailable,
  LVS_LOCK_HELD: EXIT.running,
};

/** Exit status for an error that ended a program; see docs/cli.md. */
export function exitStatus(error: Error): number {
  return error instanceof LvsError ? (STATUS[error.code] ?? EXIT.failed) : EXIT.failed;
}

/** The error and its causes in one line each, for a person. */
export function describeError(error: Error): string {
  const lines = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    lines.push(`  because: ${cause.message}`);
  }
  return lines.join("\n");
}
