/** Where the lab finds the project and keeps its state. */
import { mkdirSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";

/** The project's root directory. */
export const PROJECT_ROOT = resolve(import.meta.dirname, "../..");

/** `lvsctl` and `lvs-operator` by their names. */
export const LAB_BIN = join(import.meta.dirname, "bin");

/** Programs of the project's npm packages, the pinned Node among them. */
export const NPM_BIN = join(PROJECT_ROOT, "node_modules/.bin");

/** Scripts that run inside the guest. */
export const GUEST_SCRIPTS = join(import.meta.dirname, "guest");

/** Directory in the user's cache, made when missing; everything in it can be made again. */
export function cacheDirectory(...parts: readonly string[]): string {
  const configured = process.env["XDG_CACHE_HOME"] ?? "";
  const base = configured === "" ? join(homedir(), ".cache") : configured;
  const directory = join(base, "lvs-operator", ...parts);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Directory of running guests, one sub-directory each. Short, because socket paths are. */
export function stateDirectory(): string {
  const directory = join(tmpdir(), `lvs-lab-${userInfo().uid}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/** The words as one line for a POSIX shell. */
export function shellQuote(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
}
