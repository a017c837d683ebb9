/**
 * The programs of `lifetime.test.ts` again, with the addon built under AddressSanitizer and
 * UndefinedBehaviorSanitizer. Node itself is not instrumented, so its own leaks are not judged.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runProgram } from "./run-program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SOURCES = ["native/addon.c", "native/sockets.c", "native/sockets.h"];
const FLAGS = ["-shared", "-fPIC", "-g", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Werror"];
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];
const DEFINES = ["-DNODE_GYP_MODULE_NAME=lvs_sockets", "-DBUILDING_NODE_EXTENSION"];

function cc(...args: string[]): string {
  return execFileSync("cc", args, { cwd: root, encoding: "utf8" }).trim();
}

/** Directory of the instrumented build, in the layout that the loader expects. */
function buildInstrumented(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const hash = createHash("sha256").update(cc("--version")).update(FLAGS.join());
  for (const source of SOURCES) hash.update(readFileSync(join(root, source)));
  const directory = join(cache, "lvs-operator", `addon-asan-${hash.digest("hex").slice(0, 16)}`);
  const file = join(directory, "build", "Release", "lvs_sockets.node");
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    const headers = `node_modules/node/node_modules/node-linux-${process.arch}/include/node`;
    const partial = `${file}.${process.pid}`;
    const sources = SOURCES.filter((source) => source.endsWith(".c"));
    cc(...FLAGS, ...SANITIZERS, ...DEFINES, `-I${headers}`, ...sources, "-o", partial);
    renameSync(partial, file);
  }
  return directory;
}

function environment(): Record<string, string> {
  const libraries = ["libasan.so", "libubsan.so"].map((name) => cc(`-print-file-name=${name}`));
  return {
    LVS_OPERATOR_PREBUILD: buildInstrumented(),
    LD_PRELOAD: libraries.join(" "),
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1",
    UBSAN_OPTIONS: "print_stacktrace=1",
  };
}

describe("the addon under AddressSanitizer", { timeout: 240_000 }, () => {
  it("is the instrumented build in these tests", async () => {
    await expect(runProgram("which", [], environment())).resolves.toEqual({
      addon: expect.stringContaining("addon-asan-"),
      instrumented: true,
    });
  });

  it("touches no memory of others in 40,000 wrong calls", async () => {
    const result = await runProgram("misuse", ["40000"], environment());
    expect(result).toMatchObject({ calls: 40_000, left: 0 });
  });

  it("uses nothing after it was collected", async () => {
    await expect(runProgram("garbage", [], environment())).resolves.toMatchObject({ left: 0 });
  });

  it("uses nothing after its worker has ended", async () => {
    await expect(runProgram("workers", [], environment())).resolves.toMatchObject({ left: 0 });
  });
});
