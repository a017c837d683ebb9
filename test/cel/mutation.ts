/** Breaks a JSON value in one place. */
import fc from "fast-check";

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Values that do not belong where they are put. */
const misfit = fc.constantFrom<Json>(
  null,
  true,
  -1,
  0,
  3.5,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  "",
  "x",
  "A b",
  "é",
  "x".repeat(400),
  [],
  {},
  [null],
  { x: 1 },
);
/** One change of a value: at which of its parts, and which. */
export const mutation = fc.record({
  at: fc.nat(),
  how: fc.constantFrom("replace", "remove", "add", "repeat"),
  value: misfit,
});
export type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

/** The value with the `at`-th of its parts (depth first) changed. */
export function mutate(value: Json, { at, how, value: misfitValue }: Mutation): Json {
  const target = at % countParts(value);
  let seen = -1;
  const walk = (part: Json): Json | undefined => {
    seen += 1;
    if (seen === target) return changed(part, how, misfitValue);
    if (Array.isArray(part)) return part.map(walk).filter((item) => item !== undefined);
    if (!isMap(part)) return part;
    return Object.fromEntries(
      Object.entries(part).flatMap(([key, child]) => {
        const result = walk(child);
        return result === undefined ? [] : [[key, result]];
      }),
    );
  };
  return walk(value) ?? {};
}

function changed(part: Json, how: Mutation["how"], value: Json): Json | undefined {
  if (how === "remove") return undefined;
  if (how === "add" && isMap(part)) return { ...part, schedular: value };
  if (how === "repeat" && isList(part)) return [...part, ...part];
  return value;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isMap(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function countParts(value: Json): number {
  if (typeof value !== "object" || value === null) return 1;
  // Object.values gives the items of a list and the values of a map alike.
  return Object.values(value).reduce((sum: number, child: Json) => sum + countParts(child), 1);
}
