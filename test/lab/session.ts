/** A lab that stays up between commands: start it, run commands and shells in it, end it. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { guestDirectory, isAlive, prepareGuest, readPid, type GuestOptions } from "./guest.ts";
import { keeperSocket, SHELL_STARTED, type Order } from "./keeper.ts";
import type { KernelKind } from "./kernel.ts";
import { jobScript, pinnedCpu, requireKernel } from "./run.ts";

export interface SessionOptions {
  readonly name: string;
  readonly kernel: KernelKind;
  readonly memoryMiB?: number;
  readonly cpu?: number | "any";
  readonly mounts?: readonly string[];
}

const START_MS = 30_000;
const POLL_MS = 30;
const FACTS = z.object({ kernel: z.enum(["own", "debian", "6.1"]) });

/** Whether a lab of that name runs. */
export function sessionIsUp(name: string): boolean {
  const directory = guestDirectory(name);
  return existsSync(join(directory, "ready")) && isAlive(readPid(directory));
}

/** Boots a guest that stays, without any hosts in it yet. @throws Error with the guest's console */
export async function startSession(options: SessionOptions): Promise<void> {
  const guest: GuestOptions = {
    name: options.name,
    kernel: requireKernel(options.kernel),
    memoryMiB: options.memoryMiB ?? 2048,
    cpu: pinnedCpu(options.cpu),
    mounts: options.mounts ?? [],
    serialLines: true,
  };
  const { directory } = prepareGuest(guest);
  writeFileSync(join(directory, "facts.json"), JSON.stringify({ kernel: options.kernel }));
  const log = openSync(join(directory, "keeper.log"), "a");
  const program = join(import.meta.dirname, "keeper.ts");
  const keeper = spawn(process.execPath, [program, JSON.stringify(guest)], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  keeper.unref();
  const deadline = performance.now() + START_MS;
  while (!existsSync(join(directory, "ready"))) {
    if (!isAlive(keeper.pid) || performance.now() > deadline) {
      throw new Error(`the lab did not come up:\n${failureText(directory)}`);
    }
    await sleep(POLL_MS);
  }
}

function failureText(directory: string): string {
  return ["keeper.log", "console"]
    .map((file) => join(directory, file))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8").split("\n").slice(-20).join("\n"))
    .join("\n");
}

/** Ends the lab; nothing happens when none of that name runs. */
export async function endSession(name: string): Promise<void> {
  const pid = readPid(guestDirectory(name));
  if (sessionIsUp(name)) await order(name, { op: "stop" });
  const deadline = performance.now() + START_MS;
  while (isAlive(pid) && performance.now() < deadline) await sleep(POLL_MS);
  rmSync(guestDirectory(name), { recursive: true, force: true });
}

export interface SessionExecOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
}

/** Runs a command in the guest, with its output on ours; resolves with its exit code. */
export async function execInSession(
  name: string,
  argv: readonly string[],
  options: SessionExecOptions,
): Promise<number> {
  requireUp(name);
  const id = randomBytes(6).toString("hex");
  const directory = join(guestDirectory(name), "x", "jobs", id);
  mkdirSync(directory, { recursive: true });
  const kernel = FACTS.parse(
    JSON.parse(readFileSync(join(guestDirectory(name), "facts.json"), "utf8")),
  );
  writeFileSync(join(directory, "job.sh"), jobScript({ argv, ...options, ...kernel }));
  if (options.stdin !== undefined) writeFileSync(join(directory, "in"), options.stdin);
  for (const file of ["out", "err"]) writeFileSync(join(directory, file), "");
  const tails = [
    spawn("tail", ["-q", "-s", "0.05", "-n", "+1", "-f", join(directory, "out")], {
      stdio: ["ignore", 1, 2],
    }),
    spawn("tail", ["-q", "-s", "0.05", "-n", "+1", "-f", join(directory, "err")], {
      stdio: ["ignore", 2, 2],
    }),
  ];
  const answer = await order(name, { op: "job", id });
  // One more turn of the followers: the last lines were written before the exit code was.
  await sleep(2 * POLL_MS + 60);
  for (const follower of tails) follower.kill();
  rmSync(directory, { recursive: true, force: true });
  return z.object({ code: z.int() }).parse(JSON.parse(answer)).code;
}

function requireUp(name: string): void {
  if (!sessionIsUp(name)) {
    throw new Error(`no lab named "${name}" is up; start it with: npm run lab -- up`);
  }
}

/** Sends one order and resolves with the answer. */
function order(name: string, what: Order): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(keeperSocket(name));
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("utf8")));
    socket.once("error", reject);
    socket.once("end", () => resolve(answer));
    socket.write(`${JSON.stringify(what)}\n`);
  });
}

/** Gives this terminal to a shell in the host until the shell ends. */
export async function shellInSession(name: string, host: string): Promise<void> {
  requireUp(name);
  const { stdin, stdout } = process;
  const rows = stdout.rows || 24;
  const columns = stdout.columns || 80;
  const socket = connect(keeperSocket(name));
  socket.write(`${JSON.stringify({ op: "shell", host, rows, columns })}\n`);
  const { line, rest } = await shellLine(socket);
  const resize = (): void => {
    const size = { line, rows: stdout.rows, columns: stdout.columns };
    order(name, { op: "size", ...size }).catch(() => undefined);
  };
  // Node's own raw mode goes on turning line feeds into line breaks, which the guest has done already.
  const saved = stty("-g").trim();
  stty("raw", "-echo");
  stdout.on("resize", resize);
  stdout.write(rest);
  socket.on("data", (chunk: Buffer) => stdout.write(chunk));
  stdin.on("data", (chunk: Buffer) => socket.write(chunk));
  await new Promise((resolve) => socket.once("close", resolve));
  stdout.off("resize", resize);
  stty(saved);
  stdin.pause();
}

function stty(...args: readonly string[]): string {
  const { stdout } = spawnSync("stty", args, { stdio: ["inherit", "pipe", "inherit"] });
  return stdout.toString("utf8");
}

/** Waits for the first line of a shell's connection; what follows it is the terminal's. */
function shellLine(socket: Socket): Promise<{ line: number; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\n");
      if (end < 0) return;
      socket.off("data", onData);
      const started = SHELL_STARTED.safeParse(JSON.parse(head.subarray(0, end).toString("utf8")));
      if (started.success) resolve({ line: started.data.line, rest: head.subarray(end + 1) });
      else reject(new Error(head.toString("utf8").trim()));
    };
    socket.on("data", onData);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the lab closed the connection")));
  });
}
