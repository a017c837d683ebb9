/**
 * Kernels for the lab's guest (User-Mode Linux, x86-64), cached by version:
 *
 *   own     built from Debian's newest linux-source with test/lab/kernel/lab.config, 10-20 minutes
 *   debian  Debian's ready package of the newest suite, seconds; no nft NAT, IPVS as modules
 *   6.1     Debian 12's package, the oldest kernel that is tested; IPVS as modules, ptrace mode
 *
 * A kernel directory holds `linux`, `kernel.json` and, when the kernel has modules, `modules/`.
 */
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { ForeignSuite, installPackages } from "./apt.mjs";
import { cacheDirectory, capture, ROOT, runLogged, say, SetupError } from "./system.mjs";

const FRAGMENT = join(ROOT, "test/lab/kernel/lab.config");
/** Counts as part of the cache key: raise it when the way of building changes the result. */
const RECIPE = "1";
/** Compiler steps of one full build, for the percentage only. */
const EXPECTED_STEPS = 1600;
const BUILD_PACKAGES = "gcc make flex bison bc libelf-dev xz-utils binutils perl".split(" ");
const BUILD_BYTES = 3 * 2 ** 30;
const MINUTE_MS = 60_000;
/** Suites that may carry a kernel source of 6.16 or newer, where UML learned its seccomp mode. */
const SUITES = ["testing", "unstable"];
const OLDEST_SOURCE = [6, 16];

/** Directory of the newest cached kernel of the kind, or undefined. */
export function cachedKernel(kind) {
  const base = cacheDirectory("kernel");
  const suffix = kind === "own" ? `-own-${fragmentHash()}` : `-${kind}`;
  const found = readdirSync(base)
    .filter((name) => name.endsWith(suffix) && existsSync(join(base, name, "kernel.json")))
    .sort((a, b) => compareVersions(b, a));
  return found[0] === undefined ? undefined : join(base, found[0]);
}

/**
 * The kernel directory of the kind, made first when it is not cached.
 * @throws SetupError
 */
export async function ensureKernel(kind) {
  const cached = cachedKernel(kind);
  if (cached !== undefined) return cached;
  if (process.arch !== "x64") {
    throw new SetupError(`the lab's guest runs on x86-64 only, this machine is ${process.arch}`);
  }
  const logFile = join(cacheDirectory("logs"), `kernel-${kind}.log`);
  writeFileSync(logFile, "");
  const work = mkdtempSync(join(cacheDirectory("work"), `${kind}-`));
  try {
    if (kind === "own") return await buildOwn(work, logFile);
    if (kind === "debian") return await unpackDebian(work, logFile);
    return await unpackStable(work, logFile);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function buildOwn(work, logFile) {
  await installPackages(BUILD_PACKAGES, logFile);
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < BUILD_BYTES) {
    throw new SetupError(`building the lab kernel needs 3 GiB free in ${cacheDirectory()}`);
  }
  const { suite, name, version } = await newestSource(work, logFile);
  say(`building the lab kernel from ${name} ${version} (once; 10-20 minutes on two cores)`);
  const [deb] = await suite.download([name], logFile);
  const source = join(work, "source");
  const objects = join(work, "objects");
  mkdirSync(source);
  mkdirSync(objects);
  const unpack = `dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards '*.tar.xz' | tar -xJ --strip-components=1 -C "$2"`;
  const shell = ["sh", "-ec", unpack, "sh", deb, source];
  await runLogged("unpacking the kernel source", shell, { logFile, deadlineMs: 10 * MINUTE_MS });
  rmSync(deb);
  await compile(source, objects, logFile);
  const directory = join(cacheDirectory("kernel"), `${safeName(version)}-own-${fragmentHash()}`);
  return publish(directory, objects, { kind: "own", version, mode: "seccomp" }, (target) => {
    const linux = join(target, "linux");
    const stripped = spawnSync("strip", ["-o", linux, join(objects, "linux")]);
    if (stripped.status !== 0) copyFileSync(join(objects, "linux"), linux);
    copyFileSync(join(objects, ".config"), join(target, "config"));
    writeFileSync(join(target, "not-granted"), notGranted(join(objects, ".config")));
  });
}

async function compile(source, objects, logFile) {
  // A reproducible banner: the same source and fragment give the same kernel on every machine.
  const env = {
    ...process.env,
    KBUILD_BUILD_USER: "lab",
    KBUILD_BUILD_HOST: "lab",
    KBUILD_BUILD_TIMESTAMP: "1970-01-01",
    KCONFIG_ALLCONFIG: FRAGMENT,
  };
  const make = ["nice", "make", "-C", source, `O=${objects}`, "ARCH=um"];
  const options = { env, logFile, deadlineMs: 10 * MINUTE_MS };
  await runLogged("configuring the lab kernel", [...make, "allnoconfig"], options);
  let steps = 0;
  await runLogged("building the lab kernel", [...make, `-j${cpus().length}`, "linux"], {
    ...options,
    deadlineMs: 120 * MINUTE_MS,
    progress: (line) => (steps += /^\s+(CC|AS|AR|LD)\s/.test(line) ? 1 : 0),
    status: () => `${Math.min(99, Math.round((100 * steps) / EXPECTED_STEPS))} %`,
  });
  say(`the lab kernel is built (${steps} steps)`);
}

/** Options that the fragment sets and the build did not get, one per line. */
function notGranted(configFile) {
  const granted = new Set(readFileSync(configFile, "utf8").split("\n"));
  return readFileSync(FRAGMENT, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("CONFIG_") && !granted.has(line))
    .map((line) => `${line}\n`)
    .join("");
}

async function newestSource(work, logFile) {
  for (const suiteName of SUITES) {
    const suite = new ForeignSuite(suiteName, work);
    await suite.update(logFile);
    const name = suite
      .search("^linux-source-[0-9.]+$")
      .filter((n) => compareVersions(n.slice(13), OLDEST_SOURCE.join(".")) >= 0)
      .sort((a, b) => compareVersions(b.slice(13), a.slice(13)))[0];
    const version = name && suite.version(name);
    if (version) return { suite, name, version };
  }
  throw new SetupError(`the mirror has no linux-source of 6.16 or newer in ${SUITES.join(" or ")}`);
}

async function unpackDebian(work, logFile) {
  await installPackages(["patchelf"], logFile);
  const suite = new ForeignSuite(SUITES[0], work);
  say("fetching Debian's ready User-Mode-Linux kernel (38 MB)");
  await suite.update(logFile);
  const version = suite.version("user-mode-linux");
  const [kernel, libc] = await suite.download(["user-mode-linux", "libc6"], logFile);
  const directory = join(cacheDirectory("kernel"), `${safeName(version)}-debian`);
  return publish(directory, work, { kind: "debian", version, mode: "seccomp" }, (target) => {
    unpackUml(kernel, target);
    // The newer suite's kernel wants the newer suite's C library, which it takes along.
    const libraries = join(target, "libc");
    extract(libc, libraries);
    const loader = capture("find", [libraries, "-name", "ld-linux-x86-64.so.2", "-type", "f"]);
    const final = loader?.trim().replace(target, directory) ?? "";
    const args = ["--set-interpreter", final, "--set-rpath", join(final, "..")];
    check("patchelf", [...args, join(target, "linux")]);
  });
}

async function unpackStable(work, logFile) {
  const suite = new ForeignSuite("bookworm", work);
  say("fetching Debian 12's User-Mode-Linux kernel 6.1");
  await suite.update(logFile);
  const version = suite.version("user-mode-linux");
  const [kernel] = await suite.download(["user-mode-linux"], logFile);
  const directory = join(cacheDirectory("kernel"), `${safeName(version)}-6.1`);
  const facts = { kind: "6.1", version, mode: "ptrace" };
  return publish(directory, work, facts, (target) => unpackUml(kernel, target));
}

function unpackUml(deb, target) {
  const tree = join(target, "tree");
  extract(deb, tree);
  renameSync(join(tree, "usr/bin/linux.uml"), join(target, "linux"));
  mkdirSync(join(target, "modules/lib"), { recursive: true });
  renameSync(join(tree, "usr/lib/uml/modules"), join(target, "modules/lib/modules"));
  rmSync(tree, { recursive: true });
}

function extract(deb, target) {
  check("dpkg-deb", ["-x", deb, target]);
}

function check(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  if (result.status !== 0) {
    throw new SetupError(`${command} failed: ${result.stderr ?? result.error?.message}`);
  }
}

/** Fills a directory beside its final place and moves it there whole, so no half kernel is cached. */
function publish(directory, work, facts, fill) {
  const target = mkdtempSync(join(cacheDirectory("kernel"), ".new-"));
  fill(target);
  chmodSync(target, 0o755);
  chmodSync(join(target, "linux"), 0o755);
  writeFileSync(join(target, "kernel.json"), `${JSON.stringify(facts, null, 2)}\n`);
  rmSync(directory, { recursive: true, force: true });
  renameSync(target, directory);
  return directory;
}

function fragmentHash() {
  const hash = createHash("sha256").update(RECIPE).update(readFileSync(FRAGMENT));
  return hash.digest("hex").slice(0, 10);
}

function safeName(version) {
  return version.replace(/[^A-Za-z0-9.+~-]/g, "_");
}

/** Orders dotted numbers; what follows the numbers does not count. */
function compareVersions(a, b) {
  const numbers = (text) => (/^[\d.]+/.exec(text)?.[0] ?? "").split(".").map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
