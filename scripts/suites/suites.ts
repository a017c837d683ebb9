/** The test suites as data: what `npm test` runs, where, and in which order. */
import type { KernelKind } from "../../test/lab/kernel.ts";

/** A command whose exit code is its one result. */
export interface Check {
  readonly kind: "check";
  readonly name: string;
  readonly argv: readonly string[];
}

/** A vitest project, on this machine or in the lab with the kernel. */
export interface TestSuite {
  readonly kind: "tests";
  readonly name: string;
  readonly project: string;
  readonly kernel?: KernelKind;
  readonly timeoutMs: number;
}

export type Suite = Check | TestSuite;

const MINUTE_MS = 60_000;

/**
 * All suites: of this machine the quick ones that say most about a change first, of the lab the
 * longest first, because several run side by side.
 */
export const SUITES: readonly Suite[] = [
  { kind: "check", name: "format", argv: ["prettier", "--check", "--log-level", "warn", "."] },
  { kind: "check", name: "lint", argv: ["oxlint", "--type-aware", "--deny-warnings"] },
  { kind: "check", name: "types", argv: ["tsc", "--noEmit"] },
  { kind: "tests", name: "unit", project: "unit", timeoutMs: 10 * MINUTE_MS },
  { kind: "tests", name: "native", project: "native", timeoutMs: 10 * MINUTE_MS },
  { kind: "tests", name: "cel", project: "cel", timeoutMs: 30 * MINUTE_MS },
  { kind: "tests", name: "lab", project: "lab", timeoutMs: 10 * MINUTE_MS },
  { kind: "tests", name: "e2e", project: "e2e", kernel: "own", timeoutMs: 30 * MINUTE_MS },
  {
    kind: "tests",
    name: "kernel61",
    project: "kernel",
    kernel: "6.1",
    timeoutMs: 15 * MINUTE_MS,
  },
  { kind: "tests", name: "kernel", project: "kernel", kernel: "own", timeoutMs: 15 * MINUTE_MS },
];

/** Whether the suite runs in the lab, on a CPU of its own, beside those of this machine. */
export function runsInLab(suite: Suite): boolean {
  return suite.kind === "tests" && suite.kernel !== undefined;
}
