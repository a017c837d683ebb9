/**
 * Settings that are files: all but those of single IPv4 interfaces. A process sees the files of its
 * own network namespace, whatever namespace its sockets are in.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KernelRejectedError } from "../netlink/errors.ts";
import { type SysctlKey, type SysctlValue, sysctlId } from "./model.ts";
import { parseSysctlValue } from "./sysctl-semantics.ts";

export interface SysctlFileOptions {
  /** Directory of all settings. Default `/proc/sys`. */
  readonly root?: string | undefined;
  /** Directory of the IPVS settings, where a pod has them mounted elsewhere. */
  readonly ipvsDirectory?: string | undefined;
}

export class SysctlFiles {
  readonly #root: string;
  readonly #ipvsDirectory: string;

  constructor(options: SysctlFileOptions = {}) {
    this.#root = options.root ?? "/proc/sys";
    this.#ipvsDirectory = options.ipvsDirectory ?? join(this.#root, "net/ipv4/vs");
  }

  /**
   * @returns undefined when there is no such setting
   * @throws KernelRejectedError with the errno of a file that is there and cannot be read
   */
  async read(key: SysctlKey): Promise<SysctlValue | undefined> {
    try {
      return parseSysctlValue(await readFile(this.#path(key), "latin1"));
    } catch (thrown) {
      const errno = errnoOf(thrown);
      if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
      throw rejected("read", key, thrown);
    }
  }

  /** @throws KernelRejectedError with the errno of the file */
  async write(key: SysctlKey, value: SysctlValue): Promise<void> {
    try {
      // Without O_CREAT: a missing setting is ENOENT, never a new file.
      await writeFile(this.#path(key), `${value}\n`, { flag: "r+" });
    } catch (thrown) {
      throw rejected(`set ${String(value)} on`, key, thrown);
    }
  }

  #path(key: SysctlKey): string {
    if (key.kind === "vs") return join(this.#ipvsDirectory, key.name);
    if (key.kind === "conf") {
      return join(this.#root, "net/ipv4/conf", key.interfaceName, key.name);
    }
    return join(this.#root, "net", key.kind, key.name);
  }
}

function errnoOf(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" ? code : "EIO";
}

function rejected(what: string, key: SysctlKey, cause: unknown): KernelRejectedError {
  return new KernelRejectedError(`${what} ${sysctlId(key)}`, errnoOf(cause), "", { cause });
}
