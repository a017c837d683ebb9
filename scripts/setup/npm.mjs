/** The project's npm packages, the pinned Node among them. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { installPackages } from "./apt.mjs";
import { capture, findProgram, ROOT, runLogged, say, SetupError } from "./system.mjs";

const NODE_MODULES = join(ROOT, "node_modules");
const LOCK = join(ROOT, "package-lock.json");
/** What npm itself writes about the packages that it has placed. */
const INSTALLED = join(NODE_MODULES, ".package-lock.json");
const STAMP = join(NODE_MODULES, ".lvs-operator-installed");
const MINUTE_MS = 60_000;

/** The Node that runs the project's TypeScript. */
export const NODE = join(NODE_MODULES, ".bin/node");

/**
 * Installs exactly what package-lock.json names, unless that is what is there.
 * @param {string} logFile
 * @throws {SetupError}
 */
export async function ensureNpmPackages(logFile) {
  const wanted = createHash("sha256").update(readFileSync(LOCK)).digest("hex");
  if (existsSync(STAMP) && readFileSync(STAMP, "utf8") === wanted && existsSync(NODE)) return;
  if (!matchesLock()) {
    if (findProgram("npm") === undefined) {
      throw new SetupError("npm is missing; on Debian, as root: apt-get install npm");
    }
    say("installing npm packages (npm ci)");
    // The scripts are ours to run: the addon needs a compiler, which is looked for later.
    const argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    await runLogged("npm ci", argv, { logFile, deadlineMs: 15 * MINUTE_MS });
  }
  await ensureNode(logFile);
  writeFileSync(STAMP, wanted);
}

/** Whether the packages in place are those of the lock file, by npm's own record. */
function matchesLock() {
  if (!existsSync(INSTALLED)) return false;
  const installed = versions(INSTALLED);
  const wanted = JSON.parse(readFileSync(LOCK, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === "" || entry.optional || installed[path] === entry.version,
  );
}

/**
 * @param {string} file
 * @returns {Record<string, string>} version by path
 */
function versions(file) {
  const entries = Object.entries(JSON.parse(readFileSync(file, "utf8")).packages);
  return Object.fromEntries(entries.map(([path, entry]) => [path, entry.version]));
}

/**
 * The package `node` fetches its program in an install script, and the program needs a library that
 * a small Debian lacks.
 * @param {string} logFile
 */
async function ensureNode(logFile) {
  if (capture(NODE, ["--version"]) !== undefined) return;
  if (!existsSync(NODE)) {
    say("fetching Node for this project (the npm package `node`)");
    const cwd = join(NODE_MODULES, "node");
    const argv = [process.execPath, "installArchSpecificPackage.js"];
    const env = { ...process.env, npm_config_ignore_scripts: "false" };
    await runLogged("fetching Node", argv, { cwd, env, logFile, deadlineMs: 10 * MINUTE_MS });
    linkNode();
  }
  if (capture(NODE, ["--version"]) === undefined) await installPackages(["libatomic1"], logFile);
  if (capture(NODE, ["--version"]) === undefined) {
    throw new SetupError(`${NODE} does not run on this machine`);
  }
}

/** npm links no program that was not there when it looked. */
function linkNode() {
  rmSync(NODE, { force: true });
  mkdirSync(dirname(NODE), { recursive: true });
  symlinkSync("../node/bin/node", NODE);
}
