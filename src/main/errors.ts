import { EXIT } from "../cli/specs.ts";
import { KernelUnavailableError, type UnavailableReason } from "../ipvs/errors.ts";
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

const IPVS_CURE: Readonly<Record<UnavailableReason, string>> = {
  NoModule:
    "run `modprobe ip_vs` on this node (the module is part of the kernel's package), or use a node whose kernel has it",
  NoPermission:
    "run as root, or with CAP_NET_ADMIN in the initial user namespace (a container needs the host's network and that capability)",
  Unloading: "wait until the module is gone, and load it again with `modprobe ip_vs`",
};

/** The error, its causes and the cure in one line each, for a person. */
export function describeError(error: Error): string {
  const lines = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    lines.push(`  because: ${cause.message}`);
  }
  if (error instanceof KernelUnavailableError) lines.push(`  to do: ${IPVS_CURE[error.reason]}`);
  return lines.join("\n");
}
