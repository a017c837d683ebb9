/**
 * A Go tool chain for the test that compares our CEL rules with the API server's own code. Debian
 * 12's is too old for that, so a newer suite's is unpacked into the cache when the machine has none.
 */
import { existsSync, mkdtempSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { extractPackage, ForeignSuite, removeDirectory } from "./apt.mjs";
import { cacheDirectory, capture, findProgram, say, SetupError } from "./system.mjs";

/** Oldest Go 1.x that the API server's code compiles with. */
const OLDEST_MINOR = 26;

/**
 * Directory of a fitting `go` program: the machine's own, or one in the cache.
 * @returns {Promise<string | undefined>} undefined when the one on the PATH fits
 */
export async function ensureGo() {
  const own = findProgram("go");
  if (own !== undefined && minorOf(own) >= OLDEST_MINOR) return undefined;
  const directory = join(cacheDirectory("go"), "current");
  const bin = join(directory, "bin");
  if (existsSync(join(bin, "go")) && minorOf(join(bin, "go")) >= OLDEST_MINOR) return bin;
  await unpackGo(directory);
  return bin;
}

/** @param {string} program */
function minorOf(program) {
  return Number(/go1\.(\d+)/.exec(capture(program, ["version"]) ?? "")?.[1] ?? 0);
}

/** @param {string} directory */
async function unpackGo(directory) {
  const logFile = join(cacheDirectory("logs"), "go.log");
  writeFileSync(logFile, "");
  const work = mkdtempSync(join(cacheDirectory("work"), "go-"));
  try {
    const suite = new ForeignSuite("testing", work);
    say("fetching a Go tool chain from Debian testing (once; 60 MB)");
    await suite.update(logFile);
    const [newest] = suite
      .search("^golang-1\\.[0-9]+-go$")
      .map((name) => Number(name.split(/[.-]/)[2]))
      .filter((minor) => minor >= OLDEST_MINOR)
      .sort((a, b) => b - a);
    if (newest === undefined) throw new SetupError(`Debian testing has no Go 1.${OLDEST_MINOR}`);
    const names = [`golang-1.${newest}-go`, `golang-1.${newest}-src`];
    for (const deb of await suite.download(names, logFile)) extractPackage(deb, join(work, "tree"));
    // The program finds its library by links that lead from usr/lib to usr/share.
    removeDirectory(join(cacheDirectory("go"), "tree"));
    renameSync(join(work, "tree"), join(cacheDirectory("go"), "tree"));
    removeDirectory(directory);
    symlinkSync(join("tree/usr/lib", `go-1.${newest}`), directory);
  } finally {
    removeDirectory(work);
  }
}
