/** Troubles found while compiling, and the conditions they become. */
import type { Condition, ConditionReason, ConditionType } from "../api/conditions.ts";

/** One trouble of one object. `message` names the cure. */
export interface Problem {
  /** Accepted, ResolvedRefs and Programmed become False by it; Degraded becomes True. */
  readonly type: Extract<ConditionType, "Accepted" | "ResolvedRefs" | "Programmed" | "Degraded">;
  readonly reason: ConditionReason;
  readonly message: string;
}

/** What a person can take in at once; the rest is counted. */
const MAX_MESSAGES = 3;

const ACCEPTED: Condition = {
  type: "Accepted",
  status: "True",
  reason: "Accepted",
  message: "valid and without conflict",
};
const RESOLVED: Condition = {
  type: "ResolvedRefs",
  status: "True",
  reason: "ResolvedRefs",
  message: "all backends found",
};
const WITHHELD = {
  DryRun: {
    type: "Programmed",
    status: "False",
    reason: "DryRun",
    message: "changes are reported and not made; set `enforcement` to Enforce to make them",
  },
  Paused: {
    type: "Programmed",
    status: "False",
    reason: "Paused",
    message: "everything is left as it is; set `enforcement` to Enforce to go on",
  },
} as const satisfies Record<string, Condition>;

/** An object that needs a scheduler that the node's kernel has not. */
export function missingScheduler(scheduler: string, nodeName: string): Problem {
  return {
    type: "Accepted",
    reason: "KernelFeatureMissing",
    message: `scheduler ${scheduler} is missing in the kernel of ${nodeName}; install or load the module ip_vs_${scheduler}, or use another scheduler`,
  };
}

/** Conditions of a real server in good order: nothing of it refers to anything. */
export const ACCEPTED_ONLY: readonly Condition[] = [ACCEPTED];

const ALL_WELL: readonly Condition[] = [ACCEPTED, RESOLVED];

/**
 * Conditions of a VirtualService. `Programmed` is there only where it cannot become True; saying
 * that it is True is for the agent that programmed it.
 */
export function conditionsOf(
  problems: readonly Problem[],
  enforcement: "Enforce" | "DryRun" | "Paused" = "Enforce",
): readonly Condition[] {
  if (problems.length === 0 && enforcement === "Enforce") return ALL_WELL;
  const conditions = [
    merge("Accepted", "False", problems) ?? ACCEPTED,
    merge("ResolvedRefs", "False", problems) ?? RESOLVED,
  ];
  const programmed =
    enforcement === "Enforce" ? merge("Programmed", "False", problems) : WITHHELD[enforcement];
  const degraded = merge("Degraded", "True", problems);
  if (programmed !== undefined) conditions.push(programmed);
  if (degraded !== undefined) conditions.push(degraded);
  return conditions;
}

/** One condition of a type from all its problems: reason of the first, messages of the first few. */
function merge(
  type: Problem["type"],
  status: "True" | "False",
  problems: readonly Problem[],
): Condition | undefined {
  const mine = problems.filter((problem) => problem.type === type);
  const first = mine[0];
  if (first === undefined) return undefined;
  const messages = [...new Set(mine.map((problem) => problem.message))];
  const shown = messages.slice(0, MAX_MESSAGES).join("; ");
  const more = messages.length - MAX_MESSAGES;
  return {
    type,
    status,
    reason: first.reason,
    message: more > 0 ? `${shown}; and ${more} more` : shown,
  };
}
