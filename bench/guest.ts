/**
 * The part of the bench that runs inside the lab: takes the job as JSON, runs its measurements one
 * after the other, prints each row as one line of JSON on stdout and progress on stderr.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BenchContext, NativeTools } from "./lib/measure.ts";
import { MEASURES } from "./measures/all.ts";

/** What `main.ts` asks for. */
export interface Job {
  readonly measures: readonly string[];
  readonly rounds: number;
  readonly tools: NativeTools;
  readonly peersDirectory: string | null;
}

/** @returns the exit code: 1 when a measurement failed */
async function runJob(job: Job, signal: AbortSignal): Promise<number> {
  let failed = 0;
  for (const measure of MEASURES.filter(({ name }) => job.measures.includes(name))) {
    const scratch = await mkdtemp(join(tmpdir(), "bench-"));
    const started = performance.now();
    const context: BenchContext = {
      rounds: job.rounds,
      tools: job.tools,
      peersDirectory: job.peersDirectory ?? undefined,
      scratch,
      signal,
      progress: (text) => console.error(`${measure.name}: ${text}`),
    };
    try {
      for (const row of await measure.run(context)) console.log(JSON.stringify(row));
      context.progress(`done in ${Math.round((performance.now() - started) / 1000)} s`);
    } catch (error) {
      failed += 1;
      context.progress(
        `FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  return failed === 0 ? 0 : 1;
}

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
// Made by main.ts of the same version a moment ago, so its shape is known.
const job = JSON.parse(process.argv[2] ?? "") as Job;
process.exitCode = await runJob(job, stop.signal);
