/**
 * Makes a machine ready for the project: npm packages, the socket addon, Debian packages, a kernel
 * for the lab. Every step first looks whether there is anything to do. Plain JavaScript without
 * dependencies: it is what runs before there are any.
 *
 *   node scripts/setup.mjs [--kernel own|debian|6.1]...     everything that `npm test` needs
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installPackages } from "./setup/apt.mjs";
import { ensureGo } from "./setup/go.mjs";
import { cachedKernel, ensureKernel } from "./setup/kernel.mjs";
import { ensureNpmPackages } from "./setup/npm.mjs";
import { cacheDirectory, capture, ROOT, say, SetupError } from "./setup/system.mjs";

/** @typedef {import("./setup/kernel.mjs").KernelKind} KernelKind */

/**
 * What a command needs. npm packages are always made ready.
 *
 * A machine whose own kernel has IPVS needs no guest for most things; `guest` says that this command
 * boots one all the same (where the machine can run it).
 * @typedef {object} Needs
 * @property {boolean} [addon] the socket addon, built when it is not there
 * @property {readonly string[]} [debianPackages]
 * @property {readonly (KernelKind | "any")[]} [kernels] `any`: the own one, or Debian's ready
 *   package when the own one has not been built yet, because that takes seconds
 * @property {boolean} [guest]
 * @property {boolean} [go] a Go tool chain
 */

/** Debian packages with the tools that the lab's hosts use. */
export const LAB_PACKAGES = [
  ...["iproute2", "procps", "kmod", "ipvsadm", "nftables", "curl"],
  ...["iputils-arping", "tcpdump", "nginx", "strace"],
];

/** Debian packages that compile C. */
export const COMPILER_PACKAGES = ["gcc", "libc6-dev"];

const ADDON_PACKAGES = [...COMPILER_PACKAGES, "make", "python3"];

/**
 * Makes ready what is missing, and says so while it takes long.
 * @param {Needs} needs
 * @returns {Promise<{ path: readonly string[] }>} directories to put before PATH
 * @throws {SetupError}
 */
export async function ensure(needs) {
  const logFile = join(cacheDirectory("logs"), "setup.log");
  await ensureNpmPackages(logFile);
  const packages = [...(needs.debianPackages ?? [])];
  if (needs.addon === true && !addonIsBuilt()) packages.push(...ADDON_PACKAGES);
  await installPackages([...new Set(packages)], logFile);
  if (needs.addon === true) buildAddon();
  for (const kind of needs.kernels ?? []) await ensureLabKernel(kind, needs.guest === true);
  const go = needs.go === true ? await ensureGo() : undefined;
  return { path: [join(ROOT, "node_modules/.bin"), ...(go === undefined ? [] : [go])] };
}

function addonIsBuilt() {
  return existsSync(join(ROOT, "build/Release/lvs_sockets.node"));
}

function buildAddon() {
  const script = join(ROOT, "scripts/build-addon.mjs");
  const result = spawnSync(process.execPath, [script], { cwd: ROOT, encoding: "utf8" });
  if (result.status !== 0) throw new SetupError(result.stderr.trim() || "the addon did not build");
  if (!/up to date|using /.test(result.stdout)) say(result.stdout.trim().split("\n").join("; "));
}

/**
 * @param {KernelKind | "any"} kind
 * @param {boolean} guest
 */
async function ensureLabKernel(kind, guest) {
  const needless = process.arch !== "x64" || (!guest && kind !== "6.1");
  if (needless && hostHasIpvs()) return;
  if (kind !== "any") {
    await ensureKernel(kind);
  } else if (cachedKernel("own") === undefined) {
    await ensureKernel("debian");
  }
}

/** The lab uses this machine's own kernel when that has IPVS and we are root. */
function hostHasIpvs() {
  if (process.env["LVS_LAB"] === "guest" || process.getuid?.() !== 0) return false;
  if (process.env["LVS_LAB"] === "host" || existsSync("/proc/net/ip_vs")) return true;
  capture("modprobe", ["-q", "ip_vs"]);
  return existsSync("/proc/net/ip_vs");
}

/** @param {readonly string[]} args */
async function main(args) {
  /** @type {KernelKind[]} */
  const kernels = [];
  for (let i = 0; i < args.length; i += 2) {
    const kind = args[i + 1];
    if (args[i] !== "--kernel" || (kind !== "own" && kind !== "debian" && kind !== "6.1")) {
      throw new SetupError("usage: npm run setup -- [--kernel own|debian|6.1]...");
    }
    kernels.push(kind);
  }
  if (kernels.length === 0) kernels.push("own", "6.1");
  await ensure({ addon: true, debianPackages: LAB_PACKAGES, kernels, guest: true });
  say("everything is ready");
}

/**
 * Runs a command of people; a set-up that cannot go on ends in one message and exit code 1.
 * @param {() => Promise<number | void>} command
 */
export async function asProgram(command) {
  try {
    process.exitCode = (await command()) ?? 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await asProgram(() => main(process.argv.slice(2)));
}
