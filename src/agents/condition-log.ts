/**
 * Tells a person once when the state of an object changes: a warning when something is wrong with
 * it, a message when it is well again. The newest conditions are kept for the status endpoint.
 */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { Logger } from "../lib/logger.ts";

export class ConditionLog {
  readonly #log: Logger;
  #seen: ReadonlyMap<ObjectKey, readonly Condition[]> = new Map();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The conditions of the last pass. */
  get current(): ReadonlyMap<ObjectKey, readonly Condition[]> {
    return this.#seen;
  }

  /** Whether a condition of any object is False. */
  get hasRefusals(): boolean {
    for (const conditions of this.#seen.values()) {
      if (conditions.some(({ status }) => status === "False")) return true;
    }
    return false;
  }

  /** Replaces the conditions of all objects. The map may change afterwards, its lists may not. */
  note(conditions: ReadonlyMap<ObjectKey, readonly Condition[]>): void {
    const before = this.#seen;
    // Lists are shared between passes, so most objects are settled by comparing references.
    for (const [key, now] of conditions) {
      const was = before.get(key);
      if (was !== now) this.#compare(key, was ?? [], now);
    }
    for (const key of before.keys()) {
      if (!conditions.has(key)) this.#log.info({ key }, "object is gone");
    }
    this.#seen = new Map(conditions);
  }

  #compare(key: ObjectKey, was: readonly Condition[], now: readonly Condition[]): void {
    for (const condition of now) {
      const previous = was.find((c) => c.type === condition.type);
      if (previous !== undefined && sameCondition(previous, condition)) continue;
      const fields = { key, condition: condition.type, reason: condition.reason };
      if (condition.status === "False") {
        this.#log.warn({ ...fields, detail: condition.message }, "object is not as it should be");
      } else if (previous?.status === "False") {
        this.#log.info(fields, "object is well again");
      }
    }
  }
}

function sameCondition(a: Condition, b: Condition): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message;
}
