/**
 * What happens to a destination that is no longer wanted.
 *
 *   serving ──not wanted──► draining (weight 0) ──no connections, or the deadline──► deleted
 *      ▲                        │
 *      └──────wanted again──────┘
 *
 * The weight and the connection counts are in the kernel; only the start time is ours to remember.
 */
import type { DesiredService, ObservedDestination, Service, ServiceKey } from "./model.ts";
import { destinationKey } from "./model.ts";
import { drainKey, type DrainRecord, type DrainRecords, type IpvsStep } from "./steps.ts";

/** A drain that goes on, and when it has to end (undefined = when its connections have). */
export interface RunningDrain {
  readonly record: DrainRecord;
  readonly deadlineMs: number | undefined;
}

/** The step to take now, if any, and the drain that runs after it, if any. */
export interface Retirement {
  readonly step: IpvsStep | undefined;
  readonly drain: RunningDrain | undefined;
}

/** Where and when a destination is retired. */
export interface RetirementContext {
  readonly service: ServiceKey;
  readonly drains: DrainRecords;
  /** Wall clock, milliseconds. */
  readonly nowMs: number;
}

/**
 * Whether weight 0 empties the destination at all. A UDP flow stays on its destination for as long
 * as packets arrive, whatever the weight, and one-packet datagrams leave nothing behind.
 */
export function canDrain(service: Service): boolean {
  return !(service.identity.kind === "address" && service.identity.protocol === "UDP");
}

/** Decides about one destination that is in the kernel and not in `desired`. */
export function retire(
  context: RetirementContext,
  desired: DesiredService,
  observed: ObservedDestination,
): Retirement {
  if (!canDrain(desired.service) || desired.drain.timeoutSeconds <= 0) {
    return {
      step: removal(context, desired, observed, "no longer wanted, not drained"),
      drain: undefined,
    };
  }
  if (isEmpty(observed)) {
    return { step: removal(context, desired, observed, "drained"), drain: undefined };
  }
  const drain = runningDrain(context, desired, observed);
  if (drain.deadlineMs !== undefined && drain.deadlineMs <= context.nowMs) {
    const step = removal(context, desired, observed, "drain deadline passed");
    return { step, drain: undefined };
  }
  return { step: quiescence(context, desired, observed), drain };
}

/** No connection is left, and none can have come since the kernel counted. */
function isEmpty({ destination, connections, stale }: ObservedDestination): boolean {
  return (
    destination.weight === 0 && stale !== true && connections.active + connections.inactive === 0
  );
}

function runningDrain(
  context: RetirementContext,
  desired: DesiredService,
  observed: ObservedDestination,
): RunningDrain {
  const destination = destinationKey(observed.destination);
  const known = context.drains.get(drainKey(context.service, destination));
  // A start in the future means that the clock was set back: the drain cannot be younger than now.
  const startedAtMs = Math.min(known?.startedAtMs ?? context.nowMs, context.nowMs);
  const deadlineMs =
    desired.drain.whenExpired === "Wait"
      ? undefined
      : startedAtMs + desired.drain.timeoutSeconds * 1000;
  return { record: { service: context.service, destination, startedAtMs }, deadlineMs };
}

function quiescence(
  context: RetirementContext,
  desired: DesiredService,
  { destination }: ObservedDestination,
): IpvsStep | undefined {
  if (destination.weight === 0) return undefined;
  return {
    command: {
      op: "update-destination",
      identity: desired.service.identity,
      destination: { ...destination, weight: 0 },
    },
    service: context.service,
    destination: destinationKey(destination),
    effect: "shrink",
    reason: "no longer wanted, draining",
  };
}

function removal(
  context: RetirementContext,
  desired: DesiredService,
  { destination }: ObservedDestination,
  reason: IpvsStep["reason"],
): IpvsStep {
  return {
    command: {
      op: "delete-destination",
      identity: desired.service.identity,
      destination: {
        family: destination.family,
        address: destination.address,
        port: destination.port,
      },
    },
    service: context.service,
    destination: destinationKey(destination),
    effect: "shrink",
    reason,
  };
}
