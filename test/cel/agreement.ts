/** Compares what our parser says about an object with what the API server's code says. */
import type { ParseOutcome } from "../../src/api/parse.ts";
import type { Problem } from "../../src/api/problems.ts";
import type { ServerProblem, Verdicts } from "./checker.ts";

/** Refusals after which the API server does not evaluate rules. */
const BLOCKING: ReadonlySet<string> = new Set([
  "Decode",
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
]);

/**
 * All ways in which the two answers differ; empty when they agree on the verdict, on the defaults
 * of what is accepted, and on the fields and rules of what is refused.
 * @param idOfMessage rule ids by message, which is all that the API server says of a rule
 */
export function disagreements(
  ours: ParseOutcome,
  theirs: Verdicts["objects"][number],
  idOfMessage: ReadonlyMap<string, string>,
): readonly string[] {
  if (ours.ok !== undefined && theirs.problems.length === 0) {
    const [a, b] = [canonical(ours.ok), canonical(theirs.object)];
    return a === b ? [] : [`defaults: ours ${a}, theirs ${b}`];
  }
  if (ours.ok !== undefined) return [`only they refuse: ${JSON.stringify(theirs.problems)}`];
  if (theirs.problems.length === 0) return [`only we refuse: ${JSON.stringify(ours.problems)}`];
  const blocked = theirs.problems.some(({ type }) => BLOCKING.has(type));
  return [
    ...differentFields(ours.problems, theirs.problems, idOfMessage),
    ...(blocked ? [] : differentRules(ours.problems, theirs.problems, idOfMessage)),
  ];
}

/** Problems of the schema itself: each must be there on both sides, at the same place. */
function differentFields(
  ours: readonly Problem[],
  theirs: readonly ServerProblem[],
  idOfMessage: ReadonlyMap<string, string>,
): readonly string[] {
  const ourFields = new Set(ours.filter((problem) => !isRule(problem)).map(fieldOf));
  const theirFields = new Set(
    theirs
      .filter((problem) => !idOfMessage.has(problem.detail) && !isInWrongType(problem, theirs))
      .map(theirField),
  );
  const mayBeTheirsOnly = new Set(theirs.filter(isLateDuplicate(theirs)).map(({ field }) => field));
  return [
    ...[...ourFields.difference(theirFields)].map((field) => `only we name ${field}`),
    ...[...theirFields.difference(ourFields).difference(mayBeTheirsOnly)].map(
      (field) => `only they name ${field}`,
    ),
  ];
}

/** The API server looks for equal keys even in lists with items of a wrong type; we do not. */
function isLateDuplicate(all: readonly ServerProblem[]): (problem: ServerProblem) => boolean {
  const blocked = all.some(({ type }) => BLOCKING.has(type));
  return ({ type }) => blocked && type === "FieldValueDuplicate";
}

/** A map where a scalar belongs is one problem to us; the API server names its fields as well. */
function isInWrongType({ type, field }: ServerProblem, all: readonly ServerProblem[]): boolean {
  return (
    type === "Unknown" &&
    all.some((other) => other.type === "FieldValueTypeInvalid" && isIn(field, other.field))
  );
}

/** The check of integer formats puts the field into its text only. */
function theirField({ field, detail }: ServerProblem): string {
  return field === "<nil>" ? (/ in (\S+)$/.exec(detail)?.[1] ?? field) : field;
}

/** The API server names no single label where one is wrong. */
function fieldOf({ path }: Problem): string {
  return path.startsWith("metadata.labels.") ? "metadata.labels" : path;
}

/** Rules: the same ones must be broken, and we must name the same place or one inside it. */
function differentRules(
  ours: readonly Problem[],
  theirs: readonly ServerProblem[],
  idOfMessage: ReadonlyMap<string, string>,
): readonly string[] {
  const ourRules = ours.filter(isRule);
  const theirRules = theirs.filter(({ detail }) => idOfMessage.has(detail));
  const onlyWe = ourRules.filter(
    ({ rule, path }) =>
      !theirRules.some(
        ({ detail, field }) => idOfMessage.get(detail) === rule && isIn(path, field),
      ),
  );
  const onlyThey = theirRules.filter(
    ({ detail, field }) =>
      !ourRules.some(({ rule, path }) => idOfMessage.get(detail) === rule && isIn(path, field)),
  );
  return [
    ...onlyWe.map(({ rule, path }) => `only we apply ${rule ?? ""} at ${path}`),
    ...onlyThey.map(({ detail, field }) => `only they apply "${detail}" at ${field}`),
  ];
}

/** Metadata has no rules in the API server, only checks of its own. */
function isRule({ rule, path }: Problem): boolean {
  return rule !== undefined && !path.startsWith("metadata");
}

function isIn(path: string, field: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}

/** JSON with sorted keys; the API server does not store an empty map of labels. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (name, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    const entries = Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return name === "labels" && entries.length === 0 ? undefined : Object.fromEntries(entries);
  });
}
