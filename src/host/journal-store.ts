/**
 * The journal's file: one per node, in the state directory. Written as a whole beside the old one,
 * flushed and renamed, so that a reader sees either. Callers hold the journal lock (`lock.ts`)
 * from the read to the write; a mere look needs none.
 */
import { mkdir, open, readFile, readlink, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toError } from "../lib/errors.ts";
import { JournalError } from "./errors.ts";
import {
  EMPTY_JOURNAL,
  type KernelWorld,
  type NodeJournal,
  formatJournal,
  parseJournal,
  sameJournal,
} from "./journal.ts";

const FILE_NAME = "journal.json";

/**
 * What a load found. `none`: no file. `other-boot`: the kernel state it spoke of ended with a
 * reboot. `other-namespace`: it speaks of another network namespace. All but `file` are empty.
 */
export type JournalOrigin = "file" | "none" | "other-boot" | "other-namespace";

export interface LoadedJournal {
  readonly journal: NodeJournal;
  readonly origin: JournalOrigin;
}

/** Where this process's kernel state lives. @throws Error when /proc is not there */
export async function currentWorld(proc = "/proc"): Promise<KernelWorld> {
  const bootId = await readFile(join(proc, "sys/kernel/random/boot_id"), "latin1");
  return { bootId: bootId.trim(), networkNamespace: await readlink(join(proc, "self/ns/net")) };
}

interface CachedFile {
  readonly stamp: string;
  readonly loaded: LoadedJournal;
}

/** The journal file of one state directory, as one process sees it. */
export class JournalStore {
  /** Path of the file. */
  readonly path: string;
  readonly #world: KernelWorld;
  #cached: CachedFile | undefined;

  /** @param directory created at the first write */
  constructor(directory: string, world: KernelWorld) {
    this.path = join(directory, FILE_NAME);
    this.#world = world;
  }

  /**
   * Reads the journal; an unchanged file is not read again.
   * @throws JournalError when the file is there and cannot be used
   */
  async load(): Promise<LoadedJournal> {
    const stamp = await this.#stamp();
    if (stamp === undefined) return { journal: EMPTY_JOURNAL, origin: "none" };
    if (this.#cached?.stamp === stamp) return this.#cached.loaded;
    const { world, journal } = parseJournal(await this.#read(), this.path);
    const origin = this.#originOf(world);
    const loaded = { journal: origin === "file" ? journal : EMPTY_JOURNAL, origin };
    this.#cached = { stamp, loaded };
    return loaded;
  }

  /**
   * Writes the journal unless the file says the same. When it resolves, a crash of the machine
   * does not lose it.
   * @returns whether it was written
   * @throws JournalError when the file system refuses
   */
  async save(journal: NodeJournal): Promise<boolean> {
    if (await this.#says(journal)) return false;
    try {
      await writeAtomically(this.path, formatJournal({ world: this.#world, journal }));
    } catch (thrown) {
      throw this.#unreadable("cannot be written", thrown);
    }
    const stamp = await this.#stamp();
    this.#cached = stamp === undefined ? undefined : { stamp, loaded: { journal, origin: "file" } };
    return true;
  }

  /** Deletes the file: after a clean-up nothing of ours is left to remember. */
  async remove(): Promise<void> {
    this.#cached = undefined;
    await rm(this.path, { force: true });
  }

  /**
   * Moves a file that cannot be used out of the way, for a person to look at.
   * @returns where it is now
   */
  async setAside(suffix: "broken" | "other-namespace"): Promise<string> {
    const aside = await freeName(`${this.path}.${suffix}`);
    await rename(this.path, aside);
    this.#cached = undefined;
    return aside;
  }

  /** Whether the file, or its absence, says just this. */
  async #says(journal: NodeJournal): Promise<boolean> {
    const stamp = await this.#stamp();
    if (stamp === undefined) return sameJournal(journal, EMPTY_JOURNAL);
    if (this.#cached?.stamp !== stamp) return false;
    const { loaded } = this.#cached;
    return loaded.origin === "file" && sameJournal(loaded.journal, journal);
  }

  #originOf(world: KernelWorld): JournalOrigin {
    if (world.bootId !== this.#world.bootId) return "other-boot";
    return world.networkNamespace === this.#world.networkNamespace ? "file" : "other-namespace";
  }

  async #stamp(): Promise<string | undefined> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.path, { bigint: true });
      return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw this.#unreadable("cannot be read", thrown);
    }
  }

  async #read(): Promise<string> {
    try {
      return await readFile(this.path, "utf8");
    } catch (thrown) {
      throw this.#unreadable("cannot be read", thrown);
    }
  }

  #unreadable(what: string, thrown: unknown): JournalError {
    const cause = toError(thrown);
    return new JournalError(this.path, "unreadable", `${what}: ${cause.message}`, { cause });
  }
}

async function writeAtomically(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  // The lock makes us the only writer, so a fixed name leaves at most one file behind.
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function freeName(wanted: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}.${n}`;
    try {
      await stat(name);
    } catch (thrown) {
      if (isMissing(thrown)) return name;
      throw thrown;
    }
  }
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
}
