/**
 * What this kernel has of IPVS, without loading anything: the kernel loads modules itself when it
 * is asked for them, and a node without them is its admin's to change.
 */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

export interface KernelModules {
  /** The kernel speaks IPVS in this network namespace. */
  readonly ipvs: boolean;
  /** Of IPVS, for example `1.2.1`; undefined where it is not loaded. */
  readonly ipvsVersion: string | undefined;
  /** Size of the connection table; undefined where it has no fixed one (7.1 and newer). */
  readonly connectionTableSize: number | undefined;
  /** Names of the `net.ipv4.vs` settings. */
  readonly ipvsSettings: ReadonlySet<string>;
  /** Loaded modules. What is built into the kernel is not among them. */
  readonly loaded: ReadonlySet<string>;
}

/** @param proc where procfs is mounted @throws Error when it is there and cannot be read */
export async function readModules(proc = "/proc"): Promise<KernelModules> {
  const [table, modules, settings] = await Promise.all([
    readOptional(join(proc, "net/ip_vs")),
    readOptional(join(proc, "modules")),
    listOptional(join(proc, "sys/net/ipv4/vs")),
  ]);
  const header = /^IP Virtual Server version (\S+)(?: \(size=(\d+)\))?/.exec(table ?? "");
  const loaded = (modules ?? "").split("\n").flatMap((line) => line.split(" ", 1)[0] || []);
  return {
    ipvs: table !== undefined,
    ipvsVersion: header?.[1],
    connectionTableSize: Number(header?.[2] ?? 0) || undefined,
    ipvsSettings: new Set(settings),
    loaded: new Set(loaded),
  };
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function listOptional(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
