/**
 * From a decoded YAML document or a Kubernetes API answer to a checked object. All problems are
 * found at once; nothing is thrown for what a person wrote.
 */
import { fieldTree, isRecord, knownPart, withIgnoredFields, type FieldTree } from "./field-tree.ts";
import { KINDS, type KindDefinition } from "./kinds.ts";
import { problemOf, type Problem } from "./problems.ts";
import { nearestName } from "./nearest-name.ts";
import { API_VERSION, OTHER_METADATA_FIELDS } from "./v1alpha1/metadata.ts";
import type { RealServer } from "./v1alpha1/real-server.ts";
import type { VirtualService } from "./v1alpha1/virtual-service.ts";

/** Any object of our API group. */
export type ApiObject = VirtualService | RealServer;

/** Either the object, or why it is none. */
export type ParseOutcome =
  | { readonly ok: ApiObject; readonly problems?: undefined }
  | { readonly ok?: undefined; readonly problems: readonly Problem[] };

/**
 * Checks a value against the schema and the rules of its kind and applies the defaults. Unknown
 * fields are problems, `status` is not looked at, and a missing `metadata.namespace` is `default`.
 */
export function parseObject(raw: unknown): ParseOutcome {
  if (!isRecord(raw)) return refused("", "must be a map of fields: an object of this API");
  if (raw["apiVersion"] !== API_VERSION) return refused("apiVersion", `must be ${API_VERSION}`);
  const parser = typeof raw["kind"] === "string" ? PARSERS.get(raw["kind"]) : undefined;
  return parser === undefined ? refused("kind", kindMessage(raw["kind"])) : parser(raw);
}

type Parser = (raw: unknown) => ParseOutcome;

const PARSERS: ReadonlyMap<string, Parser> = new Map(
  KINDS.map((definition) => [definition.kind, parserOf(definition)]),
);

function parserOf({ object }: KindDefinition): Parser {
  const tree = objectTree(object);
  return (raw) => {
    const problems: Problem[] = [];
    const known = knownPart(raw, tree, [], problems);
    const result = object.safeParse(known);
    const found = result.success
      ? problems
      : [...problems, ...result.error.issues.map((issue) => problemOf(issue, known))];
    if (!result.success || found.length > 0) return { problems: found };
    // The registry erases which schema belongs to which kind; each of them yields an ApiObject.
    return { ok: result.data as unknown as ApiObject };
  };
}

function objectTree(object: KindDefinition["object"]): FieldTree {
  const tree = withIgnoredFields(fieldTree(object), ["status"]);
  const metadata = tree.kind === "object" ? tree.fields.get("metadata") : undefined;
  if (tree.kind !== "object" || metadata === undefined) return tree;
  const known = withIgnoredFields(metadata, OTHER_METADATA_FIELDS);
  return { kind: "object", fields: new Map([...tree.fields, ["metadata", known]]) };
}

function kindMessage(kind: unknown): string {
  const names = KINDS.map((definition) => definition.kind);
  const near = typeof kind === "string" ? nearestName(kind, names) : undefined;
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return `must be ${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}${hint}`;
}

function refused(field: string, message: string): ParseOutcome {
  return { problems: [{ path: field, segments: field === "" ? [] : [field], message }] };
}
