/** Turns what zod finds into sentences in the style of the Kubernetes API. */
import type { z } from "zod";

import { nearestName } from "./nearest-name.ts";
import { formatPath, type Path } from "./rules.ts";

/** One thing that is wrong with an object. */
export interface Problem {
  /** For example `spec.ports[0].port`; empty for the object as a whole. */
  readonly path: string;
  /** The same place, for looking it up in a document. */
  readonly segments: Path;
  /** A sentence for a person, without the path. */
  readonly message: string;
  /** Identifier of the rule that is broken, where it is one with a CEL twin. */
  readonly rule?: string;
}

type Issue = z.core.$ZodIssue;
type OtherIssue = Exclude<Issue, { code: "custom" | "invalid_format" }>;

/** The issue as a problem. `input` is the whole value that was parsed. */
export function problemOf(issue: Issue, input: unknown): Problem {
  const segments = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  const rule: unknown = issue.code === "custom" ? issue.params?.["rule"] : undefined;
  return {
    path: formatPath(segments),
    segments,
    message: messageOf(issue, valueAt(input, segments)),
    ...(typeof rule === "string" ? { rule } : {}),
  };
}

function messageOf(issue: Issue, value: unknown): string {
  // Rules and patterns bring their own sentence.
  if (issue.code === "custom" || issue.code === "invalid_format") return issue.message;
  return value === undefined ? "must be set" : complaint(issue, value);
}

function complaint(issue: OtherIssue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${TYPES[issue.expected] ?? issue.expected}, not ${describe(value)}`;
    case "invalid_value":
      return oneOf(issue.values, value);
    case "too_small":
      return limit(issue.origin, "least", Number(issue.minimum), value);
    case "too_big":
      return limit(issue.origin, "most", Number(issue.maximum), value);
    default:
      return issue.message;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  object: "a map of fields",
  record: "a map of strings",
  array: "a list",
};

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return `the string "${shorten(value)}"`;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : typeof value;
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function oneOf(values: readonly z.core.util.Primitive[], value: unknown): string {
  const names = values.map(String);
  const last = names.at(-1) ?? "";
  const list = names.length > 1 ? `one of ${names.slice(0, -1).join(", ")} or ${last}` : last;
  const near = typeof value === "string" ? nearestName(value, names) : undefined;
  const hint = near === undefined || names.length === 1 ? "" : `; did you mean ${near}?`;
  return `must be ${list}, not ${describe(value)}${hint}`;
}

function limit(origin: string, side: "least" | "most", bound: number, value: unknown): string {
  const word = side === "least" ? "at least" : "at most";
  if (origin === "string") {
    if (side === "least" && bound === 1) return "may not be empty";
    return `must have ${word} ${bound} characters`;
  }
  if (origin === "array") {
    if (side === "least" && bound === 1) return "must have at least one entry";
    const count = Array.isArray(value) ? ` (has ${value.length})` : "";
    return `must have ${word} ${bound} entries${count}`;
  }
  const comparison = side === "least" ? "greater" : "less";
  return `must be ${comparison} than or equal to ${bound}, not ${describe(value)}`;
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    // Own properties of lists and maps alike; anything else has no parts.
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? (value as Readonly<Record<string | number, unknown>>)[part]
        : undefined,
    input,
  );
}
