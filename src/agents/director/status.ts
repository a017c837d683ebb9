/** What the director tells about itself, and the conditions that only the kernel could decide. */
import { objectKey, type Condition, type ObjectKey } from "../../api/conditions.ts";
import type { VirtualService } from "../../api/v1alpha1/virtual-service.ts";
import type { DirectorState, ObjectConditions } from "../../compile/model.ts";
import { missingScheduler } from "../../compile/problems.ts";
import { describeCommand } from "../../ipvs/errors.ts";
import type { RefusedStep } from "../../ipvs/apply.ts";
import type { ObjectSet } from "../../source/source.ts";
import type { HostFailure } from "../host-keeper.ts";
import { notUsable, pending, programmed } from "../programmed.ts";
import type { VipTrouble } from "./vip-watch.ts";

/** Counts since the agent started. */
export interface DirectorCounters {
  /** Passes that changed the table. */
  tableChanges: number;
  /** Steps that repaired what somebody else had changed. */
  driftRepaired: number;
  /** From the start of the pass to the last acknowledgement of the newest change, milliseconds. */
  lastChangeMs: number | undefined;
}

export function emptyCounters(): DirectorCounters {
  return { tableChanges: 0, driftRepaired: 0, lastChangeMs: undefined };
}

/** What the kernel refused in one pass. */
export interface Refusals {
  readonly nodeName: string;
  readonly objects: ObjectSet;
  readonly steps: readonly RefusedStep[];
  readonly failures: readonly HostFailure[];
}

/**
 * The compiler's conditions with those of objects that the kernel refused something of. The same
 * map when nothing was refused.
 */
export function withRefusals(
  { conditions, owners }: Pick<DirectorState, "conditions" | "owners">,
  refusals: Refusals,
): ObjectConditions {
  const { nodeName, steps, failures } = refusals;
  if (steps.length + failures.length === 0) return conditions;
  const merged = new Map(conditions);
  const refused = new Set<ObjectKey>();
  const put = (key: ObjectKey | undefined, condition: Condition): void => {
    // The first refusal is the cause, the others mostly follow from it.
    if (key === undefined || refused.has(key)) return;
    refused.add(key);
    const others = (merged.get(key) ?? []).filter(({ type }) => type !== condition.type);
    merged.set(key, [...others, condition]);
  };
  for (const step of steps) put(owners.get(step.step.service ?? ""), conditionOf(step, nodeName));
  for (const failure of failures) {
    for (const key of usersOf(failure, refusals, conditions)) put(key, notUsable(failure.detail));
  }
  return merged;
}

function conditionOf({ step: { command }, errno, refusal }: RefusedStep, node: string): Condition {
  if (refusal.kind === "missing-module" && "service" in command) {
    const { scheduler, persistenceEngine } = command.service;
    // As the compiler says it from the next pass on.
    if (persistenceEngine === undefined) {
      return { ...missingScheduler(scheduler, node), status: "False" };
    }
  }
  const message = `${describeCommand(command)}: ${errno}: ${refusal.meaning}`;
  return { type: "Programmed", status: "False", reason: "KernelRejected", message };
}

/** Objects of this node with the address that could not be bound. */
function usersOf(
  { step }: HostFailure,
  { objects }: Refusals,
  conditions: ObjectConditions,
): readonly ObjectKey[] {
  if (step.op !== "add-address") return [];
  const { address } = step.address;
  return objects.virtualServices
    .filter(({ spec }) => spec.addresses.some(({ ip }) => ip === address))
    .map(objectKey)
    .filter((key) => conditions.has(key));
}

/** What is known after a pass. */
export interface Outcome {
  /** Number of kernel services of each object. */
  readonly services: ReadonlyMap<ObjectKey, number>;
  /** VIPs that are wanted and not bound. */
  readonly unbound: ReadonlySet<string>;
  readonly trouble: (vip: string) => VipTrouble | undefined;
  /** The last pass failed or has not ended. */
  readonly interrupted: boolean;
}

/** Whether an object is in place; undefined for one that is refused. */
export function judge(
  { spec }: VirtualService,
  key: ObjectKey,
  { services, unbound, trouble, interrupted }: Outcome,
): Condition | undefined {
  const count = services.get(key) ?? 0;
  if (count === 0) return undefined;
  if (interrupted) return pending("the last pass did not end; what it did before is in place");
  const missing = spec.addresses.map(({ ip }) => ip).filter((ip) => unbound.has(ip));
  for (const ip of missing) {
    const found = trouble(ip);
    if (found?.kind !== "failed") continue;
    return notUsable(`the network cannot be asked who has ${ip}: ${found.detail}`);
  }
  if (missing.length === 0) {
    return programmed(`services in the kernel: ${count}; every address is bound`);
  }
  const asking = missing.filter((ip) => trouble(ip)?.kind === "asking");
  return asking.length > 0
    ? pending(`asking the network whether another machine has ${asking.join(", ")}`)
    : pending(`not bound yet: ${missing.join(", ")}`);
}
