/** Label selectors with the meaning Kubernetes gives them. Pure. */
import type { LabelSelector } from "../api/v1alpha1/selector.ts";

/** Labels of an object. */
export type Labels = Readonly<Record<string, string>>;

type Requirement = NonNullable<LabelSelector["matchExpressions"]>[number];

/** Whether all of the selector holds for the labels; an empty selector holds for any. */
export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  const wanted = selector.matchLabels;
  if (wanted !== undefined) {
    for (const key in wanted) if (labels[key] !== wanted[key]) return false;
  }
  return selector.matchExpressions?.every((item) => meets(item, labels[item.key])) ?? true;
}

function meets(requirement: Requirement, value: string | undefined): boolean {
  const listed = value !== undefined && (requirement.values?.includes(value) ?? false);
  switch (requirement.operator) {
    case "In":
      return listed;
    case "NotIn":
      return !listed;
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** The selector as kubectl's `-l` takes it, for messages. */
export function formatSelector(selector: LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  const parts = [...labels, ...(selector.matchExpressions ?? []).map(formatRequirement)];
  return parts.length === 0 ? "every RealServer" : parts.join(",");
}

function formatRequirement({ key, operator, values }: Requirement): string {
  if (operator === "Exists") return key;
  if (operator === "DoesNotExist") return `!${key}`;
  return `${key} ${operator === "In" ? "in" : "notin"} (${(values ?? []).join(",")})`;
}
