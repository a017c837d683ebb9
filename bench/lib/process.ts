/** Child processes of the bench: everything has a deadline, output is JSON lines. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const DEADLINE_MS = 10 * 60_000;
const execFileAsync = promisify(execFile);

/** Runs a command to its end. @returns what it printed on stdout @throws when it fails */
export async function run(argv: readonly string[], signal: AbortSignal): Promise<string> {
  const [file = "", ...args] = argv;
  const { stdout } = await execFileAsync(file, args, {
    signal,
    timeout: DEADLINE_MS,
    maxBuffer: 64 << 20,
  });
  return stdout;
}

/** Runs a program of bench/native and reads the one JSON line it prints. */
export async function runJson(
  argv: readonly string[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  return parseFigures(await run(argv, signal));
}

/** Reads a figure that the program must have printed. */
export function figure(figures: Readonly<Record<string, number>>, name: string): number {
  const value = figures[name];
  if (value === undefined) throw new Error(`no ${name} in ${JSON.stringify(figures)}`);
  return value;
}

function parseFigures(line: string): Readonly<Record<string, number>> {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) throw new Error(`not an object: ${line}`);
  return Object.fromEntries(Object.entries(parsed).map(([key, value]) => [key, Number(value)]));
}

/** A child that answers each line given to it with one JSON line; stays warm between the two. */
export interface Contestant {
  ask(request: string): Promise<Readonly<Record<string, number>>>;
  /** Ends it and waits until it is gone. */
  end(): Promise<void>;
}

/** Starts a contestant; its stderr goes where ours goes. */
export function startContestant(argv: readonly string[], signal: AbortSignal): Contestant {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, { signal, stdio: ["pipe", "pipe", "inherit"] });
  const exited = exitOf(child);
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${request}\n`);
      const deadline = setTimeout(() => child.kill("SIGKILL"), DEADLINE_MS);
      const answer = await answers.next();
      clearTimeout(deadline);
      if (answer.done === true) throw new Error(`${argv.join(" ")} ended: ${await exited}`);
      return parseFigures(answer.value);
    },
    async end() {
      child.stdin.end();
      await exited;
    },
  };
}

/** How a child ended, as text. Never rejects, so that nobody has to wait for it. */
async function exitOf(child: ChildProcess): Promise<string> {
  try {
    const [code, killedBy] = (await once(child, "exit")) as readonly unknown[]; // node has it untyped
    return typeof killedBy === "string" ? killedBy : `exit code ${String(code)}`;
  } catch (error) {
    return String(error);
  }
}
