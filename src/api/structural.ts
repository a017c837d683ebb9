/**
 * From the JSON schema that zod writes to the structural schema that a custom resource definition
 * may carry. Whatever the API server would refuse, ignore or be unable to bound is an error here,
 * at generation time.
 */
import { z } from "zod";

import { isRecord } from "./field-tree.ts";
import { RULES_KEYWORD, type CelRule } from "./rules.ts";

/** Node of a schema: plain JSON. */
export type SchemaNode = Readonly<Record<string, unknown>>;

/** The schema cannot be written as a structural one; `path` says where. A mistake of ours. */
export class StructuralError extends Error {
  override readonly name = "StructuralError";
  constructor(path: string, reason: string) {
    super(`${path}: ${reason}`);
  }
}

/**
 * JSON schema of what a person may write, still with the rules under `RULES_KEYWORD`.
 * Input side: defaulted fields are optional and defaults are kept.
 */
export function jsonSchemaOf(schema: z.ZodType): SchemaNode {
  const node: unknown = z.toJSONSchema(schema, {
    target: "openapi-3.0",
    io: "input",
    reused: "inline",
    cycles: "throw",
    unrepresentable: "throw",
  });
  return asNode(node, "");
}

function rulesOf(node: SchemaNode): readonly CelRule[] {
  // Only `withRules` writes this keyword, and it writes CelRule objects.
  return (node[RULES_KEYWORD] ?? []) as readonly CelRule[];
}

/** Rules of a node and of everything below it, each with its place, for example `spec.ports[]`. */
export function placedRules(
  node: SchemaNode,
  place: string,
): readonly { readonly place: string; readonly rule: CelRule }[] {
  const properties = isRecord(node["properties"]) ? Object.entries(node["properties"]) : [];
  const children = properties.map(([name, child]): [string, unknown] => [
    `${place}.${name}`,
    child,
  ]);
  return [
    ...rulesOf(node).map((rule) => ({ place, rule })),
    ...[...children, [`${place}[]`, node["items"]] as const].flatMap(([path, child]) =>
      isRecord(child) ? placedRules(child, path) : [],
    ),
  ];
}

/** Order of keywords in the output: what a reader wants to know first. */
const KEYWORDS = [
  "description",
  "type",
  "format",
  "default",
  "enum",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "maxProperties",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
  "required",
  "properties",
  "additionalProperties",
  "items",
  RULES_KEYWORD,
];

/**
 * The structural schema of a node of `jsonSchemaOf`.
 * @throws StructuralError
 */
export function toStructural(node: SchemaNode, path: string): SchemaNode {
  for (const keyword of Object.keys(node)) {
    if (!KEYWORDS.includes(keyword)) throw new StructuralError(path, `keyword ${keyword}`);
  }
  checkBounds(node, path);
  const entries = KEYWORDS.filter((keyword) => node[keyword] !== undefined).map(
    (keyword): [string, unknown] => convert(keyword, node[keyword], path),
  );
  const format = node["type"] === "integer" && node["format"] === undefined;
  return Object.fromEntries(format ? [...entries, ["format", "int32"]] : entries);
}

function convert(keyword: string, value: unknown, path: string): [string, unknown] {
  switch (keyword) {
    case "properties":
      return [keyword, convertProperties(asNode(value, path), path)];
    case "items":
      return [keyword, toStructural(asNode(value, path), `${path}[]`)];
    case "additionalProperties":
      return [keyword, toStructural(asNode(value, path), `${path}.*`)];
    case RULES_KEYWORD:
      // Only `withRules` writes this keyword, and it writes CelRule objects.
      return ["x-kubernetes-validations", (value as readonly CelRule[]).map(withoutId)];
    default:
      return [keyword, value];
  }
}

function convertProperties(properties: SchemaNode, path: string): SchemaNode {
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => {
      const place = `${path}.${name}`;
      const node = asNode(property, place);
      if (typeof node["description"] !== "string") throw new StructuralError(place, "undescribed");
      return [name, toStructural(node, place)];
    }),
  );
}

function withoutId({ rule, message, fieldPath }: CelRule): Omit<CelRule, "id"> {
  return { rule, message, ...(fieldPath === undefined ? {} : { fieldPath }) };
}

/** Everything must be bounded: the API server computes the cost of rules from these. */
function checkBounds(node: SchemaNode, path: string): void {
  const missing = REQUIRED_KEYWORDS[String(node["type"])];
  if (missing === undefined) throw new StructuralError(path, `type ${String(node["type"])}`);
  if (node["enum"] !== undefined) return;
  for (const keyword of missing(node)) {
    if (node[keyword] === undefined) throw new StructuralError(path, `no ${keyword}`);
  }
}

const REQUIRED_KEYWORDS: Readonly<Record<string, (node: SchemaNode) => readonly string[]>> = {
  string: () => ["maxLength"],
  integer: () => ["minimum", "maximum"],
  array: () => ["maxItems", "x-kubernetes-list-type", "items"],
  object: (node) =>
    node["properties"] === undefined ? ["maxProperties", "additionalProperties"] : [],
};

function asNode(value: unknown, path: string): SchemaNode {
  if (!isRecord(value)) throw new StructuralError(path, "not a schema");
  return value;
}
