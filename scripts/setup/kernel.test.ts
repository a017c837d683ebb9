import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { cachedKernel } from "./kernel.mjs";

let cache = "";

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "lvs-cache-"));
  vi.stubEnv("XDG_CACHE_HOME", cache);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});

function place(name: string, complete = true): string {
  const directory = join(cache, "lvs-operator/kernel", name);
  mkdirSync(directory, { recursive: true });
  if (complete) writeFileSync(join(directory, "kernel.json"), "{}");
  return directory;
}

it("an empty cache has no kernel", () => {
  expect(cachedKernel("own")).toBeUndefined();
  expect(cachedKernel("debian")).toBeUndefined();
});

it("the newest version is taken, by numbers and not by letters", () => {
  place("7.2um1-debian");
  const newest = place("7.10um1-debian");
  place("6.16um3-debian");
  place("7.11um1-debian", false);
  expect(cachedKernel("debian")).toBe(newest);
});

it("a kernel that was built from other options does not count", () => {
  place("7.2.12-1-own-0123456789");
  expect(cachedKernel("own")).toBeUndefined();
});

it("kinds are kept apart", () => {
  place("7.2um1-debian");
  const oldest = place("6.1um4-6.1");
  expect(cachedKernel("6.1")).toBe(oldest);
  expect(readdirSync(join(cache, "lvs-operator"))).toEqual(["kernel"]);
});
