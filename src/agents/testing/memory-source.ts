/** Objects that a test sets. */
import type { ObjectSet, ObjectSource, SourceProblem, SourceState } from "../../source/source.ts";

export class MemorySource implements ObjectSource {
  #state: SourceState;
  readonly #listeners = new Set<() => void>();

  constructor(objects?: ObjectSet) {
    this.#state = { objects, problems: [] };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  current(): SourceState {
    return this.#state;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(objects: ObjectSet | undefined, problems: readonly SourceProblem[] = []): void {
    this.#state = { objects, problems };
    for (const listener of this.#listeners) listener();
  }
}
