/** Runs one suite and says in numbers how it went. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { killGroup } from "../../test/lab/guest.ts";
import type { KernelKind } from "../../test/lab/kernel.ts";
import { cacheDirectory, NPM_BIN, PROJECT_ROOT } from "../../test/lab/paths.ts";
import { labPlace, runInGuest, runOnHost, type RunOptions } from "../../test/lab/run.ts";
import type { Counts } from "./counts.ts";
import type { Suite, TestSuite } from "./suites.ts";

const COUNTS = z.object({
  passed: z.int(),
  failed: z.int(),
  skipped: z.array(z.object({ title: z.string(), reason: z.string() })),
});

const CHECK_TIMEOUT_MS = 10 * 60_000;

export interface SuiteResult {
  readonly counts: Counts;
  readonly durationMs: number;
  /** What the suite printed, as far as it was not passed on at once. */
  readonly output: string;
}

export interface SuiteOptions {
  /** Arguments for vitest after ours. */
  readonly vitestArgs: readonly string[];
  /** CPUs to stay on, as taskset writes them; undefined for all. */
  readonly cpus: string | undefined;
  readonly guestCpu: number;
  /** Print while running instead of collecting. */
  readonly live: boolean;
  readonly signal: AbortSignal;
}

/** One run of a suite: what every step of it needs. */
interface Run extends SuiteOptions {
  readonly sink: (chunk: Uint8Array) => void;
}

/** Never rejects for a failed suite: whatever goes wrong with it is a failure in the counts. */
export async function runSuite(suite: Suite, options: SuiteOptions): Promise<SuiteResult> {
  const started = performance.now();
  const output: string[] = [];
  const sink = (chunk: Uint8Array): void => {
    if (options.live) process.stdout.write(chunk);
    else output.push(Buffer.from(chunk).toString("utf8"));
  };
  if (suite.kind === "tests" && suite.kernel === "6.1" && process.arch !== "x64") {
    const skipped = [{ title: suite.name, reason: "guests of kernel 6.1 run on x86-64 only" }];
    return { counts: { passed: 0, failed: 0, skipped }, durationMs: 0, output: "" };
  }
  const run: Run = { ...options, sink };
  let counts: Counts;
  try {
    counts = await (suite.kind === "check" ? runCheck(suite.argv, run) : runTests(suite, run));
  } catch (error) {
    sink(Buffer.from(`${error instanceof Error ? error.message : String(error)}\n`));
    counts = { passed: 0, failed: 1, skipped: [] };
  }
  return { counts, durationMs: performance.now() - started, output: output.join("") };
}

async function runCheck(argv: readonly string[], run: Run): Promise<Counts> {
  const failure = await runHere({ argv, env: {}, timeoutMs: CHECK_TIMEOUT_MS }, run);
  const failed = failure === undefined ? 0 : 1;
  return { passed: 1 - failed, failed, skipped: [] };
}

async function runTests(suite: TestSuite, run: Run): Promise<Counts> {
  const directory = mkdtempSync(join(cacheDirectory("reports"), `${suite.name}-`));
  try {
    const file = join(directory, "counts.json");
    const reporters = ["--reporter=default", "--reporter=./scripts/suites/reporter.ts"];
    const command: Command = {
      argv: ["vitest", "run", "--project", suite.project, ...reporters, ...run.vitestArgs],
      env: { LVS_TEST_COUNTS: file },
      timeoutMs: suite.timeoutMs,
    };
    const failure = await (suite.kernel === undefined
      ? runHere(command, run)
      : runThere(command, run, { ...suite, kernel: suite.kernel, directory }));
    return concluded(file, failure, run);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The counts; a run that failed in a way that no test shows counts as one failure more. */
function concluded(file: string, failure: string | undefined, run: Run): Counts {
  const counts = existsSync(file)
    ? COUNTS.parse(JSON.parse(readFileSync(file, "utf8")))
    : { passed: 0, failed: 0, skipped: [] };
  const tests = counts.passed + counts.failed + counts.skipped.length;
  const trouble = tests === 0 ? (failure ?? "no test was run") : failure;
  if (trouble === undefined || counts.failed > 0) return counts;
  run.sink(Buffer.from(`${trouble}\n`));
  return { ...counts, failed: 1 };
}

interface Command {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

interface LabPart {
  readonly name: string;
  readonly kernel: KernelKind;
  /** Shared with the guest for the counts. */
  readonly directory: string;
}

/** Runs a command in the lab; resolves with why it failed. */
async function runThere(command: Command, run: Run, part: LabPart): Promise<string | undefined> {
  const options: RunOptions = {
    ...command,
    cwd: PROJECT_ROOT,
    kernel: part.kernel,
    name: `test-${part.name}-${process.pid}`,
    cpu: run.guestCpu,
    mounts: [part.directory],
    signal: run.signal,
    onStdout: run.sink,
    onStderr: run.sink,
  };
  // The oldest kernel is a guest in any case: what is tested is that kernel.
  const here = part.kernel === "own" && labPlace() === "host";
  const result = await (here ? runOnHost(options) : runInGuest(options));
  return result.failure ?? describeExit(result.exitCode);
}

/** Runs a program of the project on this machine; resolves with why it failed. */
function runHere(command: Command, run: Run): Promise<string | undefined> {
  const pinned = run.cpus === undefined ? [] : ["taskset", "-c", run.cpus];
  const [program = "", ...args] = [...pinned, ...command.argv];
  const path = `${NPM_BIN}:${process.env["PATH"] ?? ""}`;
  const child = spawn(program, args, {
    cwd: PROJECT_ROOT,
    env: { ...process.env, ...command.env, PATH: path },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  child.stdout.on("data", run.sink);
  child.stderr.on("data", run.sink);
  const end = (): void => killGroup(child.pid);
  const timer = setTimeout(end, command.timeoutMs);
  run.signal.addEventListener("abort", end, { once: true });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      run.signal.removeEventListener("abort", end);
      resolve(code === null ? `ended by ${String(signal)}` : describeExit(code));
    });
  });
}

function describeExit(code: number): string | undefined {
  return code === 0 ? undefined : `ended with exit code ${code}`;
}
