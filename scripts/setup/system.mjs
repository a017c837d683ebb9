/**
 * What every set-up step shares: messages to people, child processes, the cache directory. Runs on
 * the machine's own Node (18 or newer) before any package is installed, so it imports nothing but
 * `node:` modules.
 */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root directory. */
export const ROOT = resolve(fileURLToPath(new URL("../..", import.meta.url)));

/** Administration tools live in sbin, which an ordinary user's PATH may lack. */
const SEARCH_PATH = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
];

const TICK_MS = 20_000;
const TAIL_LINES = 30;

/** A set-up step cannot go on; the message tells a person what to do. */
export class SetupError extends Error {
  /** @override */
  name = "SetupError";
}

/**
 * One line about the progress of the set-up, on stderr: stdout belongs to the command itself.
 * @param {string} message
 */
export function say(message) {
  process.stderr.write(`lvs-operator: ${message}\n`);
}

/**
 * Directory for what is expensive to make again; safe to delete at any time.
 * @param {string[]} parts
 */
export function cacheDirectory(...parts) {
  const base = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const directory = join(base, "lvs-operator", ...parts);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/**
 * The full path of a program, or undefined.
 * @param {string} name
 */
export function findProgram(name) {
  for (const directory of SEARCH_PATH) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return undefined;
}

/** `ID` of the distribution as os-release(5) gives it; empty when unknown. */
export function distribution() {
  try {
    return /^ID="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/**
 * Output of a short command, or undefined when it fails.
 * @param {string} command
 * @param {string[]} args
 */
export function capture(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  return result.status === 0 ? result.stdout : undefined;
}

/**
 * How a long command is run.
 * @typedef {object} LoggedOptions
 * @property {string} logFile all output is appended to it
 * @property {number} deadlineMs the command is killed after this time
 * @property {string} [cwd] default: the project's root
 * @property {NodeJS.ProcessEnv} [env]
 * @property {(line: string) => void} [progress] sees each line of stdout
 * @property {() => string} [status] part of the periodic message, e.g. a percentage
 */

/**
 * Runs a command with its output in a log file, and says every 20 seconds that it is at work.
 * @param {string} what for people, e.g. "building the lab kernel"
 * @param {string[]} argv
 * @param {LoggedOptions} options
 * @throws {SetupError} with the end of the log
 */
export async function runLogged(what, argv, options) {
  const log = createWriteStream(options.logFile, { flags: "a" });
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stopTelling = tellPeriodically(what, options.status);
  const deadline = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs);
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
    log.write(chunk);
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (options.progress) lines.forEach(options.progress);
  });
  child.stderr.on("data", (chunk) => log.write(chunk));
  const failure = await outcome(child);
  stopTelling();
  clearTimeout(deadline);
  await new Promise((settle) => log.end(() => settle(undefined)));
  if (failure !== undefined) {
    throw new SetupError(`${what} failed (${failure}); ${tailOf(options.logFile)}`);
  }
}

/**
 * @param {string} what
 * @param {(() => string) | undefined} status
 */
function tellPeriodically(what, status) {
  const started = Date.now();
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    say(`${what}: ${status === undefined ? "" : `${status()}, `}${seconds} s so far`);
  }, TICK_MS);
  return () => clearInterval(timer);
}

/**
 * Resolves with what went wrong, or undefined.
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<string | undefined>}
 */
function outcome(child) {
  return new Promise((settle) => {
    child.once("error", (error) => settle(error.message));
    child.once("close", (code, signal) => {
      settle(code === 0 ? undefined : (signal ?? `exit code ${String(code)}`));
    });
  });
}

/** @param {string} logFile */
function tailOf(logFile) {
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-TAIL_LINES);
  return `the end of ${logFile}:\n  ${lines.join("\n  ")}`;
}
