/** Kernels that the set-up has cached; see scripts/setup/kernel.mjs for how they are made. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cachedKernel } from "../../scripts/setup/kernel.mjs";

/** `own`: built by the project; `debian`: Debian's newest package; `6.1`: Debian 12's package. */
export type KernelKind = "own" | "debian" | "6.1";

/** A kernel that a guest can boot. */
export interface LabKernel {
  readonly kind: KernelKind;
  /** Debian's version of the package it comes from, e.g. `7.2.12-1`. */
  readonly version: string;
  /** Path of the executable. */
  readonly linux: string;
  /** Directory that holds `lib/modules`; undefined when everything is built in. */
  readonly modules: string | undefined;
  /** Whether it knows the fast way of running user code, new in 6.16. */
  readonly seccomp: boolean;
}

/** All kinds, in the order of preference. */
export const KERNEL_KINDS: readonly KernelKind[] = ["own", "debian", "6.1"];

/** The kind to use when nobody says: the project's own, or Debian's while that is not built. */
export function defaultKernel(): KernelKind {
  return findKernel("own") === undefined && findKernel("debian") !== undefined ? "debian" : "own";
}

/** The newest cached kernel of the kind, or undefined. */
export function findKernel(kind: KernelKind): LabKernel | undefined {
  const directory = cachedKernel(kind);
  if (directory === undefined) return undefined;
  const facts: unknown = JSON.parse(readFileSync(join(directory, "kernel.json"), "utf8"));
  if (!isKernelFacts(facts)) throw new Error(`${directory}/kernel.json is not readable`);
  const modules = join(directory, "modules");
  return {
    kind,
    version: facts.version,
    linux: join(directory, "linux"),
    modules: existsSync(modules) ? modules : undefined,
    seccomp: facts.mode === "seccomp",
  };
}

function isKernelFacts(value: unknown): value is { version: string; mode: string } {
  return typeof value === "object" && value !== null && "version" in value && "mode" in value;
}
