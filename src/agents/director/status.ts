/** What the director tells about itself, and the conditions that only the kernel could decide. */
import type { Condition, ObjectKey } from "../../api/conditions.ts";
import type { DirectorState, ObjectConditions } from "../../compile/model.ts";
import { describeCommand } from "../../ipvs/errors.ts";
import type { ApplyResult } from "../../ipvs/apply.ts";

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

/**
 * The compiler's conditions with `Programmed=False` for each object that the kernel refused
 * something of. The same map when nothing was refused.
 */
export function withRefusals(
  { conditions, owners }: Pick<DirectorState, "conditions" | "owners">,
  { refused }: Pick<ApplyResult, "refused">,
): ObjectConditions {
  if (refused.length === 0) return conditions;
  const merged = new Map(conditions);
  for (const { step, errno, refusal } of refused) {
    const owner: ObjectKey | undefined = owners.get(step.service ?? "");
    if (owner === undefined) continue;
    const condition: Condition = {
      type: "Programmed",
      status: "False",
      reason: "KernelRejected",
      message: `${describeCommand(step.command)}: ${errno}: ${refusal.meaning}`,
    };
    const others = (merged.get(owner) ?? []).filter(({ type }) => type !== "Programmed");
    merged.set(owner, [...others, condition]);
  }
  return merged;
}
