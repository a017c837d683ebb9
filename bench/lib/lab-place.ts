/** What the bench needs of the machine and of the lab before it can begin. */
import { constants, release, setPriority } from "node:os";

import { findProgram } from "../../scripts/setup/system.mjs";
import { findKernel, KERNEL_KINDS, type KernelKind } from "../../test/lab/kernel.ts";
import { labPlace } from "../../test/lab/run.ts";

/** Debian packages of the programs that contestants are or use. */
const PROGRAMS: Readonly<Record<string, string>> = {
  cc: "build-essential",
  curl: "curl",
  ip: "iproute2",
  ipvsadm: "ipvsadm",
  keepalived: "keepalived",
  strace: "strace",
};

/** @throws Error that says what to install */
export function requirePrograms(): void {
  const missing = Object.entries(PROGRAMS).filter(([name]) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  throw new Error(`missing programs: apt-get install ${missing.map(([, name]) => name).join(" ")}`);
}

/**
 * The best kernel that the set-up has made.
 * @throws Error that says how to make one
 */
export function chooseKernel(): KernelKind {
  const kind = KERNEL_KINDS.find((candidate) => findKernel(candidate) !== undefined);
  if (kind === undefined && labPlace() === "guest") {
    throw new Error("no lab kernel is there; make one with: npm run setup");
  }
  return kind ?? "own";
}

/** Where the figures come from, for the head of the table. */
export function placeName(kernel: KernelKind): string {
  if (labPlace() === "host") return `this machine's kernel ${release()}`;
  return `a lab guest with kernel ${findKernel(kernel)?.version ?? "unknown"} (${kernel})`;
}

/** Other work on the machine is the largest error; the guest inherits this. */
export function raisePriority(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    console.error("not allowed to raise the priority: expect wider ranges");
  }
}
