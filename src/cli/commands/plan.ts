/** `lvsctl plan`: what an agent would change on this node, computed by the agent's own functions. */
import { isRefusal, isTrouble, type Condition, type ObjectKey } from "../../api/conditions.ts";
import { describeStep } from "../../host/apply.ts";
import type { HostStep } from "../../host/model.ts";
import type { HostReport } from "../../host/reports.ts";
import { describeCommand } from "../../ipvs/errors.ts";
import type { IpvsStep } from "../../ipvs/steps.ts";
import type { SourceProblem } from "../../source/source.ts";
import { alignColumns } from "../render/columns.ts";
import { EXIT } from "../specs.ts";

/** Everything a plan has to say. */
export interface PlanOutcome {
  readonly host: readonly HostStep[];
  readonly ipvs: readonly IpvsStep[];
  /** Steps that enforcement DryRun or Paused holds back. */
  readonly withheld: readonly IpvsStep[];
  readonly reports: readonly HostReport[];
  readonly conditions: ReadonlyMap<ObjectKey, readonly Condition[]>;
  readonly problems: readonly SourceProblem[];
}

/** Exit status of `lvsctl plan` for what it found. */
export function planStatus(outcome: PlanOutcome): number {
  if (hasRefusals(outcome)) return EXIT.refused;
  return outcome.host.length + outcome.ipvs.length > 0 ? EXIT.changes : EXIT.ok;
}

/** The plan for a person. */
export function renderPlan(outcome: PlanOutcome): string {
  const rows = [
    ...outcome.host.map((step) => [describeStep(step), ""]),
    ...outcome.ipvs.map((step) => [describeCommand(step.command), step.reason]),
    ...outcome.withheld.map((step) => [
      `(held back) ${describeCommand(step.command)}`,
      step.reason,
    ]),
  ];
  const parts = [rows.length === 0 ? "Nothing to change.\n" : alignColumns(rows)];
  const attention = [
    ...attentionTo(outcome).map(({ subject, text }) => `${subject}: ${text}\n`),
    ...outcome.reports.map(({ subject, message }) => `${subject}: ${message}\n`),
  ];
  if (attention.length > 0) parts.push("\nNeeds attention:\n", ...attention);
  return parts.join("");
}

/** The plan for a program. */
export function renderPlanJson(outcome: PlanOutcome): string {
  const ipvs = (steps: readonly IpvsStep[]): object[] =>
    steps.map((step) => ({ ...step, text: describeCommand(step.command) }));
  const document = {
    host: outcome.host.map((step) => ({ ...step, text: describeStep(step) })),
    ipvs: ipvs(outcome.ipvs),
    withheld: ipvs(outcome.withheld),
    reports: outcome.reports,
    conditions: Object.fromEntries(outcome.conditions),
    problems: outcome.problems,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Whether a manifest or something of an object cannot be used. */
function hasRefusals({ problems, conditions }: PlanOutcome): boolean {
  return (
    problems.some(({ severity }) => severity === "Error") ||
    [...conditions.values()].some((list) => list.some(isRefusal))
  );
}

/** What is wrong with manifests and objects; also what holds an object back by its own wish. */
function attentionTo({
  problems,
  conditions,
}: PlanOutcome): readonly { subject: string; text: string }[] {
  const found = problems
    .filter(({ severity }) => severity === "Error")
    .map(({ where, message }) => ({ subject: where, text: message }));
  for (const [subject, list] of conditions) {
    for (const { reason, message } of list.filter(isTrouble)) {
      found.push({ subject, text: `${reason}: ${message}` });
    }
  }
  return found;
}
