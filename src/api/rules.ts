/**
 * Validation rules that hold twice: as a zod check in this program and as a CEL expression in the
 * custom resource definition. A rule is written once, with both halves side by side, and a test
 * gives both the same examples. Nothing else in `src/api` may add a check to a schema: a bare
 * `.refine` would leave no trace in the definition.
 */
import { z } from "zod";

/** A place below a value: property names and list indexes. */
export type Path = readonly (string | number)[];

/** `spec.ports[0].port`, the spelling of the API server. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

/** One place that breaks a rule. */
export interface Violation {
  /** Relative to the value the rule belongs to; the most precise place we know. */
  readonly path: Path;
  /** What exactly is wrong there, appended to the rule's message. */
  readonly detail?: string;
}

/** The half of a rule that the API server runs. */
export interface CelRule {
  /** Stable name of the rule for tests, docs and logs; unique in a kind. */
  readonly id: string;
  /** CEL expression over `self`; true = accepted. */
  readonly rule: string;
  /** Starts with "must" or "may not"; field names in back-quotes. Unique in a kind. */
  readonly message: string;
  /** Property of `self` that the API server names in the refusal, for example `.endPort`. */
  readonly fieldPath?: string;
}

/** A rule on values of type T. */
export interface Rule<T> extends CelRule {
  /** Every place where `self` breaks the rule; empty exactly when the CEL expression is true. */
  readonly violations: (self: T) => readonly Violation[];
}

/**
 * Keyword under which rules travel in the JSON schema, until the generator turns them into
 * `x-kubernetes-validations`.
 */
export const RULES_KEYWORD = "x-lvs-rules";

/** Attaches rules, both halves, to a schema. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const checked = schema.check((context) => {
    for (const rule of rules) {
      for (const violation of rule.violations(context.value)) {
        context.issues.push({
          code: "custom",
          input: context.value,
          path: [...violation.path],
          message: messageOf(rule, violation),
          params: { rule: rule.id },
          // The rules of enclosing objects run as well, so that a person sees all problems at once.
          continue: true,
        });
      }
    }
  });
  return checked.meta({ [RULES_KEYWORD]: rules.map(celHalf) });
}

function messageOf(rule: CelRule, violation: Violation): string {
  return violation.detail === undefined ? rule.message : `${rule.message} (${violation.detail})`;
}

function celHalf({ id, rule, message, fieldPath }: CelRule): CelRule {
  return { id, rule, message, ...(fieldPath === undefined ? {} : { fieldPath }) };
}

/** One violation at `path` when `broken`, else none. */
export function failIf(broken: boolean, ...path: Path): readonly Violation[] {
  return broken ? [{ path }] : [];
}

interface ListLimits {
  readonly min?: number;
  readonly max: number;
}

/** List whose items are told apart by `keys`; the API server merges and checks it as a map. */
export function listMap<S extends z.ZodType<object>>(
  item: S,
  keys: readonly (keyof z.output<S> & string)[],
  limits: ListLimits,
): z.ZodArray<S> {
  return uniqueList(item, limits, (value) =>
    keys.map((key) => `\`${key}\` ${String(value[key])}`).join(" and "),
  ).meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [...keys] });
}

/** List of distinct strings. */
export function listSet<S extends z.ZodType<string>>(item: S, limits: ListLimits): z.ZodArray<S> {
  return uniqueList(item, limits, (value) => `"${value}"`).meta({
    "x-kubernetes-list-type": "set",
  });
}

/** List that is replaced as a whole. */
export function listAtomic<S extends z.ZodType>(item: S, limits: ListLimits): z.ZodArray<S> {
  return z
    .array(item)
    .min(limits.min ?? 0)
    .max(limits.max)
    .meta({ "x-kubernetes-list-type": "atomic" });
}

/** The CEL twin of this check is the list type itself: the API server refuses equal keys. */
function uniqueList<S extends z.ZodType>(
  item: S,
  limits: ListLimits,
  nameOf: (value: z.output<S>) => string,
): z.ZodArray<S> {
  return listAtomic(item, limits).check((context) => {
    const count = new Map<string, number>();
    context.value.forEach((value, index) => {
      const name = nameOf(value);
      count.set(name, (count.get(name) ?? 0) + 1);
      // Once for each name, as the API server does.
      if (count.get(name) !== 2) return;
      context.issues.push({
        code: "custom",
        input: value,
        path: [index],
        message: `may not repeat ${name}`,
        continue: true,
      });
    });
  });
}

/**
 * Map from label keys to values as Kubernetes has them. The API server bounds the number of
 * entries with `maxProperties`, which zod has no word for.
 */
export function stringMap<S extends z.ZodType<string>>(
  value: S,
  maxProperties: number,
): z.ZodRecord<z.ZodString, S> {
  return z
    .record(z.string(), value)
    .check((context) => {
      const count = Object.keys(context.value).length;
      if (count <= maxProperties) return;
      context.issues.push({
        code: "custom",
        input: context.value,
        message: `may not have more than ${maxProperties} entries (has ${count})`,
        continue: true,
      });
    })
    .meta({ maxProperties });
}
