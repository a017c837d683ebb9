/**
 * Objects from a directory of YAML and JSON files, watched. Nothing that happens to the directory
 * can turn into an empty wish: see `ManifestStore` for what a change of files means.
 *
 * Changes come from the kernel's file notifications by name; a scan of the whole directory every
 * few seconds, or less often where that takes long, finds what those miss (network file systems, a
 * swapped symlink, a full event queue).
 */
import { watch, type FSWatcher } from "node:fs";
import { basename } from "node:path";

import { isAbort, throwIfAborted } from "../lib/abort.ts";
import { systemClock, type Clock } from "../lib/clock.ts";
import { toError } from "../lib/errors.ts";
import { DirtyFiles } from "./dirty-files.ts";
import { isManifestName, ManifestDirectory, type FileChange } from "./manifest-directory.ts";
import { failedManifest, looksUnfinished, readManifest } from "./manifest-file.ts";
import { ManifestStore } from "./manifest-store.ts";
import type { ObjectSource, SourceProblem, SourceState } from "./source.ts";

export interface ManifestSourceOptions {
  readonly directory: string;
  readonly clock?: Clock;
  /** How long an object must be gone before it counts as removed. Default 1,000 ms. */
  readonly removalGraceMs?: number;
  /** Time without a write before a file that is written in place is read. Default 10 ms. */
  readonly quietMs?: number;
  /** Time between scans of the whole directory. Default 5,000 ms. */
  readonly rescanMs?: number;
  /** Age from which on a file without a final newline is taken as complete. Default 1,000 ms. */
  readonly unfinishedMs?: number;
}

/** A source over `directory`. It may not exist yet; it is then read when it appears. */
export function createManifestSource(options: ManifestSourceOptions): ObjectSource {
  return new ManifestSource(options);
}

/** A scan takes at most this part of the time: 1/200. */
const SCAN_SHARE = 200;

/** Files read at a time: enough to keep the disk busy, few enough for the thread pool. */
const PARALLEL_READS = 16;

class ManifestSource implements ObjectSource {
  readonly #options: Required<ManifestSourceOptions>;
  readonly #directory: ManifestDirectory;
  readonly #store: ManifestStore;
  readonly #dirty = new DirtyFiles();
  /** The name under which notifications tell of the directory itself. */
  readonly #ownName: string;
  readonly #listeners = new Set<() => void>();
  #state: SourceState = { objects: undefined, problems: [] };
  #directoryProblem: SourceProblem | undefined;
  #watchProblem: SourceProblem | undefined;
  #watcher: FSWatcher | undefined;
  #watched: string | undefined;
  #wake: (() => void) | undefined;
  #rescanAtMs = 0;
  #recheckAtMs: number | undefined;

  constructor(options: ManifestSourceOptions) {
    this.#options = {
      clock: systemClock,
      removalGraceMs: 1_000,
      quietMs: 10,
      rescanMs: 5_000,
      unfinishedMs: 1_000,
      ...options,
    };
    this.#ownName = basename(options.directory);
    this.#directory = new ManifestDirectory(options.directory);
    this.#store = new ManifestStore(this.#options.removalGraceMs);
  }

  async start(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal, `reading ${this.#options.directory}`);
    // Watched before it is read, so that no change falls between.
    await this.#scan("first");
    void this.#run(signal);
  }

  current(): SourceState {
    return this.#state;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#sleep(signal);
      if (signal.aborted) break;
      const nowMs = this.#now();
      if (nowMs >= this.#rescanAtMs) await this.#scan("later");
      this.#readNoticed();
      this.#publish();
    }
    this.#watcher?.close();
  }

  /** Reads the files that notifications told of. */
  #readNoticed(): void {
    for (const name of this.#dirty.takeReady(this.#now())) {
      this.#take(name, this.#directory.readNow(name), "later");
    }
  }

  /** Until something is due or `#wake` is called. */
  async #sleep(signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const due = Math.min(
      this.#rescanAtMs,
      this.#dirty.nextMs() ?? Infinity,
      this.#recheckAtMs ?? Infinity,
    );
    try {
      const delayMs = Math.max(0, due - this.#now());
      await this.#options.clock.sleep(delayMs, AbortSignal.any([signal, woken.signal]));
    } catch (error) {
      if (!isAbort(error)) throw error;
    } finally {
      this.#wake = undefined;
    }
  }

  /** Looks at the directory as a whole. A directory that cannot be read changes nothing. */
  async #scan(turn: "first" | "later"): Promise<void> {
    const startedMs = this.#now();
    // A notice that comes during the scan may ask for the next one.
    this.#rescanAtMs = Infinity;
    try {
      await this.#watchAgain();
      const names = await this.#directory.list();
      this.#directoryProblem = undefined;
      if (names === undefined) {
        const until =
          this.#state.objects === undefined ? "nothing is done" : "the last objects stay";
        this.#fail(`does not exist; ${until} until it does`);
      } else {
        const gone = new Set(this.#fileNames()).difference(new Set(names));
        await this.#readFiles([...names, ...gone], turn);
      }
    } catch (error) {
      this.#fail(`cannot be read: ${toError(error).message}`);
    }
    const endedMs = this.#now();
    // Without notifications the scan is all there is.
    const share = this.#watcher === undefined ? 1 : SCAN_SHARE;
    const pauseMs = Math.max(this.#options.rescanMs, share * (endedMs - startedMs));
    this.#rescanAtMs = Math.min(this.#rescanAtMs, endedMs + pauseMs);
    if (turn === "first") this.#publish();
  }

  #fail(message: string): void {
    this.#directoryProblem = { severity: "Error", where: this.#options.directory, message };
  }

  #fileNames(): Iterable<string> {
    return new Set<string>().union(this.#store.fileNames());
  }

  async #readFiles(names: readonly string[], turn: "first" | "later"): Promise<void> {
    for (let at = 0; at < names.length; at += PARALLEL_READS) {
      if (turn === "later" && this.#dirty.isDue(this.#now())) {
        // Somebody waits for these; the scan only looks for what was missed.
        this.#readNoticed();
        this.#publish();
      }
      const batch = names.slice(at, at + PARALLEL_READS);
      const changes = await Promise.all(
        batch.map(async (name) => ({ name, change: await this.#directory.read(name) })),
      );
      // In the order of the names, so that the order of the objects is no accident.
      for (const { name, change } of changes) this.#take(name, change, turn);
    }
  }

  #take(name: string, change: FileChange, turn: "first" | "later"): void {
    switch (change.kind) {
      case "same":
        return;
      case "gone":
        if (this.#store.file(name) !== undefined) this.#store.set(name, undefined);
        return;
      case "failed":
        this.#store.set(name, failedManifest(change.message));
        return;
      case "busy":
        this.#dirty.add(name, this.#now() + this.#options.quietMs);
        // Without a version from before, its objects are unknown and must not count as gone.
        if (this.#store.file(name) === undefined) {
          this.#store.set(name, failedManifest("is being written; it is read again in a moment"));
        }
        return;
      case "read":
        if (turn === "later" && this.#mayGrow(name, change)) return;
        this.#store.set(name, readManifest(change.bytes, this.#store.file(name)));
    }
  }

  /** A young file without an end may be half-written: looks again when it is older. */
  #mayGrow(name: string, change: { bytes: Buffer; modifiedWallMs: number }): boolean {
    const { clock, unfinishedMs } = this.#options;
    const ageMs = clock.wallMs() - change.modifiedWallMs;
    // A file from the future, or an old one, says nothing about writing going on.
    if (!looksUnfinished(change.bytes) || ageMs < 0 || ageMs >= unfinishedMs) return false;
    this.#directory.forget(name);
    this.#dirty.add(name, this.#now() + unfinishedMs - ageMs);
    return true;
  }

  /** Follows the directory when it was replaced by another one of the same name. */
  async #watchAgain(): Promise<void> {
    const identity = await this.#directory.identity();
    if (identity === this.#watched && this.#watcher !== undefined) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = identity;
    if (identity === undefined) return;
    try {
      this.#watcher = watch(this.#options.directory, (event, name) => this.#notice(event, name));
      this.#watcher.on("error", (error) => this.#unwatch(error));
      this.#watchProblem = undefined;
    } catch (error) {
      this.#unwatch(toError(error));
    }
  }

  #unwatch(error: Error): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    const seconds = this.#options.rescanMs / 1000;
    this.#watchProblem = {
      severity: "Notice",
      where: this.#options.directory,
      message: `cannot be watched, so changes are seen every ${seconds} s: ${error.message}`,
    };
  }

  #notice(event: string, name: string | null): void {
    if (name !== null && isManifestName(name)) {
      const quietMs = event === "change" ? this.#options.quietMs : 0;
      this.#dirty.add(name, this.#now() + quietMs);
    } else if (name === null || name.startsWith("..") || name === this.#ownName) {
      // `..data` of a ConfigMap, the directory itself, or a name that is not told.
      this.#rescanAtMs = Math.min(this.#rescanAtMs, this.#now() + this.#options.quietMs);
    } else {
      return;
    }
    this.#wake?.();
  }

  #publish(): void {
    const settled = this.#store.settle(this.#now());
    this.#recheckAtMs = settled.recheckAtMs;
    const own = [this.#directoryProblem, this.#watchProblem].filter((p) => p !== undefined);
    const state: SourceState = {
      objects: settled.objects,
      problems: own.length === 0 ? settled.problems : [...own, ...settled.problems],
    };
    if (sameState(this.#state, state)) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  #now(): number {
    return this.#options.clock.monotonicMs();
  }
}

function sameState(a: SourceState, b: SourceState): boolean {
  return (
    a.objects === b.objects &&
    a.problems.length === b.problems.length &&
    a.problems.every(
      ({ severity, where, message }, i) =>
        b.problems[i]?.severity === severity &&
        b.problems[i].where === where &&
        b.problems[i].message === message,
    )
  );
}
