/** Installs the npm packages to compare with; one of them compiles C++ when it is installed. */
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { run } from "./process.ts";

const DIRECTORY = join(import.meta.dirname, "../peers");

/** @returns the directory in which the packages resolve */
export async function installPeers(signal: AbortSignal): Promise<string> {
  if (!isCurrent()) {
    const environment = `npm_config_nodedir=${headersDirectory()}`;
    await run(["env", environment, "npm", "--prefix", DIRECTORY, "ci"], signal);
  }
  return DIRECTORY;
}

/** npm writes this file last, so its age is that of the whole installation. */
function isCurrent(): boolean {
  const installed = join(DIRECTORY, "node_modules/.package-lock.json");
  const wanted = join(DIRECTORY, "package-lock.json");
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs;
}

/** The headers come with the npm package that brings Node, so nothing is downloaded for them. */
function headersDirectory(): string {
  const nodePackage = createRequire(import.meta.url).resolve("node/package.json");
  const platformPackage = `node-${process.platform}-${process.arch}/package.json`;
  return dirname(createRequire(nodePackage).resolve(platformPackage));
}
