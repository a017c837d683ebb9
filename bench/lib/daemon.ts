/** Long-running processes under measurement: started, watched, ended by their own process id. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const STOP_DEADLINE_MS = 15_000;

export interface Daemon {
  readonly pid: number;
  /** What it printed so far, stdout and stderr. */
  output(): Promise<string>;
  /** Ends it by the signal, or by SIGKILL when that takes too long. */
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a command whose output goes to `outputFile`. */
export function startDaemon(
  argv: readonly string[],
  outputFile: string,
  environment: Readonly<Record<string, string>> = {},
): Daemon {
  const [file = "", ...args] = argv;
  const output = openSync(outputFile, "w");
  const env = { ...process.env, ...environment };
  const child = spawn(file, args, { stdio: ["ignore", output, output], env });
  closeSync(output);
  if (child.pid === undefined) throw new Error(`${file} did not start`);
  return {
    pid: child.pid,
    output: () => readFile(outputFile, "utf8"),
    async stop(signal) {
      child.kill(signal);
      const deadline = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
      await untilExit(child);
      clearTimeout(deadline);
    },
  };
}

async function untilExit(child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) await sleep(10);
}

/**
 * Asks again and again until the answer is yes.
 * @throws Error with the text of `describe` when that takes longer than `deadlineMs`
 */
export async function until(
  what: string,
  deadlineMs: number,
  isSo: () => Promise<boolean>,
  describe: () => Promise<string> = () => Promise.resolve(""),
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await isSo())) {
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${deadlineMs} ms\n${await describe()}`);
    }
    await sleep(250);
  }
}
