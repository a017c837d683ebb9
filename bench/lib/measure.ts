/** What a measurement is, and what the runner gives it. */
import type { Row } from "./row.ts";

/** Programs built from bench/native. */
export interface NativeTools {
  readonly floor: string;
  readonly stopwatch: string;
}

export interface BenchContext {
  /** How often each contestant runs; contestants alternate. */
  readonly rounds: number;
  readonly tools: NativeTools;
  /** Directory with the npm packages to compare with, or undefined when they are not installed. */
  readonly peersDirectory: string | undefined;
  /** Empty directory of this run, on a file system of the lab's own. */
  readonly scratch: string;
  readonly signal: AbortSignal;
  /** Tells the person who waits what is going on. */
  progress(text: string): void;
}

export interface Measure {
  /** As given on the command line. */
  readonly name: string;
  /** One line for `--list`. */
  readonly summary: string;
  /** Printed below the table: what its rows cannot say. */
  readonly note?: string;
  run(context: BenchContext): Promise<readonly Row[]>;
}
