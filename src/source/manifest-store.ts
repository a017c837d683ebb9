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
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import { listDifference } from "../lib/list-difference.ts";
import type { ManifestFile } from "./manifest-file.ts";
import { ManifestReport, type Occurrence } from "./manifest-report.ts";
import type { ObjectSet, SourceProblem, SourceState } from "./source.ts";
import type { ManifestDocument } from "./yaml-document.ts";

export interface SettledState extends SourceState {
  /** Monotonic time at which a removal becomes due, milliseconds. */
  readonly recheckAtMs: number | undefined;
}

export class ManifestStore {
  readonly #removalGraceMs: number;
  readonly #files = new Map<string, ManifestFile>();
  readonly #report = new ManifestReport(this.#files);
  readonly #occurrences = new Map<ObjectKey, readonly Occurrence[]>();
  /** The last good version of each object, and the file it was in. */
  readonly #virtualServices = new Map<ObjectKey, VirtualService>();
  readonly #realServers = new Map<ObjectKey, RealServer>();
  readonly #homes = new Map<ObjectKey, string>();
  /** Objects that are gone, and since when. */
  readonly #missing = new Map<ObjectKey, number>();
  readonly #dirty = new Set<ObjectKey>();
  /** Objects whose newest version is refused. */
  readonly #troubled = new Set<ObjectKey>();
  /** Documents that have something to say themselves, with their file. */
  readonly #noisy = new Map<ManifestDocument, string>();
  /** Files that could not be wholly read, and have not been since the start. */
  readonly #neverRead = new Set<string>();
  #refused: ReadonlyMap<ObjectKey, Condition> = new Map();
  #objects: ObjectSet | undefined;
  #filesChanged = false;
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
    const { removed, added } = listDifference(before?.documents ?? [], file?.documents ?? []);
    for (const document of removed) this.#forget(name, document);
    for (const document of added) this.#record(name, document);
    if (file === undefined) {
      this.#files.delete(name);
      this.#neverRead.delete(name);
    } else {
      this.#files.set(name, file);
      if (isWhole(file)) this.#neverRead.delete(name);
      else if (before === undefined) this.#neverRead.add(name);
    }
    this.#filesChanged = true;
  }

  /** The objects as they are to be used now. */
  settle(nowMs: number): SettledState {
    let changed = false;
    for (const key of this.#dirty) changed = this.#decide(key, nowMs) || changed;
    this.#dirty.clear();
    if (this.#filesChanged) changed = this.#refreshRefused() || changed;
    const { removed, recheckAtMs, keptAll } = this.#removeMissing(nowMs);
    if (this.#filesChanged || removed > 0) this.#problems = this.#findProblems();
    const first = this.#filesChanged && this.#objects === undefined;
    if (changed || first || removed > 0 || this.#completenessDiffers()) this.#publish();
    this.#filesChanged = false;
    const nothing = keptAll || this.#objects === undefined;
    const problems = nothing ? [...this.#problems, this.#emptyProblem()] : this.#problems;
    return { objects: this.#objects, problems, recheckAtMs };
  }

  #record(fileName: string, document: ManifestDocument): void {
    if (document.findings.length > 0) this.#noisy.set(document, fileName);
    for (const item of document.items) {
      const others = this.#occurrences.get(item.key) ?? [];
      this.#occurrences.set(item.key, [...others, { fileName, document, item }]);
      this.#dirty.add(item.key);
    }
  }

  #forget(fileName: string, document: ManifestDocument): void {
    this.#noisy.delete(document);
    for (const { key } of document.items) {
      const others = (this.#occurrences.get(key) ?? []).filter(
        (occurrence) => occurrence.document !== document || occurrence.fileName !== fileName,
      );
      if (others.length > 0) this.#occurrences.set(key, others);
      else this.#occurrences.delete(key);
      this.#dirty.add(key);
    }
  }

  /** @returns whether the objects in use changed */
  #decide(key: ObjectKey, nowMs: number): boolean {
    const [only, ...others] = this.#occurrences.get(key) ?? [];
    this.#troubled.delete(key);
    if (only === undefined) {
      if (this.#homes.has(key) && !this.#missing.has(key)) this.#missing.set(key, nowMs);
      return false;
    }
    this.#missing.delete(key);
    const { object } = only.item;
    if (others.length > 0 || object === undefined) {
      this.#troubled.add(key);
      return false;
    }
    this.#homes.set(key, only.fileName);
    return object.kind === "VirtualService"
      ? putObject(this.#virtualServices, key, object)
      : putObject(this.#realServers, key, object);
  }

  /** @returns whether the refused objects, or the reasons, changed */
  #refreshRefused(): boolean {
    const refused = new Map<ObjectKey, Condition>();
    for (const key of this.#troubled) {
      const message = this.#report.refusal(this.#occurrences.get(key) ?? []);
      refused.set(key, { type: "Accepted", status: "False", reason: "Invalid", message });
    }
    if (isDeepStrictEqual(refused, this.#refused)) return false;
    this.#refused = refused;
    return true;
  }

  #removeMissing(nowMs: number): {
    readonly removed: number;
    readonly recheckAtMs: number | undefined;
    readonly keptAll: boolean;
  } {
    let removed = 0;
    let recheckAtMs: number | undefined;
    let keptAll = false;
    if (this.#missing.size === 0) return { removed, recheckAtMs, keptAll };
    const nothingLeft = this.#occurrences.size === 0 && !this.#saysEmpty();
    for (const [key, sinceMs] of this.#missing) {
      const home = this.#files.get(this.#homes.get(key) ?? "");
      if (home !== undefined && !isWhole(home)) continue;
      keptAll ||= nothingLeft;
      if (nothingLeft) continue;
      const dueMs = sinceMs + this.#removalGraceMs;
      if (dueMs <= nowMs) {
        this.#remove(key);
        removed += 1;
      } else {
        recheckAtMs = Math.min(recheckAtMs ?? dueMs, dueMs);
      }
    }
    return { removed, recheckAtMs, keptAll };
  }

  #remove(key: ObjectKey): void {
    this.#missing.delete(key);
    this.#homes.delete(key);
    this.#virtualServices.delete(key);
    this.#realServers.delete(key);
  }

  #saysEmpty(): boolean {
    for (const { documents } of this.#files.values()) {
      if (documents.some(({ emptyList }) => emptyList)) return true;
    }
    return false;
  }

  #completenessDiffers(): boolean {
    return (
      this.#objects !== undefined &&
      (this.#objects.complete !== false) !== (this.#neverRead.size === 0)
    );
  }

  #publish(): void {
    const nothingKnown =
      this.#objects === undefined && this.#homes.size === 0 && !this.#saysEmpty();
    // Without one good object or an explicit nothing there is no wish to act upon.
    if (nothingKnown) return;
    this.#objects = {
      virtualServices: [...this.#virtualServices.values()],
      realServers: [...this.#realServers.values()],
      refused: this.#refused,
      complete: this.#neverRead.size === 0,
    };
  }

  #findProblems(): readonly SourceProblem[] {
    const troubled = [...this.#troubled].map((key) => this.#occurrences.get(key) ?? []);
    return this.#report.problems(this.#noisy, troubled);
  }

  #emptyProblem(): SourceProblem {
    const cure = "for no objects at all, write a file with `kind: List` and `items: []`";
    const message =
      this.#objects === undefined
        ? `no good object is in any file, so nothing is done; ${cure}`
        : `no object is left in any file, so the last ${this.#homes.size} stay; ${cure}`;
    return { severity: "Error", where: "manifests", message };
  }
}

/** Puts an object in place unless it is the same; then the old one stays, as others compare by it. */
function putObject<T>(objects: Map<ObjectKey, T>, key: ObjectKey, object: T): boolean {
  const known = objects.get(key);
  if (known !== undefined && isDeepStrictEqual(known, object)) return false;
  objects.set(key, object);
  return true;
}

/** Whether all that the file holds is known. */
function isWhole({ failure, documents }: ManifestFile): boolean {
  return failure === undefined && documents.every(({ identified }) => identified);
}
