/**
 * One description of a command's options gives its parser and its help text, so that `--help` can
 * never disagree with what is accepted. Built on node:util parseArgs.
 */
import { parseArgs } from "node:util";
import { LvsError } from "../lib/errors.ts";

/** The command line is wrong; the message says which word and where to read more. */
export class UsageError extends LvsError {
  override readonly name = "UsageError";
  readonly code = "LVS_USAGE";
  readonly retryable = false;
}

export interface OptionSpec {
  readonly type: "string" | "boolean" | "integer";
  /** One letter that stands for the name. */
  readonly short?: string;
  /** Word shown for the value: `DIR`. */
  readonly value?: string;
  readonly description: string;
  readonly default?: string | number;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  /** Bounds of an integer. */
  readonly min?: number;
  readonly max?: number;
}

export interface CommandSpec {
  /** As typed: `lvs-operator director`. */
  readonly name: string;
  readonly summary: string;
  /** Paragraphs below the options: examples, exit codes. */
  readonly details?: readonly string[];
  readonly options: Readonly<Record<string, OptionSpec>>;
}

export type OptionValues = ReadonlyMap<string, string | number | boolean>;

/** What every command accepts. */
const HELP: OptionSpec = {
  type: "boolean",
  short: "h",
  description: "Show this help and exit.",
};

/**
 * @returns the values given or defaulted; `help` is true when it was asked for, and then nothing
 *   else was checked
 * @throws UsageError
 */
export function parseCommandLine(spec: CommandSpec, argv: readonly string[]): OptionValues {
  const given = tokenize(spec, argv);
  if (given.get("help") === true) return given;
  const values = new Map<string, string | number | boolean>();
  for (const [name, option] of Object.entries(spec.options)) {
    const raw = given.get(name) ?? option.default;
    if (raw === undefined) {
      if (option.required === true) throw usage(spec, `--${name} is required`);
      continue;
    }
    values.set(name, checkValue(spec, name, raw));
  }
  return values;
}

function tokenize(spec: CommandSpec, argv: readonly string[]): OptionValues {
  const options = Object.fromEntries(
    Object.entries({ ...spec.options, help: HELP }).map(([name, { type, short }]) => [
      name,
      {
        type: type === "boolean" ? ("boolean" as const) : ("string" as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  try {
    const { values } = parseArgs({
      args: [...argv],
      options,
      strict: true,
      allowPositionals: false,
    });
    const known = new Map<string, string | boolean>();
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === "string" || typeof value === "boolean") known.set(name, value);
    }
    return known;
  } catch (error) {
    throw usage(spec, error instanceof Error ? error.message : String(error), error);
  }
}

function checkValue(
  spec: CommandSpec,
  name: string,
  raw: string | number | boolean,
): string | number | boolean {
  const option = spec.options[name];
  if (option?.type === "integer") return checkInteger(spec, name, raw);
  if (option?.choices !== undefined && !option.choices.includes(String(raw))) {
    throw usage(spec, `--${name} must be one of ${option.choices.join(", ")}, not "${raw}"`);
  }
  if (raw === "") throw usage(spec, `--${name} may not be empty`);
  return raw;
}

function checkInteger(spec: CommandSpec, name: string, raw: string | number | boolean): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = spec.options[name] ?? {};
  const value = Number(raw);
  if (!Number.isInteger(value) || value < min || value > max || raw === "") {
    const bounds = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
    throw usage(spec, `--${name} must be a whole number, ${bounds}, not "${raw}"`);
  }
  return value;
}

function usage(spec: CommandSpec, message: string, cause?: unknown): UsageError {
  return new UsageError(`${message}; see ${spec.name} --help`, { cause });
}

/** Text of the value, or undefined when it was not given and has no default. */
export function textOption(values: OptionValues, name: string): string | undefined {
  const value = values.get(name);
  return value === undefined ? undefined : String(value);
}

/** Number of an integer option that has a default. */
export function integerOption(values: OptionValues, name: string): number {
  return Number(values.get(name));
}

const COLUMN = 30;
const WIDTH = 100;

/** The help text of a command, at most 100 columns wide. */
export function formatHelp(spec: CommandSpec): string {
  const rows = Object.entries({ ...spec.options, help: HELP }).map(([name, option]) => {
    const letter = option.short === undefined ? "" : `-${option.short}, `;
    const value = option.value === undefined ? "" : ` ${option.value}`;
    return hang(`  ${letter}--${name}${value}`, `${option.description}${suffix(option)}`);
  });
  const paragraphs = [spec.summary, `Usage: ${spec.name} [options]`].map(paragraph);
  const details = (spec.details ?? []).map((text) => `\n${wrap(text, WIDTH).join("\n")}\n`);
  return [...paragraphs, "Options:\n", ...rows, ...details].join("");
}

function paragraph(text: string): string {
  return `${wrap(text, WIDTH).join("\n")}\n\n`;
}

function suffix(option: OptionSpec): string {
  const parts: string[] = [];
  if (option.choices !== undefined) parts.push(option.choices.join(" | "));
  if (option.required === true) parts.push("required");
  if (option.default !== undefined) parts.push(`default ${option.default}`);
  return parts.length === 0 ? "" : ` [${parts.join("; ")}]`;
}

/** `left` in a column of its own, `text` wrapped to the right of it. */
function hang(left: string, text: string): string {
  const indent = " ".repeat(COLUMN);
  const head = left.length < COLUMN ? left.padEnd(COLUMN) : `${left}\n${indent}`;
  return `${head}${wrap(text, WIDTH - COLUMN).join(`\n${indent}`)}\n`;
}

/** Lines of at most `width` characters, broken at blanks. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
