/**
 * Builds and runs the Go program beside this file, which judges definitions and objects with the
 * code of a real API server. The build takes minutes the first time, so it is kept in the user's
 * cache directory under a name that changes with the sources.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Oldest Go that the API server's code compiles with. */
const GO_MINOR = 26;
const BUILD_DEADLINE_MS = 20 * 60_000;
const RUN_DEADLINE_MS = 60_000;

/** One entry of the list that an API server answers with. */
export interface ServerProblem {
  readonly type: string;
  readonly field: string;
  readonly detail: string;
}

/** Worst case of one rule, in the units that the API server limits, as Kubernetes 1.33 compiles it. */
export interface RuleCost {
  readonly field: string;
  readonly rule: string;
  readonly message: string;
  readonly cost: number;
  readonly error?: string;
}

/** What the API server's code says. */
export interface Verdicts {
  readonly definitions: readonly {
    readonly name: string;
    readonly problems: readonly ServerProblem[];
    readonly costs: readonly RuleCost[];
  }[];
  readonly objects: readonly {
    readonly problems: readonly ServerProblem[];
    /** The object with defaults, as it would be stored; null when it could not be decoded. */
    readonly object: Readonly<Record<string, unknown>> | null;
  }[];
}

/** Why there is no Go to build with, or undefined when there is. */
export async function missingGo(): Promise<string | undefined> {
  try {
    const { stdout } = await execute("go", ["env", "GOVERSION"], { timeout: RUN_DEADLINE_MS });
    const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0);
    return minor >= GO_MINOR ? undefined : `Go 1.${GO_MINOR} is needed, found ${stdout.trim()}`;
  } catch {
    return `no Go found: install Go 1.${GO_MINOR} or newer to run the rules in an API server's code`;
  }
}

/** Path of the built program; builds it when the cache has none for these sources. */
export async function buildChecker(report: (line: string) => void): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "lvs-operator");
  const program = join(cache, `cel-${sourceHash()}`);
  if (existsSync(program)) return program;
  report("building the CEL checker; this is kept, and takes some minutes the first time");
  mkdirSync(cache, { recursive: true });
  const started = performance.now();
  const unfinished = `${program}.${process.pid}`;
  await execute("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", unfinished, "."], {
    cwd: import.meta.dirname,
    timeout: BUILD_DEADLINE_MS,
  });
  renameSync(unfinished, program);
  report(`built the CEL checker in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return program;
}

function sourceHash(): string {
  const hash = createHash("sha256");
  const sources = readdirSync(import.meta.dirname).filter((name) => /\.go$|^go\./.test(name));
  for (const name of sources.toSorted()) {
    hash.update(name).update(readFileSync(join(import.meta.dirname, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Gives definitions (files) and objects to the program. */
export function runChecker(
  program: string,
  definitions: readonly string[],
  objects: readonly unknown[],
): Promise<Verdicts> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, definitions, { signal: AbortSignal.timeout(RUN_DEADLINE_MS) });
    const output: Buffer[] = [];
    const complaints: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) {
        reject(new Error(`checker exited with ${code}: ${Buffer.concat(complaints).toString()}`));
        return;
      }
      // The program and this type are two halves of one contract, in one directory.
      resolve(JSON.parse(Buffer.concat(output).toString()) as Verdicts);
    });
    child.stdin.end(objects.map((object) => JSON.stringify(object)).join("\n"));
  });
}
