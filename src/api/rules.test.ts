import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";
import { z } from "zod";

import { KINDS } from "./kinds.ts";
import { parseObject } from "./parse.ts";
import { failIf, formatPath, listMap, listSet, stringMap, withRules } from "./rules.ts";
import { jsonSchemaOf, placedRules } from "./structural.ts";
import { EXAMPLES } from "./v1alpha1/examples.ts";

/** The one place that may add checks, and a file without schemas that lowers names to compare them. */
const EXEMPT: ReadonlySet<string> = new Set(["rules.ts", "nearest-name.ts"]);

function sourceFiles(): readonly string[] {
  return readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
}

describe("schemas", () => {
  it.each(sourceFiles().filter((name) => !EXEMPT.has(name)))(
    "%s adds no check, transform or strictness that leaves no trace in the definition",
    (name) => {
      const text = readFileSync(join(import.meta.dirname, name), "utf8");
      const banned =
        /\.(refine|superRefine|check|transform|overwrite|pipe|catch|trim|toLowerCase|strict|loose|nullable|nullish)\(|z\.(strictObject|looseObject|union|discriminatedUnion|preprocess|codec|any|unknown|coerce)\b/g;
      const found = text.split("\n").filter((line) => line.match(banned) !== null);
      expect(found).toEqual([]);
    },
  );
});

describe.each(KINDS)("rules of $kind", ({ kind, spec }) => {
  const rules = placedRules(jsonSchemaOf(spec), "spec").map(({ rule }) => rule);
  const examples = EXAMPLES[kind];

  it("have one meaning and one message for each id", () => {
    const byId = new Map(rules.map((rule) => [rule.id, rule]));
    for (const rule of rules) expect(byId.get(rule.id)).toEqual(rule);
    const messages = [...byId.values()].map((rule) => rule.message);
    expect(new Set(messages).size).toBe(messages.length);
  });

  it("have messages in the style of the Kubernetes API", () => {
    for (const { message } of rules) expect(message).toMatch(/^(must|may not) .*[^.]$/);
  });

  it("all have examples, and every example belongs to a rule", () => {
    expect(Object.keys(examples?.rules ?? {}).sort()).toEqual(
      [...new Set(rules.map((rule) => rule.id))].sort(),
    );
  });

  const rows = Object.entries(examples?.rules ?? {}).flatMap(([id, pairs]) =>
    pairs.map((pair, index) => ({ id, index, ...pair })),
  );
  it.each(rows)("$id accepts its accepted example $index", ({ accepted }) => {
    const object = { ...examples?.base, spec: { ...examples?.base.spec, ...accepted } };
    expect(parseObject(object).problems).toBeUndefined();
  });
  it.each(rows)("$id alone refuses its refused example $index", ({ id, refused }) => {
    const object = { ...examples?.base, spec: { ...examples?.base.spec, ...refused } };
    const broken = parseObject(object).problems?.map((problem) => problem.rule);
    expect([...new Set(broken)]).toEqual([id]);
  });
});

describe("withRules", () => {
  const schema = withRules(z.object({ a: z.int32(), b: z.int32() }), [
    {
      id: "order",
      rule: "self.a <= self.b",
      message: "must be in order",
      fieldPath: ".a",
      violations: (self) => failIf(self.a > self.b, "a"),
    },
  ]);

  it("names the rule and the place of a violation", () => {
    const result = schema.safeParse({ a: 2, b: 1 });
    expect(result.error?.issues).toMatchObject([
      { path: ["a"], message: "must be in order", params: { rule: "order" } },
    ]);
  });

  it("puts the CEL half of the rule into the JSON schema", () => {
    expect(placedRules(jsonSchemaOf(schema), "spec")).toEqual([
      {
        place: "spec",
        rule: {
          id: "order",
          rule: "self.a <= self.b",
          message: "must be in order",
          fieldPath: ".a",
        },
      },
    ]);
  });

  it("lets the rules of the enclosing object run after a violation", () => {
    const outer = withRules(z.object({ inner: schema }), [
      { id: "never", rule: "false", message: "must fail", violations: () => [{ path: [] }] },
    ]);
    expect(outer.safeParse({ inner: { a: 2, b: 1 } }).error?.issues).toHaveLength(2);
  });
});

describe("lists and maps", () => {
  const named = z.object({ name: z.string().max(9).default("main"), n: z.int32().optional() });

  it("listMap refuses the second item with the keys of another, defaults included", () => {
    const issues = listMap(named, ["name"], { max: 3 }).safeParse([
      {},
      { name: "x" },
      { name: "main" },
    ]);
    expect(issues.error?.issues).toMatchObject([
      { path: [2], message: "may not repeat `name` main" },
    ]);
  });

  it("listSet refuses a repeated string", () => {
    expect(
      listSet(z.string().max(9), { max: 3 }).safeParse(["a", "b", "a"]).error?.issues,
    ).toMatchObject([{ path: [2], message: 'may not repeat "a"' }]);
  });

  it("stringMap refuses more entries than it may have", () => {
    const map = stringMap(z.string().max(9), 1);
    expect(map.safeParse({ a: "1" }).success).toBe(true);
    expect(map.safeParse({ a: "1", b: "2" }).error?.issues).toMatchObject([
      { path: [], message: "may not have more than 1 entries (has 2)" },
    ]);
  });

  it("formatPath writes places as the API server does", () => {
    expect(formatPath(["spec", "ports", 0, "port"])).toBe("spec.ports[0].port");
    expect(formatPath([])).toBe("");
  });
});
