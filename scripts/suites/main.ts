/** `npm test`: all suites, or those named, and one closing line with the sum. */
import { availableParallelism } from "node:os";
import { formatCounts, formatReasons, judge, total, type Counts } from "./counts.ts";
import { runSuite, type SuiteResult } from "./run-suite.ts";
import { runsInLab, SUITES, type Suite } from "./suites.ts";

const HELP = `usage: npm test -- [SUITE...] [options of vitest]

  npm test                          everything
  npm test -- unit kernel           some suites
  npm test -- e2e -t "drains"       what follows the names goes to vitest

suites: ${SUITES.map(({ name }) => name).join(", ")}
`;

const HEARTBEAT_MS = 30_000;
const USAGE_ERROR = 2;

/** Skips that hide a missing tool are failures in a continuous build. */
const STRICT = ["1", "true"].includes(process.env["CI"] ?? "");

interface Invocation {
  readonly suites: readonly Suite[];
  readonly vitestArgs: readonly string[];
}

function parse(args: readonly string[]): Invocation | undefined {
  const firstOption = args.findIndex((arg) => arg.startsWith("-"));
  const names = firstOption < 0 ? args : args.slice(0, firstOption);
  const vitestArgs = firstOption < 0 ? [] : args.slice(firstOption);
  const suites = names.length === 0 ? SUITES : SUITES.filter(({ name }) => names.includes(name));
  const known = new Set(SUITES.map(({ name }) => name));
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length === 0) return { suites, vitestArgs };
  process.stderr.write(
    `no suite ${unknown.join(", ")}; there are ${[...known].join(", ")}\n` +
      "a file or a pattern for vitest goes after an option: npm test -- unit --run src/lib\n",
  );
  return undefined;
}

/** A worker runs one suite at a time on CPUs of its own, so that workers do not disturb each other. */
interface Worker {
  readonly next: () => Suite | undefined;
  /** For programs of this machine, as taskset writes it; undefined for all. */
  readonly cpus: string | undefined;
  readonly guestCpu: number;
}

/**
 * One worker for this machine's suites and one for those in the lab; the first helps the other when
 * it is done.
 */
function workers(suites: readonly Suite[]): readonly Worker[] {
  const lab = suites.filter(runsInLab);
  const here = suites.filter((suite) => !runsInLab(suite));
  const last = availableParallelism() - 1;
  const either = (): Suite | undefined => here.shift() ?? lab.shift();
  if (suites.length === 1 || last === 0) return [{ next: either, cpus: undefined, guestCpu: 0 }];
  return [
    { next: either, cpus: last === 1 ? "0" : `0-${last - 1}`, guestCpu: 0 },
    { next: () => lab.shift(), cpus: String(last), guestCpu: last },
  ];
}

function report(suite: Suite, { durationMs, output }: SuiteResult, counts: Counts): void {
  const seconds = durationMs / 1000;
  const time = seconds < 60 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;
  if (counts.failed > 0) process.stdout.write(output);
  process.stdout.write(`${suite.name.padEnd(9)}${time.padStart(8)}  ${formatCounts(counts)}\n`);
  for (const line of formatReasons(counts.skipped))
    process.stdout.write(`${"".padEnd(19)}${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(HELP);
    return 0;
  }
  const invocation = parse(args);
  if (invocation === undefined) return USAGE_ERROR;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => interrupted.abort());
  }
  const running = new Map<string, number>();
  const heartbeat = setInterval(() => {
    const names = [...running].map(
      ([name, since]) => `${name} (${Math.round((performance.now() - since) / 1000)} s)`,
    );
    process.stdout.write(`running: ${names.join(", ")}\n`);
  }, HEARTBEAT_MS);
  const all: Counts[] = [];
  const work = async (worker: Worker): Promise<void> => {
    let suite = worker.next();
    while (suite !== undefined && !interrupted.signal.aborted) {
      running.set(suite.name, performance.now());
      const result = await runSuite(suite, {
        vitestArgs: invocation.vitestArgs,
        cpus: worker.cpus,
        guestCpu: worker.guestCpu,
        live: invocation.suites.length === 1,
        signal: interrupted.signal,
      });
      running.delete(suite.name);
      const counts = judge(result.counts, STRICT);
      all.push(counts);
      report(suite, result, counts);
      suite = worker.next();
    }
  };
  await Promise.all(workers(invocation.suites).map(work));
  clearInterval(heartbeat);
  const sum = total(all);
  process.stdout.write(`${formatCounts(sum)}\n`);
  return sum.failed === 0 && !interrupted.signal.aborted ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
