/** The condition `Programmed`, which only the agent that did it can say is True. */
import { objectKey, type Condition, type ObjectKey } from "../api/conditions.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { ObjectConditions } from "../compile/model.ts";
import type { ObjectSet } from "../source/source.ts";

/**
 * The conditions with `Programmed` added where a VirtualService has none yet. Made when somebody
 * asks: nothing is kept for it.
 * @param judge undefined = nothing is to be said about this object on this node
 */
export function withProgrammed(
  conditions: ObjectConditions,
  objects: ObjectSet | undefined,
  judge: (service: VirtualService, key: ObjectKey) => Condition | undefined,
): ObjectConditions {
  const all = new Map(conditions);
  for (const service of objects?.virtualServices ?? []) {
    const key = objectKey(service);
    const known = conditions.get(key);
    if (known === undefined || known.some(({ type }) => type === "Programmed")) continue;
    const condition = judge(service, key);
    if (condition !== undefined) all.set(key, [...known, condition]);
  }
  return all;
}

/** Everything is in place. */
export function programmed(message: string): Condition {
  return { type: "Programmed", status: "True", reason: "Programmed", message };
}

/** It will be, or the agent cannot tell; nobody has to do anything yet. */
export function pending(message: string): Condition {
  return { type: "Programmed", status: "Unknown", reason: "Pending", message };
}

/** A VIP cannot be had as things are. */
export function notUsable(message: string): Condition {
  return { type: "Programmed", status: "False", reason: "AddressNotUsable", message };
}
