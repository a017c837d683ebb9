/**
 * One YAML document: which objects it holds and what is wrong with it. Places are relative to the
 * document, so that a document that did not change need not be looked at again when it moves.
 */
import { parseDocument, type Document, type YAMLError } from "yaml";

import { objectKey, type ObjectKey } from "../api/conditions.ts";
import { KINDS } from "../api/kinds.ts";
import { nearestName } from "../api/nearest-name.ts";
import { parseObject, type ApiObject } from "../api/parse.ts";
import { API_GROUP, API_VERSION } from "../api/v1alpha1/metadata.ts";
import { toError } from "../lib/errors.ts";
import { compact } from "./compact.ts";
import { offsetOf, placeAt, type Place } from "./place.ts";

/** Something to say about a place. */
export interface Finding extends Place {
  readonly severity: "Error" | "Notice";
  readonly message: string;
}

/** One object of our API, good or not. */
export interface ManifestItem extends Place {
  readonly key: ObjectKey;
  /** undefined = refused, see `findings`. */
  readonly object: ApiObject | undefined;
  readonly findings: readonly Finding[];
}

export interface ManifestDocument {
  readonly items: readonly ManifestItem[];
  /** About the document itself; those about an item are with the item. */
  readonly findings: readonly Finding[];
  /** false: it may hold objects that could not be told, so nothing can be concluded from absence. */
  readonly identified: boolean;
  /** It says in so many words that there is nothing: `kind: List` without items. */
  readonly emptyList: boolean;
}

/** Aliases may be used, but not to make gigabytes of a kilobyte. */
const MAX_ALIAS_COUNT = 100;
const LIST_FIELDS: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "items"]);
const KIND_NAMES = KINDS.map(({ kind }) => kind);
const NOTHING: ManifestDocument = { items: [], findings: [], identified: true, emptyList: false };

/** Parses the text of one document. Never throws for what is in the text. */
export function parseManifest(text: string): ManifestDocument {
  const failure = (offset: number, message: string): ManifestDocument => ({
    ...NOTHING,
    findings: [{ ...placeAt(text, offset), severity: "Error", message }],
    identified: false,
  });
  try {
    const document = parseDocument(text, {
      version: "1.2",
      prettyErrors: false,
      logLevel: "error",
    });
    const [trouble] = [...document.errors, ...document.warnings];
    if (trouble !== undefined) return failure(trouble.pos[0], syntaxMessage(trouble, text));
    return new DocumentReader(document, text).read();
  } catch (error) {
    return failure(0, limitMessage(error));
  }
}

/** yaml's own sentences, except where they speak to a programmer. */
function syntaxMessage(error: YAMLError, text: string): string {
  const [start, end] = error.pos;
  switch (error.code) {
    case "DUPLICATE_KEY":
      return `field "${keyText(text, start)}" occurs twice`;
    case "MULTIPLE_DOCS":
      return "content after the end of the document; begin another document with a line `---`";
    case "TAB_AS_INDENT":
      return "tab used for indentation; use spaces";
    case "TAG_RESOLVE_FAILED":
      return `tag ${text.slice(start, end)} is not supported`;
    default:
      // The parser catches its own overflow of the stack and passes on the engine's words.
      return error.message.startsWith("Maximum call stack")
        ? "nested too deeply"
        : `not valid YAML: ${error.message}`;
  }
}

function keyText(text: string, offset: number): string {
  return /^["']?([^"':\s]*)/.exec(text.slice(offset))?.[1] ?? "";
}

/** What the parser throws for: hostile or absurd input. No text may end a process that carries traffic. */
function limitMessage(thrown: unknown): string {
  const error = toError(thrown);
  if (error instanceof RangeError) return "nested too deeply";
  if (!(error instanceof ReferenceError)) return `cannot be read: ${error.message}`;
  return /excessive alias/i.test(error.message)
    ? `aliases expand to more than ${MAX_ALIAS_COUNT} copies; write the values out`
    : "an alias names an anchor that is not set before it";
}

type Fields = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

class DocumentReader {
  readonly #document: Document;
  readonly #text: string;
  readonly #items: ManifestItem[] = [];
  readonly #findings: Finding[] = [];
  #identified = true;

  constructor(document: Document, text: string) {
    this.#document = document;
    this.#text = text;
  }

  read(): ManifestDocument {
    const raw = detached(this.#document.toJS({ maxAliasCount: MAX_ALIAS_COUNT }));
    if (raw === null || raw === undefined) return NOTHING;
    const items = this.#listItems(raw);
    if (items === undefined) this.#readObject(raw, []);
    else items.forEach((item, index) => this.#readObject(item, ["items", index]));
    return {
      items: exact(this.#items),
      findings: exact(this.#findings),
      identified: this.#identified,
      emptyList: items?.length === 0 && this.#identified,
    };
  }

  /** Items of a List; undefined when it is none. */
  #listItems(raw: unknown): readonly unknown[] | undefined {
    if (!isFields(raw) || !isListKind(raw)) return undefined;
    for (const field of Object.keys(raw)) {
      if (!LIST_FIELDS.has(field)) this.#unidentified([field], this.#unknownListField(field));
    }
    const items: unknown = raw["items"];
    if (Array.isArray(items)) return items as readonly unknown[]; // a list of we do not know what
    this.#unidentified(["items"], "items: must be a list; write `items: []` for none");
    return [];
  }

  #unknownListField(field: string): string {
    const near = nearestName(field, LIST_FIELDS);
    const hint = near === undefined ? "" : `, did you mean \`${near}\`?`;
    return `${field}: unknown field \`${field}\`${hint}`;
  }

  #readObject(raw: unknown, path: Path): void {
    if (!isFields(raw)) {
      this.#unidentified(path, "must be an object with apiVersion, kind, metadata and spec");
      return;
    }
    if (this.#isForeign(raw, path)) return;
    const { ok, problems = [] } = parseObject(raw);
    const key = ok === undefined ? keyOf(raw) : objectKey(ok);
    const findings = problems.map((problem): Finding => {
      const message = problem.path === "" ? problem.message : `${problem.path}: ${problem.message}`;
      return { ...this.#place([...path, ...problem.segments]), severity: "Error", message };
    });
    if (key === undefined) {
      this.#findings.push(...findings);
      this.#identified = false;
      return;
    }
    const object = ok === undefined ? undefined : compact(ok);
    this.#items.push({ key, object, ...this.#place(path), findings: exact(findings) });
  }

  /** An object of another API group is none of our business; one that is misspelled is. */
  #isForeign(raw: Fields, path: Path): boolean {
    const { apiVersion, kind } = raw;
    if (typeof apiVersion !== "string" || typeof kind !== "string") return false;
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    if (group === API_GROUP) return false;
    if (nearestName(group, [API_GROUP]) !== undefined) return false;
    const message = `${kind} of ${apiVersion} skipped; only objects of ${API_VERSION} are read`;
    this.#findings.push({ ...this.#place(path), severity: "Notice", message });
    return true;
  }

  #unidentified(path: Path, message: string): void {
    this.#findings.push({ ...this.#place(path), severity: "Error", message });
    this.#identified = false;
  }

  #place(path: Path): Place {
    return placeAt(this.#text, offsetOf(this.#document, path));
  }
}

/**
 * A copy that shares nothing with the text. Strings cut out of a text keep all of it in memory, and
 * ten thousand objects would keep ten thousand texts; the JSON parser makes new ones, and only one
 * of each short one.
 */
function detached(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

const EMPTY: readonly never[] = [];

/** The same list without the spare room that a list that grew has; these stay for months. */
function exact<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? EMPTY : [...list];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isListKind({ apiVersion = "v1", kind }: Fields): boolean {
  if (kind === "List") return apiVersion === "v1";
  return apiVersion === API_VERSION && KIND_NAMES.some((name) => kind === `${name}List`);
}

/** Key of an object that is refused, as far as it says what it is. */
function keyOf({ kind, metadata }: Fields): ObjectKey | undefined {
  if (typeof kind !== "string" || !KIND_NAMES.includes(kind) || !isFields(metadata))
    return undefined;
  const { name, namespace = "default" } = metadata;
  if (typeof name !== "string" || typeof namespace !== "string") return undefined;
  return objectKey({ kind, metadata: { name, namespace } });
}
