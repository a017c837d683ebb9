/**
 * All files of a directory as one set of objects. Decides what a change of files means:
 *
 * - an object whose newest version is refused, or that is in two places, keeps its last good one;
 * - an object that is gone from a file that cannot be wholly read is kept;
 * - an object that is gone for good leaves after a while, as it may be on its way to another file;
 * - when no object is left at all, none leaves, unless an empty List says that this is meant.
 *
 * Pure state, no I/O and no clock. Work is in proportion to what changed.
 */
import { isDeepStrictEqual } from "node:util";

import type { Condition, ObjectKey } from "../api/conditions.ts";
import { listDifference } from "../lib/list-difference.ts";
import type { ManifestFile } from "./manifest-file.ts";
import { ManifestReport } from "./manifest-report.ts";
import { ObjectLedger } from "./object-ledger.ts";
import type { ObjectSet, SourceProblem, SourceState } from "./source.ts";
import type { ManifestDocument, ManifestItem } from "./yaml-document.ts";

export interface SettledState extends SourceState {
  /** Monotonic time at which a removal becomes due, milliseconds. */
  readonly recheckAtMs: number | undefined;
}

export class ManifestStore {
  readonly #removalGraceMs: number;
  readonly #files = new Map<string, ManifestFile>();
  readonly #report = new ManifestReport(this.#files);
  /** Files that cannot be used at all, and why. */
  readonly #failures = new Map<string, string>();
  readonly #ledger = new ObjectLedger();
  /** Documents that have something to say themselves, with their file. */
  readonly #noisy = new Map<ManifestDocument, string>();
  /** Files that could not be wholly read, and have not been since the start. */
  readonly #neverRead = new Set<string>();
  #refused: ReadonlyMap<ObjectKey, Condition> = new Map();
  #objects: ObjectSet | undefined;
  #filesChanged = true;
  /** Number of documents that say that there is nothing. */
  #emptyLists = 0;
  #problems: readonly SourceProblem[] = [];

  /** @param removalGraceMs how long an object must be gone before it counts as removed */
  constructor(removalGraceMs: number) {
    this.#removalGraceMs = removalGraceMs;
  }

  fileNames(): ReadonlySetLike<string> {
    return this.#files;
  }

  file(name: string): ManifestFile | undefined {
    return this.#files.get(name);
  }

  /** Puts a file in place of its version before; undefined = it is gone. */
  set(name: string, file: ManifestFile | undefined): void {
    const before = this.#files.get(name);
    this.#filesChanged = true;
    this.#takeDocuments(name, before, file);
    if (file?.failure === undefined) this.#failures.delete(name);
    else this.#failures.set(name, file.failure);
    if (file === undefined) {
      this.#files.delete(name);
      this.#neverRead.delete(name);
      return;
    }
    this.#files.set(name, file);
    if (isWhole(file)) this.#neverRead.delete(name);
    else if (before === undefined) this.#neverRead.add(name);
  }

  #takeDocuments(
    name: string,
    before: ManifestFile | undefined,
    file: ManifestFile | undefined,
  ): void {
    const { removed, added } = listDifference(before?.documents ?? [], file?.documents ?? []);
    for (const document of removed) {
      this.#noisy.delete(document);
      if (document.emptyList) this.#emptyLists -= 1;
      this.#ledger.forget(name, document);
    }
    for (const document of added) {
      if (document.findings.length > 0) this.#noisy.set(document, name);
      if (document.emptyList) this.#emptyLists += 1;
      this.#ledger.record(name, document);
    }
  }

  /** The objects as they are to be used now. */
  settle(nowMs: number): SettledState {
    const decided = this.#filesChanged && this.#takeFiles(nowMs);
    const removal = this.#ledger.removeMissing({
      nowMs,
      graceMs: this.#removalGraceMs,
      isWhole: (name) => isGood(this.#files.get(name)),
      emptyIsMeant: this.#emptyLists > 0,
    });
    if (decided || removal.removed > 0 || this.#objects === undefined) this.#publish();
    const idle = removal.keptAll || this.#objects === undefined;
    const problems = idle ? [...this.#problems, this.#idleProblem()] : this.#problems;
    return { objects: this.#objects, problems, recheckAtMs: removal.recheckAtMs };
  }

  /** @returns whether the set of objects differs */
  #takeFiles(nowMs: number): boolean {
    this.#filesChanged = false;
    const changed = this.#ledger.decide(nowMs);
    const troubled = this.#ledger.troubled();
    this.#problems = this.#report.problems({
      failures: this.#failures,
      noisy: this.#noisy,
      troubled: troubled.map(([, occurrences]) => occurrences),
    });
    const refused = new Map(
      troubled.map(([key, occurrences]) => [key, refusal(this.#report.refusal(occurrences))]),
    );
    const sameRefused = isDeepStrictEqual(refused, this.#refused);
    if (!sameRefused) this.#refused = refused;
    const wasComplete = this.#objects?.complete !== false;
    return changed || !sameRefused || wasComplete !== (this.#neverRead.size === 0);
  }

  #publish(): void {
    // Without one good object or an explicit nothing there is no wish to act upon.
    if (this.#objects === undefined && this.#ledger.known === 0 && this.#emptyLists === 0) return;
    this.#objects = {
      ...this.#ledger.objects(),
      refused: this.#refused,
      complete: this.#neverRead.size === 0,
    };
  }

  #idleProblem(): SourceProblem {
    const cure = "for no objects at all, write a file with `kind: List` and `items: []`";
    const message =
      this.#objects === undefined
        ? `no good object is in any file, so nothing is done; ${cure}`
        : `no object is left in any file, so the last ${this.#ledger.known} stay; ${cure}`;
    return { severity: "Error", where: "manifests", message };
  }
}

function refusal(message: string): Condition {
  return { type: "Accepted", status: "False", reason: "Invalid", message };
}

/**
 * Whether the file may take away objects by not having them any more. One that is refused in part
 * may be half written: where the cut goes through a document whose name can still be read, what
 * stood behind the cut is missing too.
 */
function isGood(file: ManifestFile | undefined): boolean {
  if (file === undefined) return true;
  const isRefused = ({ object }: ManifestItem): boolean => object === undefined;
  return isWhole(file) && !file.documents.some(({ items }) => items.some(isRefused));
}

/** Whether all that the file holds is known; nothing is known of a file that is gone but that. */
function isWhole(file: ManifestFile | undefined): boolean {
  if (file === undefined) return true;
  return file.failure === undefined && file.documents.every(({ identified }) => identified);
}
