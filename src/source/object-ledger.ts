/**
 * What is known of each object: where it is written now, and its last good version. Decides which
 * version counts and when an object is gone. Pure state.
 */
import { isDeepStrictEqual } from "node:util";

import type { ObjectKey } from "../api/conditions.ts";
import type { ApiObject } from "../api/parse.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { Occurrence } from "./manifest-report.ts";
import type { ObjectSet } from "./source.ts";
import type { ManifestDocument } from "./yaml-document.ts";

interface Entry {
  /** Where it is written. One place, as it should be, takes no list. */
  written: Occurrence | readonly Occurrence[];
  /** Last good version. */
  object: ApiObject | undefined;
  /** File it was in. */
  home: string;
}

/** What a removal depends on besides the object itself. */
export interface RemovalTerms {
  readonly nowMs: number;
  /** How long an object must be gone before it counts as removed. */
  readonly graceMs: number;
  /** Whether all that the file holds is known, so that absence from it means something. */
  readonly isWhole: (fileName: string) => boolean;
  /** It was said in so many words that there is nothing. */
  readonly emptyIsMeant: boolean;
}

export interface RemovalResult {
  readonly removed: number;
  /** Monotonic time of the next removal, milliseconds. */
  readonly recheckAtMs: number | undefined;
  /** Objects stayed only because nothing else is left. */
  readonly keptAll: boolean;
}

const NOWHERE: readonly Occurrence[] = [];

export class ObjectLedger {
  readonly #entries = new Map<ObjectKey, Entry>();
  readonly #dirty = new Set<ObjectKey>();
  /** Objects that are gone, and since when. */
  readonly #missing = new Map<ObjectKey, number>();
  /** Objects whose newest version is refused. */
  readonly #troubled = new Set<ObjectKey>();
  /** Objects that are written somewhere. */
  #present = 0;
  /** Objects with a good version. */
  #known = 0;

  /** Number of objects of which a good version is known. */
  get known(): number {
    return this.#known;
  }

  /** Takes note of the objects of a document. */
  record(fileName: string, document: ManifestDocument): void {
    for (const item of document.items) {
      const entry = this.#entry(item.key, fileName);
      const others = placesOf(entry);
      if (others.length === 0) this.#present += 1;
      const occurrence: Occurrence = { fileName, document, item };
      entry.written = others.length === 0 ? occurrence : [...others, occurrence];
      this.#dirty.add(item.key);
    }
  }

  /** The document is gone, or is another one now. */
  forget(fileName: string, document: ManifestDocument): void {
    for (const { key } of document.items) {
      const entry = this.#entry(key, fileName);
      const before = placesOf(entry);
      const rest = before.filter(
        (occurrence) => occurrence.document !== document || occurrence.fileName !== fileName,
      );
      if (before.length > 0 && rest.length === 0) this.#present -= 1;
      entry.written = rest.length === 1 && rest[0] !== undefined ? rest[0] : rest;
      this.#dirty.add(key);
    }
  }

  /** Decides for all objects that were touched. @returns whether a version in use changed */
  decide(nowMs: number): boolean {
    let changed = false;
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) changed = this.#decideOne(key, entry, nowMs) || changed;
    }
    this.#dirty.clear();
    return changed;
  }

  /** Keys and places of the objects whose newest version is refused. */
  troubled(): readonly (readonly [ObjectKey, readonly Occurrence[]])[] {
    return [...this.#troubled].map((key) => [key, placesOf(this.#entries.get(key))]);
  }

  /** Removes what has been gone for long enough. */
  removeMissing({ nowMs, graceMs, isWhole, emptyIsMeant }: RemovalTerms): RemovalResult {
    const nothingLeft = this.#present === 0 && !emptyIsMeant;
    let removed = 0;
    let recheckAtMs: number | undefined;
    let keptAll = false;
    for (const [key, sinceMs] of this.#missing) {
      if (!isWhole(this.#entries.get(key)?.home ?? "")) continue;
      const dueMs = sinceMs + graceMs;
      if (nothingLeft) {
        keptAll = true;
      } else if (dueMs > nowMs) {
        recheckAtMs = Math.min(recheckAtMs ?? dueMs, dueMs);
      } else {
        this.#remove(key);
        removed += 1;
      }
    }
    return { removed, recheckAtMs, keptAll };
  }

  /** The last good versions. */
  objects(): Pick<ObjectSet, "virtualServices" | "realServers"> {
    const virtualServices: VirtualService[] = [];
    const realServers: RealServer[] = [];
    for (const { object } of this.#entries.values()) {
      if (object?.kind === "VirtualService") virtualServices.push(object);
      else if (object !== undefined) realServers.push(object);
    }
    return { virtualServices, realServers };
  }

  #entry(key: ObjectKey, home: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { written: NOWHERE, object: undefined, home };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #decideOne(key: ObjectKey, entry: Entry, nowMs: number): boolean {
    const [only, ...others] = placesOf(entry);
    this.#troubled.delete(key);
    if (only === undefined) {
      if (entry.object === undefined) this.#remove(key);
      else if (!this.#missing.has(key)) this.#missing.set(key, nowMs);
      return false;
    }
    this.#missing.delete(key);
    const { object } = only.item;
    if (others.length > 0 || object === undefined) {
      this.#troubled.add(key);
      return false;
    }
    entry.home = only.fileName;
    // An equal object stays the same one, as others compare by identity.
    if (isDeepStrictEqual(entry.object, object)) return false;
    if (entry.object === undefined) this.#known += 1;
    entry.object = object;
    return true;
  }

  #remove(key: ObjectKey): void {
    if (this.#entries.get(key)?.object !== undefined) this.#known -= 1;
    this.#entries.delete(key);
    this.#missing.delete(key);
  }
}

function placesOf(entry: Entry | undefined): readonly Occurrence[] {
  if (entry === undefined) return NOWHERE;
  return "document" in entry.written ? [entry.written] : entry.written;
}
