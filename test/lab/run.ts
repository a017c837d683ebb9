/**
 * Runs one command in the lab and passes its output and exit code on: in a guest that boots for it
 * and powers off after it, or in fresh namespaces of this machine where that has IPVS and root.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bootGuest, prepareGuest, type Guest, type GuestOptions } from "./guest.ts";
import { findKernel, type KernelKind, type LabKernel } from "./kernel.ts";
import { cacheDirectory, LAB_BIN, NPM_BIN, shellQuote } from "./paths.ts";

/** Where lab commands run. */
export type LabPlace = "guest" | "host";

export interface RunOptions {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly kernel: KernelKind;
  /** Default: one that no other run of this process uses. */
  readonly name?: string;
  readonly memoryMiB?: number;
  /** CPU to stay on, modulo the number of CPUs; `"any"` does not pin. */
  readonly cpu?: number | "any";
  readonly mounts?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Default: this process's own stdout and stderr. */
  readonly onStdout?: (chunk: Uint8Array) => void;
  readonly onStderr?: (chunk: Uint8Array) => void;
}

export interface RunResult {
  readonly exitCode: number;
  /** Why there is no exit code of the command: the guest died, or the time was over. */
  readonly failure?: string;
}

/** Exit code of a run whose guest ended without one. */
export const GUEST_DIED = 125;

/** Time for the power-off after the exit code is known. */
const POWER_OFF_MS = 2_000;

/** How often output files are looked at. */
const TAIL_INTERVAL_MS = 40;

/**
 * Where commands run on this machine: `LVS_LAB=guest|host` when set, else the host when it has
 * IPVS and we are root.
 */
export function labPlace(): LabPlace {
  const wish = process.env["LVS_LAB"];
  if (wish === "guest" || wish === "host") return wish;
  if (process.getuid?.() !== 0) return "guest";
  if (existsSync("/proc/net/ip_vs")) return "host";
  spawnSync("modprobe", ["-q", "ip_vs"]);
  return existsSync("/proc/net/ip_vs") ? "host" : "guest";
}

/**
 * The kernel of the kind.
 * @throws Error naming the command that makes it
 */
export function requireKernel(kind: KernelKind): LabKernel {
  const kernel = findKernel(kind);
  if (kernel === undefined) {
    throw new Error(
      `the lab kernel "${kind}" is not there; make it with: npm run setup -- --kernel ${kind}`,
    );
  }
  return kernel;
}

/** Runs the command where {@link labPlace} says. */
export function runInLab(options: RunOptions): Promise<RunResult> {
  return labPlace() === "host" ? runOnHost(options) : runInGuest(options);
}

/** Runs the command in a guest of its own. */
export async function runInGuest(options: RunOptions): Promise<RunResult> {
  const guestOptions: GuestOptions = {
    name: options.name ?? nextName(),
    kernel: requireKernel(options.kernel),
    memoryMiB: options.memoryMiB ?? 2048,
    cpu: pinnedCpu(options.cpu),
    mounts: options.mounts ?? [],
    serialLines: false,
  };
  const { exchange } = prepareGuest(guestOptions);
  writeFileSync(join(exchange, "job.sh"), jobScript(options));
  if (options.stdin !== undefined) writeFileSync(join(exchange, "in"), options.stdin);
  for (const file of ["out", "err"]) writeFileSync(join(exchange, file), "");
  const guest = bootGuest(guestOptions);
  const tails = [
    tail(join(exchange, "out"), options.onStdout ?? ((chunk) => process.stdout.write(chunk))),
    tail(join(exchange, "err"), options.onStderr ?? ((chunk) => process.stderr.write(chunk))),
  ];
  const ticker = setInterval(() => tails.forEach((t) => t.read()), TAIL_INTERVAL_MS);
  const stopped = await untilOff(guest, options);
  clearInterval(ticker);
  tails.forEach((t) => t.end());
  return conclude(guest, stopped);
}

/** Waits for the end of the guest; returns why it had to be ended, or undefined. */
async function untilOff(guest: Guest, options: RunOptions): Promise<string | undefined> {
  let reason: string | undefined;
  const end = (why: string): void => {
    reason = why;
    guest.kill();
  };
  const timer = setTimeout(
    () => end(`not done after ${options.timeoutMs / 1000} s`),
    options.timeoutMs,
  );
  const onAbort = (): void => end("interrupted");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  // The exit code is written last; a guest that hangs in its power-off has still done its work.
  const exitFile = join(guest.exchange, "exit");
  const watch = setInterval(() => {
    if (!existsSync(exitFile)) return;
    clearInterval(watch);
    setTimeout(() => guest.kill(), POWER_OFF_MS).unref();
  }, TAIL_INTERVAL_MS);
  await guest.ended;
  clearInterval(watch);
  clearTimeout(timer);
  options.signal?.removeEventListener("abort", onAbort);
  return reason;
}

function conclude(guest: Guest, stopped: string | undefined): RunResult {
  const exitFile = join(guest.exchange, "exit");
  if (stopped === undefined && existsSync(exitFile)) {
    const exitCode = Number.parseInt(readFileSync(exitFile, "utf8"), 10);
    guest.remove(false);
    return { exitCode };
  }
  const kept = guest.remove(true) ?? "";
  const why = stopped ?? "the guest ended without an exit code of the command";
  return { exitCode: GUEST_DIED, failure: `${why}; its console: ${kept}` };
}

/** Runs the command in new mount, network and process namespaces of this machine. */
export async function runOnHost(options: RunOptions): Promise<RunResult> {
  const enter =
    "mount -t tmpfs tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns; }; " +
    'ip link set lo up; exec sh -c "$1"';
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const child = spawn(
    "unshare",
    [...namespaces, "--", "sh", "-c", enter, "sh", jobScript(options)],
    {
      cwd: options.cwd,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    },
  );
  child.stdin.end(options.stdin ?? new Uint8Array());
  child.stdout.on("data", options.onStdout ?? ((chunk: Uint8Array) => process.stdout.write(chunk)));
  child.stderr.on("data", options.onStderr ?? ((chunk: Uint8Array) => process.stderr.write(chunk)));
  let failure: string | undefined;
  const end = (why: string): void => {
    failure = why;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(
    () => end(`not done after ${options.timeoutMs / 1000} s`),
    options.timeoutMs,
  );
  const onAbort = (): void => end("interrupted");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const exitCode = await new Promise<number>((settle) => {
    child.once("error", (error) => {
      failure = error.message;
      settle(GUEST_DIED);
    });
    child.once("close", (code) => settle(code ?? GUEST_DIED));
  });
  clearTimeout(timer);
  options.signal?.removeEventListener("abort", onAbort);
  return failure === undefined ? { exitCode } : { exitCode: GUEST_DIED, failure };
}

/** Shell text that sets the environment of lab commands and then becomes the command. */
export function jobScript(options: Pick<RunOptions, "argv" | "cwd" | "env" | "kernel">): string {
  const env: Record<string, string> = {
    LVS_LAB_KERNEL: options.kernel,
    NODE_COMPILE_CACHE: cacheDirectory("node-compile-cache"),
    ...(process.env["CI"] === undefined ? {} : { CI: process.env["CI"] }),
    ...options.env,
  };
  const assignments = Object.entries(env).map(
    ([key, value]) => `export ${key}=${shellQuote([value])}`,
  );
  return [
    ...assignments,
    `export PATH=${shellQuote([NPM_BIN])}:${shellQuote([LAB_BIN])}:$PATH:/usr/sbin:/sbin`,
    `cd ${shellQuote([options.cwd])} || exit 126`,
    `exec ${shellQuote(options.argv)}`,
    "",
  ].join("\n");
}

let runs = 0;

function nextName(): string {
  runs += 1;
  return `run-${process.pid}-${runs}`;
}

/** The CPU number to hand to taskset. */
export function pinnedCpu(wish: number | "any" | undefined): number | undefined {
  return wish === "any" ? undefined : (wish ?? 0) % availableParallelism();
}

/** Follows a growing file. */
function tail(path: string, sink: (chunk: Uint8Array) => void): { read(): void; end(): void } {
  const descriptor = openSync(path, "r");
  const read = (): void => {
    const chunk = Buffer.alloc(65_536);
    let length = readSync(descriptor, chunk);
    while (length > 0) {
      sink(Buffer.from(chunk.subarray(0, length)));
      length = readSync(descriptor, chunk);
    }
  };
  return {
    read,
    end() {
      read();
      closeSync(descriptor);
    },
  };
}
