/**
 * The directory on disk: which files there are, and their bytes where they changed. Knows nothing
 * of what is in them.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";

import { toError } from "../lib/errors.ts";

/** What tells one version of a file from another without reading it. */
type Fingerprint = string;

/** What became of a file since it was read last. */
export type FileChange =
  | { readonly kind: "same" | "gone" }
  | { readonly kind: "read"; readonly bytes: Buffer; readonly modifiedWallMs: number }
  | { readonly kind: "failed"; readonly message: string }
  /** It changed while it was read; try again. */
  | { readonly kind: "busy" };

/** Not to wait for a writer, if the name became a pipe in the meantime. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** Larger ones are a mistake: ten thousand objects take about 5 MB. */
export const MAX_FILE_BYTES = 32 * 1024 * 1024;

export class ManifestDirectory {
  readonly #path: string;
  readonly #seen = new Map<string, Fingerprint>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Names of the manifest files; undefined = there is no such directory. @throws other failures */
  async list(): Promise<readonly string[] | undefined> {
    try {
      return (await readdir(this.#path)).filter(isManifestName).sort();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      if (codeOf(error) === "ENOTDIR") throw new Error("it is not a directory", { cause: error });
      throw error;
    }
  }

  /** Identity of the directory itself, which a swapped symlink changes; undefined = none. */
  async identity(): Promise<string | undefined> {
    try {
      const { dev, ino } = await stat(this.#path);
      return `${dev}:${ino}`;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Reads a file if it is not as it was at the last `read` or `failed`. */
  async read(name: string): Promise<FileChange> {
    try {
      const before = await stat(this.#pathOf(name));
      return this.#known(name, before) ?? (await this.#read(name));
    } catch (error) {
      return this.#failed(name, error);
    }
  }

  /**
   * The same without leaving the thread: for a file that the kernel has just told of. That happens
   * on local file systems, where a read does not hang, and saves seven trips to the thread pool.
   */
  readNow(name: string): FileChange {
    try {
      const file = openSync(this.#pathOf(name), READ_FLAGS);
      try {
        const before = fstatSync(file);
        const known = this.#known(name, before);
        if (known !== undefined) return known;
        const bytes = readFileSync(file);
        return this.#complete(name, bytes, { before, after: fstatSync(file) });
      } finally {
        closeSync(file);
      }
    } catch (error) {
      return this.#failed(name, error);
    }
  }

  /** Makes the next `read` of the file read it whatever it looks like. */
  forget(name: string): void {
    this.#seen.delete(name);
  }

  #pathOf(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** What can be said without reading; undefined = it has to be read. */
  #known(name: string, stats: Stats): FileChange | undefined {
    if (!stats.isFile()) return { kind: "gone" };
    if (this.#seen.get(name) === fingerprint(stats)) return { kind: "same" };
    if (stats.size <= MAX_FILE_BYTES) return undefined;
    this.#seen.set(name, fingerprint(stats));
    const limit = MAX_FILE_BYTES / 1024 / 1024;
    return {
      kind: "failed",
      message: `is larger than ${limit} MiB; split it into several files`,
    };
  }

  async #read(name: string): Promise<FileChange> {
    const file = await open(this.#pathOf(name), READ_FLAGS);
    try {
      const before = await file.stat();
      const bytes = await file.readFile();
      return this.#complete(name, bytes, { before, after: await file.stat() });
    } finally {
      await file.close();
    }
  }

  #complete(
    name: string,
    bytes: Buffer,
    { before, after }: { readonly before: Stats; readonly after: Stats },
  ): FileChange {
    if (fingerprint(before) !== fingerprint(after)) return { kind: "busy" };
    this.#seen.set(name, fingerprint(after));
    return { kind: "read", bytes, modifiedWallMs: after.mtimeMs };
  }

  #failed(name: string, error: unknown): FileChange {
    this.forget(name);
    if (isMissing(error)) return { kind: "gone" };
    return { kind: "failed", message: `cannot be read: ${toError(error).message}` };
  }
}

/** Hidden names are editors' and ConfigMap mounts' own. */
export function isManifestName(name: string): boolean {
  return /^[^.].*\.(yaml|yml|json)$/.test(name);
}

function fingerprint({ dev, ino, size, mtimeMs, ctimeMs }: Stats): Fingerprint {
  return `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Errors of file system calls carry the errno name as `code`. */
function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
