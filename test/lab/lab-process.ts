/** Child processes in lab hosts: each is known by its pid, has its output kept, and is ended. */
import { spawn, type ChildProcess, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** How a process ended: exactly one of the two is set. */
export interface ProcessEnd {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

/** Result of a command that ran to its end. */
export interface ExecResult extends ProcessEnd {
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 10 seconds. */
  readonly timeoutMs?: number;
  /** Whether an exit code other than 0 throws; default true. */
  readonly check?: boolean;
}

/** A command failed; the message holds what it said on stderr. */
export class LabCommandError extends Error {
  override readonly name = "LabCommandError";
  readonly result: ExecResult;
  constructor(what: string, result: ExecResult) {
    const how = result.code === undefined ? String(result.signal) : `exit code ${result.code}`;
    super(`${what}: ${how}\n${result.stderr.trim() || result.stdout.trim()}`);
    this.result = result;
  }
}

/** Time for the last output of a process that has ended. */
const DRAIN_MS = 500;

/** Output lines that a process keeps for failure reports. */
const KEPT_LINES = 2_000;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A running process of the lab with its output. */
export class LabProcess {
  /** For reports, e.g. `director-a: lvs-operator director`. */
  readonly title: string;
  readonly pid: number;
  readonly exited: Promise<ProcessEnd>;
  #end: ProcessEnd | undefined;
  readonly #lines: string[] = [];
  #partial: Record<"stdout" | "stderr", string> = { stdout: "", stderr: "" };
  readonly #watchers = new Set<() => void>();
  readonly #child: Child;

  /** @throws Error when the program cannot be started */
  static async start(
    title: string,
    argv: readonly string[],
    options: Pick<ExecOptions, "env" | "cwd"> = {},
  ): Promise<LabProcess> {
    const [command = "", ...args] = argv;
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    return new LabProcess(title, child);
  }

  private constructor(title: string, child: Child) {
    this.title = title;
    this.#child = child;
    // After the `spawn` event a child has a pid.
    this.pid = child.pid ?? 0;
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => this.#receive(name, text));
    }
    child.stdin.on("error", () => undefined);
    this.exited = endOf(child).then((end) => {
      this.#end = end;
      this.#wake();
      return end;
    });
  }

  /** How it ended, or undefined while it runs. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  /** Last lines of stdout and stderr, in the order of arrival. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Writes to the process's stdin. */
  write(text: string): void {
    this.#child.stdin.write(text);
  }

  closeInput(): void {
    this.#child.stdin.end();
  }

  /** Sends a signal to this process alone; nothing happens when it has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.#end === undefined) this.#child.kill(signal);
  }

  /** Ends the process: SIGTERM, and SIGKILL when it still runs after the grace time. */
  async stop(graceMs = 5_000): Promise<ProcessEnd> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The first line from index `from` on that matches, waiting for it.
   * @throws Error with the output so far when the time is over or the process has ended without it
   */
  async waitForLine(pattern: RegExp, timeoutMs = 10_000, from = 0): Promise<string> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.#lines.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (this.#end !== undefined || left <= 0) {
        const why = this.#end === undefined ? `within ${timeoutMs} ms` : "before it ended";
        throw new Error(
          `${this.title}: no line ${String(pattern)} ${why}:\n${this.lines.join("\n")}`,
        );
      }
      await this.#changed(left);
    }
  }

  #changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#watchers.add(done);
    });
  }

  #receive(name: "stdout" | "stderr", text: string): void {
    const lines = (this.#partial[name] + text).split("\n");
    this.#partial[name] = lines.pop() ?? "";
    this.#lines.push(...lines);
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines.splice(0, this.#lines.length - KEPT_LINES);
    this.#wake();
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** Resolves when the process has ended and its output is read. */
function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      const end = { code: code ?? undefined, signal: signal ?? undefined };
      // A grandchild may hold the pipes open for as long as it lives.
      const timer = setTimeout(() => resolve(end), DRAIN_MS);
      child.once("close", () => {
        clearTimeout(timer);
        resolve(end);
      });
    });
  });
}

/**
 * Runs a command to its end.
 * @throws LabCommandError when it fails and `check` is not false, or when the time is over
 */
export async function execCommand(
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 10_000,
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const end = await new Promise<ProcessEnd>((resolve, reject) => {
    child.once("error", reject);
    void endOf(child).then(resolve);
  });
  const result: ExecResult = { ...end, stdout, stderr };
  if (options.check !== false && end.code !== 0) throw new LabCommandError(argv.join(" "), result);
  return result;
}
