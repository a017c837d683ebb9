/**
 * Tells a person once when the state of an object changes: a warning when something is wrong with
 * it, a message when it is well again. The newest conditions are kept for the status endpoint.
 */
import { isRefusal, isTrouble, type Condition, type ObjectKey } from "../api/conditions.ts";
import type { Logger } from "../lib/logger.ts";

export class ConditionLog {
  readonly #log: Logger;
  readonly #seen = new Map<ObjectKey, readonly Condition[]>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The conditions of the last pass; a live view. */
  get current(): ReadonlyMap<ObjectKey, readonly Condition[]> {
    return this.#seen;
  }

  /** Whether anything of any object is refused. */
  get hasRefusals(): boolean {
    return [...this.#seen.values()].some((conditions) => conditions.some(isRefusal));
  }

  /** Replaces the conditions of all objects. The map may change afterwards, its lists may not. */
  note(conditions: ReadonlyMap<ObjectKey, readonly Condition[]>): void {
    // Lists are shared between passes, so most objects are settled by comparing references.
    for (const [key, now] of conditions) {
      const was = this.#seen.get(key);
      if (was === now) continue;
      this.#compare(key, was ?? [], now);
      this.#seen.set(key, now);
    }
    // Every new key is in by now, so equal sizes mean equal keys.
    if (this.#seen.size === conditions.size) return;
    for (const key of this.#seen.keys()) {
      if (conditions.has(key)) continue;
      this.#seen.delete(key);
      this.#log.info({ key }, "object is gone");
    }
  }

  #compare(key: ObjectKey, was: readonly Condition[], now: readonly Condition[]): void {
    for (const condition of now.filter(isTrouble)) {
      const previous = was.find(({ type }) => type === condition.type);
      if (previous === undefined || !sameCondition(previous, condition)) {
        this.#tellTrouble(key, condition);
      }
    }
    for (const { type } of was.filter(isTrouble)) {
      const next = now.find((condition) => condition.type === type);
      if (next === undefined || !isTrouble(next)) {
        this.#log.info({ key, condition: type }, "object is well again");
      }
    }
  }

  #tellTrouble(key: ObjectKey, condition: Condition): void {
    const { type, reason, message: detail } = condition;
    const fields = { key, condition: type, reason, detail };
    if (type === "Degraded" || isRefusal(condition)) {
      this.#log.warn(fields, "object is not as it should be");
    } else {
      this.#log.info(fields, "object is held back by its enforcement");
    }
  }
}

function sameCondition(a: Condition, b: Condition): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message;
}
