/**
 * Builds the socket addon (native/) into build/Release, offline, with the headers that the npm
 * package `node` ships. Does nothing when the build is newer than its sources or when a prebuilt
 * addon for this machine is there. Plain JavaScript without dependencies, so that any Node 20 or
 * newer runs it at install time.
 *
 *   node scripts/build-addon.mjs           build when needed
 *   node scripts/build-addon.mjs --force   build anyway
 *   node scripts/build-addon.mjs --prebuild   write prebuilds/ for a release of this architecture
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(join(root, "package.json"));
const addon = join(root, "build", "Release", "lvs_sockets.node");
const stamp = join(root, "build", "lvs_sockets.sha256");
const prebuilt = join(root, "prebuilds", `linux-${process.arch}`, "lvs-operator.node");
const prebuiltStamp = join(dirname(prebuilt), "lvs_sockets.sha256");
const sources = ["binding.gyp", "native/addon.c", "native/sockets.c", "native/sockets.h"];

// What node-gyp needs beyond npm packages, by program and by the Debian package that has it.
const TOOLS = [
  { program: "gcc", alternatives: ["cc"], debian: "gcc libc6-dev" },
  { program: "make", alternatives: [], debian: "make" },
  { program: "python3", alternatives: [], debian: "python3" },
];

process.exitCode = main();

function main() {
  if (process.platform !== "linux") return fail("the socket addon builds on Linux only");
  const release = process.argv.includes("--prebuild");
  if (!release && !process.argv.includes("--force")) {
    const reason = reasonToSkip();
    if (reason !== undefined) return say(`socket addon: ${reason}`);
  }
  if (!canResolve("node-gyp/package.json")) {
    return fail("node-gyp is not installed: run npm install with development dependencies");
  }
  const missing = TOOLS.filter((tool) => ![tool.program, ...tool.alternatives].some(runs));
  if (missing.length > 0) {
    const names = missing.map((tool) => tool.program).join(", ");
    const packages = missing.map((tool) => tool.debian).join(" ");
    return fail(
      `the socket addon needs ${names}; on Debian and Ubuntu: apt-get install --no-install-recommends ${packages}`,
    );
  }
  const headers = findHeaders();
  if (headers === undefined) {
    return fail("no Node headers found: run npm install first (the package `node` has them)");
  }
  return release ? prebuild(headers) : build(headers);
}

function reasonToSkip() {
  if (existsSync(addon) && existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint()) {
    return loads(addon) ? "up to date" : undefined;
  }
  const ready = existsSync(prebuiltStamp) && readFileSync(prebuiltStamp, "utf8") === fingerprint();
  if (!existsSync(addon) && ready && loads(prebuilt)) return `using ${prebuilt}`;
  return undefined;
}

/** Changes with everything that goes into the binary; Node's version does not (Node-API). */
function fingerprint() {
  const hash = createHash("sha256");
  for (const source of sources) hash.update(readFileSync(join(root, source)));
  hash.update(process.arch);
  return hash.digest("hex");
}

/** @param {string} file */
function loads(file) {
  if (!existsSync(file)) return false;
  try {
    require(file);
    return true;
  } catch {
    return false; // another libc or architecture
  }
}

/** @param {string} name */
function canResolve(name) {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} program */
function runs(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

/** The directory that holds include/node with node_api.h and uv.h. */
function findHeaders() {
  const platform = `node-linux-${process.arch}`;
  const candidates = [
    join(root, "node_modules", "node", "node_modules", platform),
    join(root, "node_modules", platform),
    dirname(dirname(process.execPath)), // an unpacked Node release
  ];
  return candidates.find((directory) => existsSync(join(directory, "include/node/uv.h")));
}

/** @param {string} headers */
function build(headers) {
  say("socket addon: compiling native/ (about 3 s)");
  rmSync(stamp, { force: true });
  const gyp = require.resolve("node-gyp/bin/node-gyp.js");
  // Not `rebuild`: that removes the old addon first, under the feet of whoever is loading it.
  const compiled = runTool([gyp, "configure", "build", "--loglevel=warn"], headers);
  return compiled ? finish(addon, stamp) : 1;
}

/** @param {string} headers */
function prebuild(headers) {
  say(`socket addon: writing ${prebuilt}`);
  const tool = require.resolve("prebuildify/bin.js");
  const compiled = runTool([tool, "--napi", "--strip", "-t", headersVersion(headers)], headers);
  return compiled ? finish(prebuilt, prebuiltStamp) : 1;
}

/**
 * The `npm_config_nodedir` of the environment is what keeps node-gyp from downloading headers.
 * @param {readonly string[]} args
 * @param {string} headers
 */
function runTool(args, headers) {
  const result = spawnSync(nodeForGyp(), args, {
    cwd: root,
    encoding: "utf8",
    // The addon is C alone, so the C compiler links it: a small machine has no C++ compiler.
    env: { CXX: process.env["CC"] ?? "cc", ...process.env, npm_config_nodedir: headers },
  });
  if (result.status === 0) return true;
  process.stderr.write(
    `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`,
  );
  fail("the socket addon does not compile; the compiler's output is above");
  return false;
}

/**
 * @param {string} file
 * @param {string} stampFile
 */
function finish(file, stampFile) {
  if (!loads(file)) return fail(`${file} was built but does not load`);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, fingerprint());
  return say(`socket addon: built ${file}`);
}

/** @param {string} headers */
function headersVersion(headers) {
  const text = readFileSync(join(headers, "include/node/node_version.h"), "utf8");
  return ["MAJOR", "MINOR", "PATCH"]
    .map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1] ?? "0")
    .join(".");
}

/** node-gyp wants a newer Node than this script; the npm package `node` has one. */
function nodeForGyp() {
  const packaged = join(root, "node_modules", "node", "bin", "node");
  return runs(packaged) ? packaged : process.execPath;
}

/** @param {string} message */
function say(message) {
  process.stdout.write(`${message}\n`);
  return 0;
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`);
  return 1;
}
