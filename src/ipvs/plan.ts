/**
 * Compares what the kernel has with what we want and says what to do. No I/O, no clock. The same
 * list is what `lvsctl plan` prints, what logs show and what `apply.ts` executes.
 */
import { timeoutsHold } from "./equality.ts";
import type {
  DesiredTable,
  ObservedTable,
  ProtocolTimeouts,
  ServiceIdentity,
  ServiceKey,
} from "./model.ts";
import { compareServices } from "./order.ts";
import {
  hasSteps,
  planRemoval,
  planService,
  type ServicePlan,
  type ServicePlanContext,
} from "./plan-service.ts";
import {
  drainKey,
  type DrainKey,
  type DrainRecord,
  type DrainRecords,
  type IpvsPlan,
  type IpvsStep,
} from "./steps.ts";

export interface PlanInput {
  readonly desired: DesiredTable;
  readonly observed: ObservedTable;
  /** Whether a service that is not desired is ours to remove; false = it is never mentioned. */
  readonly owns: (identity: ServiceIdentity, key: ServiceKey) => boolean;
  /** The drains of the previous plan. */
  readonly drains: DrainRecords;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** Compare only these services and those with a running drain; undefined = all. */
  readonly only?: ReadonlySet<ServiceKey> | undefined;
  /** Services whose steps are shown and not made; their drains neither begin nor end. */
  readonly withheld?: { has(key: ServiceKey): boolean } | undefined;
  /** Repair the insertion order of sh and dh services that need nothing else. */
  readonly reorder?: boolean | undefined;
  /** The namespace's timeouts, when they are ours to set. */
  readonly timeouts?:
    { readonly desired: ProtocolTimeouts; readonly observed: ProtocolTimeouts } | undefined;
}

/**
 * Steps from `observed` to `desired`, safe to abandon after any one of them: in the whole plan,
 * everything that adds capacity comes before everything that takes it away, and deletions come
 * last. One command for each difference, and one more for a new mh service of several
 * destinations. A destination that is no longer wanted gets weight 0 and is deleted by a later
 * plan, when the kernel counts no connections on it or its deadline has passed; a service that is
 * no longer wanted goes at once. Nothing is deleted to be added again, except by `reorder`.
 * Deterministic, whatever the order of the maps.
 */
export function planIpvs(input: PlanInput): IpvsPlan {
  const active: ServicePlan[] = [];
  const held: ServicePlan[] = [];
  const drains = new Map<DrainKey, DrainRecord>();
  let nextDeadlineMs: number | undefined;
  for (const plan of servicePlans(input)) {
    if (input.withheld?.has(plan.key) === true) {
      if (hasSteps(plan)) held.push(plan);
      keepDrains(drains, plan, input.drains);
      continue;
    }
    if (hasSteps(plan)) active.push(plan);
    for (const { record, deadlineMs } of plan.drains) {
      drains.set(drainKey(record.service, record.destination), record);
      if (deadlineMs !== undefined)
        nextDeadlineMs = Math.min(nextDeadlineMs ?? Infinity, deadlineMs);
    }
  }
  const steps = [...timeoutSteps(input.timeouts), ...inOrder(active)];
  return { steps, withheld: inOrder(held), drains, nextDeadlineMs };
}

/** The compared services that have steps or drains, in no particular order. */
function* servicePlans(input: PlanInput): Generator<ServicePlan> {
  const { desired, observed, owns } = input;
  const context: ServicePlanContext = {
    drains: input.drains,
    nowMs: input.nowMs,
    reorder: input.reorder ?? false,
  };
  for (const key of keysToCompare(input)) {
    const want = desired.services.get(key);
    const have = observed.services.get(key);
    if (want !== undefined) {
      yield planService(context, key, want, have);
    } else if (have !== undefined && owns(have.service.identity, key)) {
      yield planRemoval(key, have);
    }
  }
}

function* keysToCompare({ desired, observed, drains, only }: PlanInput): Generator<ServiceKey> {
  if (only === undefined) {
    yield* desired.services.keys();
    for (const key of observed.services.keys()) if (!desired.services.has(key)) yield key;
    return;
  }
  yield* only;
  const draining = new Set<ServiceKey>();
  for (const { service } of drains.values()) if (!only.has(service)) draining.add(service);
  yield* draining;
}

/** A withheld service keeps the drains it has, without new ones and without an end. */
function keepDrains(
  drains: Map<DrainKey, DrainRecord>,
  plan: ServicePlan,
  previous: DrainRecords,
): void {
  for (const [key, record] of previous) {
    if (record.service === plan.key) drains.set(key, record);
  }
}

function timeoutSteps(timeouts: PlanInput["timeouts"]): readonly IpvsStep[] {
  if (timeouts === undefined || timeoutsHold(timeouts.desired, timeouts.observed)) return [];
  return [
    {
      command: { op: "set-timeouts", timeouts: timeouts.desired },
      service: undefined,
      destination: undefined,
      effect: "edit",
      reason: "timeouts differ",
    },
  ];
}

function inOrder(plans: ServicePlan[]): readonly IpvsStep[] {
  plans.sort((a, b) => compareServices(a.identity, b.identity));
  const steps: IpvsStep[] = [];
  for (const part of ["grow", "switches", "lower", "remove"] as const) {
    for (const plan of plans) for (const step of plan[part]) steps.push(step);
  }
  return steps;
}
