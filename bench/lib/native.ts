/** Builds bench/native with the machine's C compiler; the result is kept in the user's cache. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

import type { NativeTools } from "./measure.ts";
import { run } from "./process.ts";

const SOURCES = join(import.meta.dirname, "../native");

/**
 * Compiles what the cache does not have for exactly these sources.
 * @param cacheDirectory made when it is missing
 */
export async function buildNativeTools(
  cacheDirectory: string,
  signal: AbortSignal,
): Promise<NativeTools> {
  const directory = join(cacheDirectory, `bench-native-${await hashOfSources()}`);
  await mkdir(directory, { recursive: true });
  return {
    floor: await build("floor", directory, signal),
    stopwatch: await build("stopwatch", directory, signal),
  };
}

async function build(program: string, directory: string, signal: AbortSignal): Promise<string> {
  const target = join(directory, program);
  if (existsSync(target)) return target;
  const unfinished = `${target}.${process.pid}`;
  const source = join(SOURCES, `${program}.c`);
  await run(
    ["cc", "-O2", "-Wall", "-Wextra", "-Wno-sign-compare", "-o", unfinished, source],
    signal,
  );
  await rename(unfinished, target); // another run may look for it at the same time
  return target;
}

async function hashOfSources(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of (await readdir(SOURCES)).toSorted()) {
    hash.update(name).update(await readFile(join(SOURCES, name)));
  }
  return hash.digest("hex").slice(0, 16);
}
