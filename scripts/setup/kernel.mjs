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
import { dirname, join } from "node:path";
import { extractPackage, ForeignSuite, installPackages, removeDirectory } from "./apt.mjs";
import { cacheDirectory, capture, ROOT, runLogged, say, SetupError } from "./system.mjs";

/**
 * @typedef {"own" | "debian" | "6.1"} KernelKind
 * @typedef {{ kind: KernelKind, version: string, mode: "seccomp" | "ptrace" }} KernelFacts
 */

const FRAGMENT = join(ROOT, "test/lab/kernel/lab.config");
/** Counts as part of the cache key: raise it when the way of building changes the result. */
const RECIPE = "1";
/** Compiler steps of one full build, for the percentage only. */
const EXPECTED_STEPS = 1610;
const BUILD_PACKAGES = "gcc make flex bison bc libelf-dev xz-utils binutils perl".split(" ");
const BUILD_BYTES = 3 * 2 ** 30;
const MINUTE_MS = 60_000;
/** Suites that may carry a kernel source of 6.16 or newer, where UML learned its seccomp mode. */
const SUITES = ["testing", "unstable"];
const OLDEST_SOURCE = "6.16";
const SOURCE_PREFIX = "linux-source-";

/**
 * Directory of the newest cached kernel of the kind, or undefined.
 * @param {KernelKind} kind
 */
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
 * @param {KernelKind} kind
 * @throws {SetupError}
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
    if (kind === "debian") return await unpackNewest(work, logFile);
    return await unpackOldest(work, logFile);
  } finally {
    removeDirectory(work);
  }
}

/**
 * @param {string} work
 * @param {string} logFile
 */
async function buildOwn(work, logFile) {
  await installPackages(BUILD_PACKAGES, logFile);
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < BUILD_BYTES) {
    throw new SetupError(`building the lab kernel needs 3 GiB free in ${cacheDirectory()}`);
  }
  const { suite, name, version } = await newestSource(work, logFile);
  say(`building the lab kernel from ${name} ${version} (once; 10-20 minutes on two cores)`);
  const [deb = ""] = await suite.download([name], logFile);
  const source = join(work, "source");
  const objects = join(work, "objects");
  mkdirSync(source);
  mkdirSync(objects);
  await unpackSource(deb, source, logFile);
  await compile(source, objects, logFile);
  const directory = join(cacheDirectory("kernel"), `${fileName(version)}-own-${fragmentHash()}`);
  return publish(directory, { kind: "own", version, mode: "seccomp" }, (target) => {
    const linux = join(target, "linux");
    const stripped = spawnSync("strip", ["-o", linux, join(objects, "linux")]);
    if (stripped.status !== 0) copyFileSync(join(objects, "linux"), linux);
    copyFileSync(join(objects, ".config"), join(target, "config"));
  });
}

/**
 * The newest kernel source package that a suite has.
 * @param {string} work
 * @param {string} logFile
 */
async function newestSource(work, logFile) {
  for (const suiteName of SUITES) {
    const suite = new ForeignSuite(suiteName, work);
    await suite.update(logFile);
    const [name] = suite
      .search(`^${SOURCE_PREFIX}[0-9.]+$`)
      .filter((found) => compareVersions(found.slice(SOURCE_PREFIX.length), OLDEST_SOURCE) >= 0)
      .sort((a, b) =>
        compareVersions(b.slice(SOURCE_PREFIX.length), a.slice(SOURCE_PREFIX.length)),
      );
    const version = name === undefined ? undefined : suite.version(name);
    if (name !== undefined && version !== undefined) return { suite, name, version };
  }
  throw new SetupError(`the mirror has no kernel source of ${OLDEST_SOURCE} or newer`);
}

/**
 * The package holds one archive; it goes from pipe to pipe, so it needs no room of its own.
 * @param {string} deb
 * @param {string} target
 * @param {string} logFile
 */
async function unpackSource(deb, target, logFile) {
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar -xO --wildcards "*.tar.xz" | ' +
    'tar -xJ --strip-components=1 -C "$2"';
  const argv = ["sh", "-ec", script, "sh", deb, target];
  await runLogged("unpacking the kernel source", argv, { logFile, deadlineMs: 15 * MINUTE_MS });
  rmSync(deb);
}

/**
 * @param {string} source
 * @param {string} objects
 * @param {string} logFile
 */
async function compile(source, objects, logFile) {
  // A fixed banner: the same source and fragment give the same kernel on every machine.
  const env = {
    ...process.env,
    KBUILD_BUILD_USER: "lab",
    KBUILD_BUILD_HOST: "lab",
    KBUILD_BUILD_TIMESTAMP: "1970-01-01",
    KCONFIG_ALLCONFIG: FRAGMENT,
  };
  const make = ["nice", "make", "-C", source, `O=${objects}`, "ARCH=um"];
  await runLogged("configuring the lab kernel", [...make, "allnoconfig"], {
    env,
    logFile,
    deadlineMs: 10 * MINUTE_MS,
  });
  requireGranted(join(objects, ".config"));
  let steps = 0;
  await runLogged("building the lab kernel", [...make, `-j${cpus().length}`, "linux"], {
    env,
    logFile,
    deadlineMs: 120 * MINUTE_MS,
    progress: (line) => {
      if (/^\s+(CC|AS|AR|LD)\s/.test(line)) steps += 1;
    },
    status: () => `${Math.min(99, Math.round((100 * steps) / EXPECTED_STEPS))} %`,
  });
}

/**
 * An option that was renamed upstream, or whose conditions changed, would go missing in silence.
 * @param {string} configFile
 */
function requireGranted(configFile) {
  const granted = new Set(readFileSync(configFile, "utf8").split("\n"));
  const missing = readFileSync(FRAGMENT, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("CONFIG_") && !granted.has(line));
  if (missing.length > 0) {
    throw new SetupError(`this kernel does not grant what lab.config asks: ${missing.join(" ")}`);
  }
}

/**
 * @param {string} work
 * @param {string} logFile
 */
async function unpackNewest(work, logFile) {
  await installPackages(["patchelf"], logFile);
  const suite = new ForeignSuite("testing", work);
  say("fetching Debian's ready User-Mode-Linux kernel (38 MB)");
  await suite.update(logFile);
  const version = requireVersion(suite);
  const [kernel = "", libc = ""] = await suite.download(["user-mode-linux", "libc6"], logFile);
  const directory = join(cacheDirectory("kernel"), `${fileName(version)}-debian`);
  return publish(directory, { kind: "debian", version, mode: "seccomp" }, (target) => {
    unpackUml(kernel, target);
    // The newer suite's kernel needs the newer suite's C library, which it therefore takes along.
    const libraries = join(target, "libc");
    extractPackage(libc, libraries);
    const found = capture("find", [libraries, "-name", "ld-linux-x86-64.so.2", "-type", "f"]);
    const loader = (found ?? "").trim().replace(target, directory);
    const args = ["--set-interpreter", loader, "--set-rpath", dirname(loader)];
    const patched = spawnSync("patchelf", [...args, join(target, "linux")], { encoding: "utf8" });
    if (patched.status !== 0) throw new SetupError(`patchelf failed: ${patched.stderr}`);
  });
}

/**
 * @param {string} work
 * @param {string} logFile
 */
async function unpackOldest(work, logFile) {
  const suite = new ForeignSuite("bookworm", work);
  say("fetching Debian 12's User-Mode-Linux kernel 6.1 (36 MB)");
  await suite.update(logFile);
  const version = requireVersion(suite);
  const [kernel = ""] = await suite.download(["user-mode-linux"], logFile);
  const directory = join(cacheDirectory("kernel"), `${fileName(version)}-6.1`);
  return publish(directory, { kind: "6.1", version, mode: "ptrace" }, (target) => {
    unpackUml(kernel, target);
  });
}

/** @param {ForeignSuite} suite */
function requireVersion(suite) {
  const version = suite.version("user-mode-linux");
  if (version === undefined) throw new SetupError(`${suite.suite} has no package user-mode-linux`);
  return version;
}

/**
 * @param {string} deb
 * @param {string} target
 */
function unpackUml(deb, target) {
  const tree = join(target, "tree");
  extractPackage(deb, tree);
  renameSync(join(tree, "usr/bin/linux.uml"), join(target, "linux"));
  mkdirSync(join(target, "modules/lib"), { recursive: true });
  renameSync(join(tree, "usr/lib/uml/modules"), join(target, "modules/lib/modules"));
  removeDirectory(tree);
}

/**
 * Fills a directory beside its final place and moves it there whole: no half kernel is ever cached.
 * @param {string} directory
 * @param {KernelFacts} facts
 * @param {(target: string) => void} fill
 */
function publish(directory, facts, fill) {
  const target = mkdtempSync(join(cacheDirectory("kernel"), ".new-"));
  try {
    fill(target);
    chmodSync(target, 0o755);
    chmodSync(join(target, "linux"), 0o755);
    writeFileSync(join(target, "kernel.json"), `${JSON.stringify(facts, null, 2)}\n`);
    removeDirectory(directory);
    renameSync(target, directory);
  } finally {
    removeDirectory(target);
  }
  return directory;
}

function fragmentHash() {
  const hash = createHash("sha256").update(RECIPE).update(readFileSync(FRAGMENT));
  return hash.digest("hex").slice(0, 10);
}

/** @param {string} version */
function fileName(version) {
  return version.replace(/[^A-Za-z0-9.+~-]/g, "_");
}

/**
 * Orders dotted numbers; what follows the numbers does not count.
 * @param {string} a
 * @param {string} b
 */
function compareVersions(a, b) {
  const left = leadingNumbers(a);
  const right = leadingNumbers(b);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** @param {string} text */
function leadingNumbers(text) {
  return (/^[\d.]+/.exec(text)?.[0] ?? "").split(".").map(Number);
}
