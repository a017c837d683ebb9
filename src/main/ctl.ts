/** The program `lvsctl`, the tool for people. */
import process from "node:process";
import {
  formatHelp,
  parseCommandLine,
  UsageError,
  type CommandSpec,
  type OptionValues,
} from "../cli/command-line.ts";
import { CLEANUP, EXIT, LIST, PLAN } from "../cli/specs.ts";
import { toError } from "../lib/errors.ts";
import { describeError, exitStatus } from "./errors.ts";
import { runCleanup, runList, runPlan } from "./lvsctl-commands.ts";
import { stopSignal } from "./stop-signal.ts";
import { VERSION } from "./version.ts";

interface Command {
  readonly spec: CommandSpec;
  /** @returns the exit status */
  run(values: OptionValues, signal: AbortSignal): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  plan: { spec: PLAN, run: runPlan },
  list: { spec: LIST, run: runList },
  cleanup: { spec: CLEANUP, run: runCleanup },
};

const HELP = `lvsctl ${VERSION}: looks at and tidies up what lvs-operator does on this node.

Usage: lvsctl COMMAND [options]

Commands:
  plan       ${PLAN.summary}
  list       ${LIST.summary}
  cleanup    ${CLEANUP.summary}
  version    Print the version.

lvsctl COMMAND --help tells the options of a command.
`;

/** What is answered without a command. */
const GENERAL: ReadonlyMap<string, string> = new Map([
  ["--help", HELP],
  ["-h", HELP],
  ["help", HELP],
  ["--version", `${VERSION}\n`],
  ["version", `${VERSION}\n`],
]);

async function main(argv: readonly string[]): Promise<number> {
  const [name = "--help", ...rest] = argv;
  const text = GENERAL.get(name);
  if (text !== undefined) {
    process.stdout.write(text);
    return argv.length === 0 ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new UsageError(`there is no command "${name}"; see lvsctl --help`);
  }
  const values = parseCommandLine(command.spec, rest);
  if (values.get("help") !== true)
    return command.run(
      values,
      stopSignal(() => undefined),
    );
  process.stdout.write(formatHelp(command.spec));
  return EXIT.ok;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = toError(thrown);
  process.stderr.write(`lvsctl: ${describeError(error)}\n`);
  process.exit(exitStatus(error));
}
