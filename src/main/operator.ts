/** The program `lvs-operator`: picks the agent and runs it. */
import process from "node:process";
import { formatHelp, parseCommandLine, UsageError, type CommandSpec } from "../cli/command-line.ts";
import { DIRECTOR, EXIT, REALSERVER } from "../cli/specs.ts";
import { toError } from "../lib/errors.ts";
import { agentOptions, type AgentOptions } from "./agent-options.ts";
import { runDirector } from "./director.ts";
import { describeError, exitStatus } from "./errors.ts";
import { runRealServer } from "./real-server.ts";
import { VERSION } from "./version.ts";

interface Role {
  readonly spec: CommandSpec;
  /** @returns the exit status */
  run(options: AgentOptions): Promise<number>;
}

const ROLES: Readonly<Record<string, Role>> = {
  director: { spec: DIRECTOR, run: runDirector },
  realserver: { spec: REALSERVER, run: runRealServer },
};

const HELP = `lvs-operator ${VERSION}: manages LVS (kernel IPVS) from VirtualService and RealServer objects.

Usage: lvs-operator COMMAND [options]

Commands:
  director      ${DIRECTOR.summary}
  realserver    ${REALSERVER.summary}
  version       Print the version.

lvs-operator COMMAND --help tells the options of a command. lvsctl is the tool for people.
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
  const role = Object.hasOwn(ROLES, name) ? ROLES[name] : undefined;
  if (role === undefined) {
    throw new UsageError(`there is no command "${name}"; see lvs-operator --help`);
  }
  const values = parseCommandLine(role.spec, rest);
  if (values.get("help") !== true) return role.run(agentOptions(values));
  process.stdout.write(formatHelp(role.spec));
  return EXIT.ok;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = toError(thrown);
  process.stderr.write(`lvs-operator: ${describeError(error)}\n`);
  process.exit(exitStatus(error));
}
