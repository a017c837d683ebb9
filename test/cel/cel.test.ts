import { readdirSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { beforeAll, describe, expect, it, type TestContext } from "vitest";

import { KINDS } from "../../src/api/kinds.ts";
import { parseObject } from "../../src/api/parse.ts";
import { jsonSchemaOf, placedRules } from "../../src/api/structural.ts";
import { EXAMPLES } from "../../src/api/v1alpha1/examples.ts";
import { disagreements } from "./agreement.ts";
import {
  buildChecker,
  missingGo,
  runChecker,
  type ServerProblem,
  type Verdicts,
} from "./checker.ts";
import { anyObject } from "./objects.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DEFINITIONS = readdirSync(join(ROOT, "crds")).map((name) => join(ROOT, "crds", name));
const BUILD_TIMEOUT_MS = 21 * 60_000;
/** Limits of the API server: estimated cost of one rule, and of all rules of a definition. */
const RULE_COST_LIMIT = 10_000_000;
const DEFINITION_COST_LIMIT = 100_000_000;
const RANDOM_OBJECTS = 2000;
const COMPARE_TIMEOUT_MS = 120_000;
const SEED = 20_261_121;

let unavailable: string | undefined;
let program = "";

beforeAll(async () => {
  unavailable = await missingGo();
  if (unavailable === undefined) {
    program = await buildChecker((line) => console.warn(line));
  } else if (process.env["CI"] === "true") {
    throw new Error(unavailable);
  } else {
    console.warn(`skipped: ${unavailable}`);
  }
}, BUILD_TIMEOUT_MS);

function check(context: TestContext, objects: readonly unknown[]): Promise<Verdicts> {
  if (unavailable !== undefined) context.skip(unavailable);
  return runChecker(program, DEFINITIONS, objects);
}

interface Sample {
  readonly label: string;
  readonly kind: string;
  readonly rule: string | undefined;
  readonly object: object;
}

/** Every example of every rule, as whole objects. */
const SAMPLES: readonly Sample[] = Object.entries(EXAMPLES).flatMap(([kind, { base, rules }]) => [
  { label: `${kind} base`, kind, rule: undefined, object: base },
  ...Object.entries(rules).flatMap(([id, pairs]) =>
    pairs.flatMap(({ accepted, refused }, index) => [
      {
        label: `${kind} ${id} accepted ${index}`,
        kind,
        rule: undefined,
        object: { ...base, spec: { ...base.spec, ...accepted } },
      },
      {
        label: `${kind} ${id} refused ${index}`,
        kind,
        rule: id,
        object: { ...base, spec: { ...base.spec, ...refused } },
      },
    ]),
  ),
]);

/** Message of each rule → its id; the API server tells rules by their messages only. */
const ID_OF_MESSAGE: ReadonlyMap<string, string> = new Map(
  KINDS.flatMap(({ spec }) =>
    placedRules(jsonSchemaOf(spec), "spec").map(({ rule }) => [rule.message, rule.id] as const),
  ),
);

describe("the definitions in a real API server's code", () => {
  it("are accepted: structural, with rules that compile and are cheap enough", async (context) => {
    const { definitions } = await check(context, []);
    expect(definitions).toHaveLength(KINDS.length);
    for (const { name, problems } of definitions)
      expect({ name, problems }).toEqual({ name, problems: [] });
  });

  it("have rules that the oldest supported API server compiles, far below its cost limits", async (context) => {
    const { definitions } = await check(context, []);
    for (const { name, costs } of definitions) {
      expect(costs.filter((cost) => cost.error !== undefined)).toEqual([]);
      const total = costs.reduce((sum, { cost }) => sum + cost, 0);
      const dearest = costs.reduce((a, b) => (a.cost > b.cost ? a : b));
      console.info(
        `${name}: ${costs.length} rules, dearest ${dearest.cost} of ${RULE_COST_LIMIT} (${dearest.field}), all ${total} of ${DEFINITION_COST_LIMIT}`,
      );
      expect(dearest.cost).toBeLessThan(RULE_COST_LIMIT / 10);
      expect(total).toBeLessThan(DEFINITION_COST_LIMIT / 10);
    }
  });
});

describe("the rules in a real API server's code", () => {
  it("accept and refuse every example as our own parser does, by the same rule", async (context) => {
    const { objects } = await check(
      context,
      SAMPLES.map((sample) => sample.object),
    );
    expect(objects).toHaveLength(SAMPLES.length);
    SAMPLES.forEach(({ label, rule, object }, index) => {
      const problems = objects[index]?.problems ?? [];
      const refusedBy = [...new Set(problems.map(ruleId))];
      expect({ label, refusedBy }).toEqual({ label, refusedBy: rule === undefined ? [] : [rule] });
      expect(differences(object, objects[index])).toEqual([]);
    });
  });

  it(
    `agree with our own parser on ${RANDOM_OBJECTS} random objects: verdict, fields, rules, defaults`,
    async (context) => {
      const samples = fc.sample(anyObject, { numRuns: RANDOM_OBJECTS, seed: SEED });
      const { objects } = await check(context, samples);
      const seen = new Map<string, number>();
      let accepted = 0;
      samples.forEach((sample, index) => {
        expect(differences(sample, objects[index])).toEqual([]);
        const outcome = parseObject(sample);
        if (outcome.ok !== undefined) accepted += 1;
        for (const { rule } of outcome.problems ?? []) {
          if (rule !== undefined) seen.set(rule, (seen.get(rule) ?? 0) + 1);
        }
      });
      console.info(`${samples.length} objects, ${accepted} accepted, ${seen.size} rules broken`);
      expect(accepted).toBeGreaterThan(RANDOM_OBJECTS / 10);
      expect([...seen.keys()].sort()).toEqual(allRules());
    },
    COMPARE_TIMEOUT_MS,
  );
});

/** Disagreements about an object, with the object where there is one. */
function differences(
  object: object,
  verdict: Verdicts["objects"][number] | undefined,
): readonly string[] {
  if (verdict === undefined) return ["no verdict"];
  const found = disagreements(parseObject(object), verdict, ID_OF_MESSAGE);
  return found.length === 0 ? [] : [JSON.stringify(object), ...found];
}

function allRules(): readonly string[] {
  return [...new Set(ID_OF_MESSAGE.values())].sort();
}

/** The rule behind a refusal, or the refusal itself when it is none of ours. */
function ruleId({ type, field, detail }: ServerProblem): string {
  return ID_OF_MESSAGE.get(detail) ?? `${type} ${field}: ${detail}`;
}
