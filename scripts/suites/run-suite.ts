/** Runs one suite and says in numbers how it went. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { killGroup } from "../../test/lab/guest.ts";
import { findKernel } from "../../test/lab/kernel.ts";
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
  /** Print while running instead of collecting. */
  readonly live: boolean;
  readonly signal: AbortSignal;
}

/** Never rejects for a failed suite: whatever goes wrong with it is a failure in the counts. */
export async function runSuite(suite: Suite, options: SuiteOptions): Promise<SuiteResult> {
  const started = performance.now();
  const output: string[] = [];
  const sink = (chunk: Uint8Array): void => {
    if (options.live) process.stdout.write(chunk);
    else output.push(Buffer.from(chunk).toString("utf8"));
  };
  let counts: Counts;
  try {
    counts =
      suite.kind === "check"
        ? await runCheck(suite.argv, options, sink)
        : await runTests(suite, options, sink);
  } catch (error) {
    sink(Buffer.from(`${error instanceof Error ? error.message : String(error)}\n`));
    counts = { passed: 0, failed: 1, skipped: [] };
  }
  return { counts, durationMs: performance.now() - started, output: output.join("") };
}

type Sink = (chunk: Uint8Array) => void;

async function runCheck(
  argv: readonly string[],
  options: SuiteOptions,
  sink: Sink,
): Promise<Counts> {
  const code = await runHere(argv, {}, CHECK_TIMEOUT_MS, options, sink);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] };
}

async function runTests(suite: TestSuite, options: SuiteOptions, sink: Sink): Promise<Counts> {
  const directory = mkdtempSync(join(cacheDirectory("reports"), `${suite.name}-`));
  try {
    const file = join(directory, "counts.json");
    const argv = vitestCommand(suite, options.vitestArgs);
    const env = { LVS_TEST_COUNTS: file };
    const failure =
      suite.kernel === undefined
        ? await failureHere(argv, env, suite, options, sink)
        : await failureInLab(argv, { env, directory, suite }, options, sink);
    return concluded(file, failure, sink);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function vitestCommand(suite: TestSuite, args: readonly string[]): readonly string[] {
  const reporters = ["--reporter=default", "--reporter=./scripts/suites/reporter.ts"];
  return ["vitest", "run", "--project", suite.project, ...reporters, ...args];
}

/** The counts; a run that failed in a way that no test shows counts as one failure more. */
function concluded(file: string, failure: string | undefined, sink: Sink): Counts {
  const counts = existsSync(file)
    ? COUNTS.parse(JSON.parse(readFileSync(file, "utf8")))
    : { passed: 0, failed: 0, skipped: [] };
  const tests = counts.passed + counts.failed + counts.skipped.length;
  const trouble = tests === 0 ? (failure ?? "no test was run") : failure;
  if (trouble === undefined || counts.failed > 0) return counts;
  sink(Buffer.from(`${trouble}\n`));
  return { ...counts, failed: 1 };
}

async function failureHere(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  suite: TestSuite,
  options: SuiteOptions,
  sink: Sink,
): Promise<string | undefined> {
  const code = await runHere(argv, env, suite.timeoutMs, options, sink);
  return code === 0 ? undefined : `vitest ended with ${code}`;
}

interface LabRun {
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly suite: TestSuite;
}

async function failureInLab(
  argv: readonly string[],
  { env, directory, suite }: LabRun,
  options: SuiteOptions,
  sink: Sink,
): Promise<string | undefined> {
  const kernel = suite.kernel ?? "own";
  const run: RunOptions = {
    argv,
    cwd: PROJECT_ROOT,
    kernel,
    name: `test-${suite.name}-${process.pid}`,
    cpu: options.cpus === undefined ? 0 : Number(options.cpus),
    env,
    mounts: [directory],
    timeoutMs: suite.timeoutMs,
    signal: options.signal,
    onStdout: sink,
    onStderr: sink,
  };
  // The oldest kernel is a guest in any case: what is tested is that kernel.
  const onHost = kernel === "own" && labPlace() === "host" && findKernel("own") === undefined;
  const result = onHost ? await runOnHost(run) : await runInGuest(run);
  if (result.failure !== undefined) return result.failure;
  return result.exitCode === 0 ? undefined : `vitest ended with ${result.exitCode}`;
}

/** Runs a program of the project on this machine; resolves with its exit code. */
function runHere(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
  options: SuiteOptions,
  sink: Sink,
): Promise<number> {
  const pinned = options.cpus === undefined ? [] : ["taskset", "-c", options.cpus];
  const [command = "", ...args] = [...pinned, ...argv];
  const child = spawn(command, args, {
    cwd: PROJECT_ROOT,
    env: { ...process.env, ...env, PATH: `${NPM_BIN}:${process.env["PATH"] ?? ""}` },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  child.stdout.on("data", sink);
  child.stderr.on("data", sink);
  const end = (): void => killGroup(child.pid);
  const timer = setTimeout(end, timeoutMs);
  options.signal.addEventListener("abort", end, { once: true });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", end);
      resolve(code ?? 1);
    });
  });
}
