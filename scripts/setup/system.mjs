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
  ...(process.env.PATH ?? "").split(delimiter),
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
];

/** A set-up step cannot go on; the message tells a person what to do. */
export class SetupError extends Error {
  name = "SetupError";
}

/** One line about the progress of the set-up. Data of the command itself owns stdout. */
export function say(message) {
  process.stderr.write(`lvs-operator: ${message}\n`);
}

/** Directory for what is expensive to make again; safe to delete at any time. */
export function cacheDirectory(...parts) {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const directory = join(base, "lvs-operator", ...parts);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** The full path of a program, or undefined. */
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

/** `{ id, codename }` of the distribution, as os-release(5) gives them; empty when unknown. */
export function distribution() {
  let text = "";
  try {
    text = readFileSync("/etc/os-release", "utf8");
  } catch {
    // A system without os-release is not one that we can install packages on.
  }
  const field = (key) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  return { id: field("ID"), like: field("ID_LIKE"), codename: field("VERSION_CODENAME") };
}

/** Output of a short command, or undefined when it fails. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, ...options });
  return result.status === 0 ? result.stdout : undefined;
}

/**
 * Runs a command with its output in a log file, and says every 20 seconds that it is still at work.
 * @param {string} what for people, e.g. "building the lab kernel"
 * @param {string[]} argv program and arguments
 * @param {{cwd?: string, env?: object, logFile: string, progress?: (line: string) => void,
 *   status?: () => string, deadlineMs: number}} options `progress` sees each output line, `status`
 *   is appended to the periodic message
 */
export async function runLogged(what, argv, options) {
  const log = createWriteStream(options.logFile, { flags: "a" });
  const started = Date.now();
  const child = spawn(argv[0], argv.slice(1), {
    cwd: options.cwd ?? ROOT,
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const elapsed = () => `${Math.round((Date.now() - started) / 1000)} s`;
  const ticker = setInterval(() => {
    const status = options.status?.();
    say(`${what}: ${status ? `${status}, ` : ""}${elapsed()} so far`);
  }, 20_000);
  const deadline = setTimeout(() => child.kill("SIGKILL"), options.deadlineMs);
  let rest = "";
  const consume = (chunk) => {
    log.write(chunk);
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (options.progress) lines.forEach(options.progress);
  };
  child.stdout.setEncoding("utf8").on("data", consume);
  child.stderr.setEncoding("utf8").on("data", (chunk) => log.write(chunk));
  const outcome = await new Promise((settle) => {
    child.once("error", (error) => settle(error.message));
    child.once("close", (code, signal) =>
      settle(code === 0 ? undefined : (signal ?? `exit code ${code}`)),
    );
  });
  clearInterval(ticker);
  clearTimeout(deadline);
  await new Promise((settle) => log.end(settle));
  if (outcome !== undefined)
    throw new SetupError(`${what} failed (${outcome})${tailOf(options.logFile)}`);
}

function tailOf(logFile) {
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15);
  return `; the end of ${logFile}:\n  ${lines.join("\n  ")}`;
}
