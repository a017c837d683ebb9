/**
 * Which files to look at, and when. A file that is written to in place is left alone until it has
 * been quiet for a moment, because half of it may be there; one that was put in place by a rename
 * is complete at once. Pure bookkeeping, without timers.
 */
export class DirtyFiles {
  readonly #readyAt = new Map<string, number>();

  /** Asks for a look at the file at `atMs`, or later where that was asked for before. */
  add(name: string, atMs: number): void {
    this.#readyAt.set(name, Math.max(atMs, this.#readyAt.get(name) ?? atMs));
  }

  /** Takes out the files whose time has come. */
  takeReady(nowMs: number): readonly string[] {
    const ready: string[] = [];
    for (const [name, atMs] of this.#readyAt) if (atMs <= nowMs) ready.push(name);
    for (const name of ready) this.#readyAt.delete(name);
    return ready;
  }

  /** Whether a file's time has come. */
  isDue(nowMs: number): boolean {
    for (const atMs of this.#readyAt.values()) if (atMs <= nowMs) return true;
    return false;
  }

  /** When the next file is due; undefined = none waits. */
  nextMs(): number | undefined {
    return this.#readyAt.size === 0 ? undefined : Math.min(...this.#readyAt.values());
  }
}
