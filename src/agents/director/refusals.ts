/** What follows from commands that the kernel refused. Pure. */
import type { DirectorState } from "../../compile/model.ts";
import type { ApplyResult } from "../../ipvs/apply.ts";
import { describeCommand } from "../../ipvs/errors.ts";
import type { Report } from "../report-log.ts";

/** Refusals that no object's condition tells of: removals of what no object wants any more. */
export function unownedRefusals(
  { refused }: ApplyResult,
  { owners }: Pick<DirectorState, "owners">,
): readonly Report[] {
  return refused
    .filter(({ step }) => !owners.has(step.service ?? ""))
    .map(({ step, errno, refusal }) => ({
      kind: "command-refused",
      subject: describeCommand(step.command),
      message: `${errno}: ${refusal.meaning}`,
    }));
}

/**
 * VIPs of services that the kernel refused. They stay unbound: such a VIP would answer with whatever
 * the host itself listens on.
 */
export function refusedVips(refused: ApplyResult["refused"]): ReadonlySet<string> {
  const vips = new Set<string>();
  for (const { step } of refused) {
    if (step.command.op !== "create-service") continue;
    const { identity } = step.command.service;
    if (identity.kind === "address") vips.add(identity.address);
  }
  return vips;
}
