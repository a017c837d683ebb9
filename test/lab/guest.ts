/**
 * A guest: one User-Mode-Linux process with the host's files below a tmpfs overlay. This module
 * boots it and makes sure that it ends; run.ts and keeper.ts say what it is for.
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LabKernel } from "./kernel.ts";
import { cacheDirectory, GUEST_SCRIPTS, PROJECT_ROOT, stateDirectory } from "./paths.ts";

/** Interactive shells that one guest can carry at a time. */
export const SHELL_LINES = 8;

export interface GuestOptions {
  /** Names the state directory; one guest of a name runs at a time. */
  readonly name: string;
  readonly kernel: LabKernel;
  readonly memoryMiB: number;
  /** CPU of the host to stay on: kernel and user stub on two cores make a system call 7x dearer. */
  readonly cpu: number | undefined;
  /** Host directories to mount read-write at their own path, besides the project. */
  readonly mounts: readonly string[];
  /** Connect serial lines 0 to SHELL_LINES to descriptors 3 and up (see control.sh). */
  readonly serialLines: boolean;
}

/** A booted guest. */
export interface Guest {
  readonly process: ChildProcess;
  /** Directory that both sides read and write; /run/exchange in the guest. */
  readonly exchange: string;
  readonly consoleFile: string;
  /** Resolves when the guest is off, however that came. */
  readonly ended: Promise<void>;
  /** Ends the guest and its stubs at once; for one that does not power off by itself. */
  kill(): void;
  /** Removes the state; with `keepConsole` the console is kept and its path returned. */
  remove(keepConsole: boolean): string | undefined;
}

/** Where a guest of the name keeps its state. */
export function guestDirectory(name: string): string {
  return join(stateDirectory(), name);
}

/**
 * Prepares the exchange directory, so that a caller can place job.sh before the boot.
 * @throws Error when a guest of that name is running
 */
export function prepareGuest(options: GuestOptions): { directory: string; exchange: string } {
  const directory = guestDirectory(options.name);
  if (isAlive(readPid(directory))) throw new Error(`a lab named "${options.name}" is up already`);
  rmSync(directory, { recursive: true, force: true });
  const exchange = join(directory, "x");
  mkdirSync(exchange, { recursive: true, mode: 0o700 });
  const mounts = [PROJECT_ROOT, cacheDirectory("node-compile-cache"), ...options.mounts];
  writeFileSync(join(exchange, "mounts"), mounts.map((mount) => `${mount}\n`).join(""));
  if (options.kernel.modules !== undefined) {
    writeFileSync(join(exchange, "modules"), `${options.kernel.modules}\n`);
  }
  return { directory, exchange };
}

/** Boots a prepared guest. */
export function bootGuest(options: GuestOptions): Guest {
  const directory = guestDirectory(options.name);
  const exchange = join(directory, "x");
  const consoleFile = join(directory, "console");
  const output = openSync(consoleFile, "a");
  const lines = options.serialLines ? SHELL_LINES + 1 : 0;
  const stdio: StdioOptions = ["ignore", output, output, ...Array<"pipe">(lines).fill("pipe")];
  const pinned = options.cpu === undefined ? [] : ["taskset", "-c", String(options.cpu)];
  const argv = [...pinned, options.kernel.linux, ...kernelArguments(options, directory, lines)];
  const [command = "", ...args] = argv;
  const env = { ...process.env, TMPDIR: memoryDirectory(options.memoryMiB) };
  const child = spawn(command, args, { stdio, env, detached: true });
  closeSync(output);
  const ended = new Promise<void>((settle) => {
    child.once("error", () => settle());
    child.once("exit", () => settle());
  });
  if (child.pid !== undefined) writeFileSync(join(directory, "pid"), `${child.pid}\n`);
  return {
    process: child,
    exchange,
    consoleFile,
    ended,
    kill: () => killGroup(child.pid),
    remove(keepConsole) {
      let kept: string | undefined;
      if (keepConsole) {
        kept = join(cacheDirectory("logs"), `guest-${options.name}.log`);
        writeFileSync(kept, readFileSync(consoleFile));
      }
      rmSync(directory, { recursive: true, force: true });
      return kept;
    },
  };
}

function kernelArguments(options: GuestOptions, directory: string, lines: number): string[] {
  const serial = Array.from({ length: lines }, (_, line) => `ssl${line}=fd:${line + 3}`);
  return [
    `mem=${options.memoryMiB}M`,
    ...(options.kernel.seccomp ? ["seccomp=on"] : []),
    ...["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"],
    `init=${join(GUEST_SCRIPTS, "init.sh")}`,
    ...["quiet", "con=null", "con0=null,fd:1", "ssl=null", ...serial],
    ...[`umid=${options.name}`, `uml_dir=${directory}`],
    `LAB_EXCHANGE=${join(directory, "x")}`,
    `LAB_HOME=${PROJECT_ROOT}`,
  ];
}

/** The guest's memory is a sparse file; on a tmpfs it is much faster than on a disk. */
function memoryDirectory(memoryMiB: number): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize > memoryMiB * 2 ** 20) return "/dev/shm";
  } catch {
    // A machine without /dev/shm.
  }
  return tmpdir();
}

/** Process id in the state directory, or undefined. */
export function readPid(directory: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(join(directory, "pid"), "utf8"), 10);
  } catch {
    return undefined;
  }
}

/** Whether the process runs. */
export function isAlive(pid: number | undefined): boolean {
  if (pid === undefined || Number.isNaN(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Kills a process that leads a group of its own, and the group. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Already gone.
  }
}
