/** The project's npm packages, the pinned Node among them. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { installPackages } from "./apt.mjs";
import {
  cacheDirectory,
  capture,
  findProgram,
  ROOT,
  runLogged,
  say,
  SetupError,
} from "./system.mjs";

/**
 * An entry of a lock file, as far as it matters here.
 * @typedef {object} LockEntry
 * @property {string} version
 * @property {boolean} [optional]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 * @typedef {Record<string, LockEntry>} LockEntries entries by path
 */

const NODE_MODULES = join(ROOT, "node_modules");
const LOCK = join(ROOT, "package-lock.json");
/** What npm itself writes about the packages that it has placed. */
const INSTALLED = join(NODE_MODULES, ".package-lock.json");
const STAMP = join(NODE_MODULES, ".lvs-operator-installed");
const INSTALL_FLAGS = ["--ignore-scripts", "--no-audit", "--no-fund"];
/** npm leaves out optional packages, native programs among them, that want a newer Node than its own. */
const OLDEST_NODE_FOR_NPM = 22;
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
    const npm = await findNpm(logFile);
    say("installing npm packages (npm ci)");
    // The scripts are ours to run: the addon needs a compiler, which is looked for later.
    const argv = [...npm, "ci", ...INSTALL_FLAGS];
    await runLogged("npm ci", argv, { logFile, deadlineMs: 15 * MINUTE_MS });
  }
  await ensureNode(logFile);
  writeFileSync(STAMP, wanted);
}

/** Whether the packages in place are those of the lock file, by npm's own record. */
function matchesLock() {
  if (!existsSync(INSTALLED)) return false;
  const installed = entriesOf(INSTALLED);
  return Object.entries(entriesOf(LOCK)).every(
    ([path, entry]) =>
      path === "" || !isForHere(entry) || installed[path]?.version === entry.version,
  );
}

/**
 * @param {string} file
 * @returns {LockEntries}
 */
function entriesOf(file) {
  return JSON.parse(readFileSync(file, "utf8")).packages;
}

/**
 * Whether this machine must have the package. An optional one without any condition may be part of
 * another one that is not for here, so only those with a fitting condition count.
 * @param {LockEntry} entry
 */
function isForHere({ optional, os, cpu, libc }) {
  if (optional !== true) return true;
  if (os === undefined && cpu === undefined) return false;
  const fits = (/** @type {string[] | undefined} */ list, /** @type {string} */ value) =>
    list === undefined || list.includes(value);
  return fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, "glibc");
}

/**
 * The command that is npm: the machine's own, run by a Node that is new enough.
 * @param {string} logFile
 */
async function findNpm(logFile) {
  const npm = findProgram("npm");
  if (npm === undefined) {
    throw new SetupError("npm is missing; on Debian, as root: apt-get install npm");
  }
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE_FOR_NPM) return [npm];
  const version = entriesOf(LOCK)["node_modules/node"]?.version ?? "";
  const name = `node-${process.platform}-${process.arch}`;
  const directory = cacheDirectory("node", version);
  const node = join(directory, "node_modules", name, "bin/node");
  if (!existsSync(node)) {
    say(`fetching Node ${version}, because this machine's is ${process.versions.node}`);
    const argv = [npm, "install", "--prefix", directory, ...INSTALL_FLAGS, `${name}@${version}`];
    await runLogged("fetching Node", argv, { cwd: directory, logFile, deadlineMs: 10 * MINUTE_MS });
  }
  await ensureRuns(node, logFile);
  return [node, realpathSync(npm)];
}

/**
 * The package `node` fetches its program in an install script.
 * @param {string} logFile
 */
async function ensureNode(logFile) {
  if (!existsSync(NODE)) {
    say("fetching Node for this project (the npm package `node`)");
    const cwd = join(NODE_MODULES, "node");
    const argv = [process.execPath, "installArchSpecificPackage.js"];
    const env = { ...process.env, npm_config_ignore_scripts: "false" };
    await runLogged("fetching Node", argv, { cwd, env, logFile, deadlineMs: 10 * MINUTE_MS });
    linkNode();
  }
  await ensureRuns(NODE, logFile);
}

/** npm links no program that was not there when it looked. */
function linkNode() {
  rmSync(NODE, { force: true });
  mkdirSync(dirname(NODE), { recursive: true });
  symlinkSync("../node/bin/node", NODE);
}

/**
 * Node needs a library that a small Debian lacks.
 * @param {string} node
 * @param {string} logFile
 */
async function ensureRuns(node, logFile) {
  if (capture(node, ["--version"]) !== undefined) return;
  await installPackages(["libatomic1"], logFile);
  if (capture(node, ["--version"]) === undefined) {
    throw new SetupError(`${node} does not run on this machine`);
  }
}
