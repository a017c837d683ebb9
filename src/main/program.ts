/** A program made of commands: what both of ours do before and after the command's own work. */
import process from "node:process";
import {
  formatHelp,
  parseCommandLine,
  UsageError,
  type CommandSpec,
  type OptionValues,
} from "../cli/command-line.ts";
import { EXIT } from "../cli/specs.ts";
import { toError } from "../lib/errors.ts";
import { describeError, exitStatus } from "./errors.ts";
import { VERSION } from "./version.ts";

export interface Command {
  readonly spec: CommandSpec;
  /** @returns the exit status */
  run(values: OptionValues): Promise<number>;
}

export interface Program {
  readonly name: string;
  /** What it is for, in half a line. */
  readonly purpose: string;
  /** By the word that is typed, in the order of the help text. */
  readonly commands: Readonly<Record<string, Command>>;
  /** Said last in the help text. */
  readonly hint: string;
}

/** Runs the command that was typed and sets the exit status; errors go to standard error. */
export async function runProgram(program: Program): Promise<void> {
  try {
    process.exitCode = await dispatch(program, process.argv.slice(2));
  } catch (thrown) {
    const error = toError(thrown);
    process.stderr.write(`${program.name}: ${describeError(error)}\n`);
    process.exit(exitStatus(error));
  }
}

async function dispatch(program: Program, argv: readonly string[]): Promise<number> {
  const [word = "--help", ...rest] = argv;
  const text = generalAnswer(program, word);
  if (text !== undefined) {
    process.stdout.write(text);
    return argv.length === 0 ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(program.commands, word) ? program.commands[word] : undefined;
  if (command === undefined) {
    throw new UsageError(`there is no command "${word}"; see ${program.name} --help`);
  }
  const values = parseCommandLine(command.spec, rest);
  if (values.get("help") !== true) return command.run(values);
  process.stdout.write(formatHelp(command.spec));
  return EXIT.ok;
}

/** What is answered without a command. */
function generalAnswer(program: Program, word: string): string | undefined {
  if (["--help", "-h", "help"].includes(word)) return helpText(program);
  return ["--version", "version"].includes(word) ? `${VERSION}\n` : undefined;
}

function helpText({ name, purpose, commands, hint }: Program): string {
  const rows = Object.entries(commands).map(([word, { spec }]) => [word, spec.summary] as const);
  const lines = [...rows, ["version", "Print the version."] as const].map(
    ([word, summary]) => `  ${word.padEnd(12)}${summary}\n`,
  );
  return (
    `${name} ${VERSION}: ${purpose}.\n\nUsage: ${name} COMMAND [options]\n\nCommands:\n` +
    `${lines.join("")}\n${name} COMMAND --help tells the options of a command. ${hint}\n`
  );
}
