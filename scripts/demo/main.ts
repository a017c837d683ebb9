/**
 * `npm run demo`: runs the scenario in the lab and passes on what it prints. Runs on the host;
 * everything that touches a network happens in the lab.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { findKernel, type KernelKind } from "../../test/lab/kernel.ts";
import { PROJECT_ROOT } from "../../test/lab/paths.ts";
import { runInLab } from "../../test/lab/run.ts";
import { endSession, execInSession, startSession } from "../../test/lab/session.ts";

const HELP = `usage: npm run demo -- [options]

Starts a lab with a client, a router, a director and four real servers, gives the agents a YAML
file, and shows how packets follow it.

  --method METHOD   dr, nat or tun; default dr
  --keep            leave the lab up to play with; npm run lab -- shell director-a
  --json            print one JSON object at the end, and nothing else on standard output
  --kernel KIND     own or debian; default: own when it is built, else debian
  --help            this text
`;

const METHODS = ["dr", "nat", "tun"];
const KERNELS: readonly KernelKind[] = ["own", "debian"];
const TIMEOUT_MS = 300_000;
/** Name of the lab that `--keep` leaves; the default of `npm run lab`. */
const KEPT_LAB = "lab";
const USAGE_ERROR = 2;

class UsageError extends Error {}

interface Invocation {
  readonly method: string;
  readonly keep: boolean;
  readonly json: boolean;
  readonly kernel: KernelKind;
}

function parse(args: readonly string[]): Invocation | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      method: { type: "string", default: "dr" },
      keep: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      kernel: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const method = values.method.toLowerCase();
  if (!METHODS.includes(method)) {
    throw new UsageError(`--method must be one of ${METHODS.join(", ")}, not "${values.method}"`);
  }
  return { method, keep: values.keep, json: values.json, kernel: chooseKernel(values.kernel) };
}

function chooseKernel(wish: string | undefined): KernelKind {
  const chosen = KERNELS.find((kind) =>
    wish === undefined ? findKernel(kind) !== undefined : kind === wish,
  );
  if (chosen === undefined) {
    throw new UsageError(
      wish === undefined
        ? "no lab kernel is there; make one with: npm run setup -- --kernel debian"
        : `--kernel must be one of ${KERNELS.join(", ")}, not "${wish}"`,
    );
  }
  return chosen;
}

async function run({ method, keep, json, kernel }: Invocation): Promise<number> {
  const scenario = `${PROJECT_ROOT}/scripts/demo/scenario.ts`;
  const flags = [...(keep ? ["--keep"] : []), ...(json ? ["--json"] : [])];
  const argv = ["node", scenario, "--method", method, ...flags];
  if (keep) return runKept(argv, kernel);
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort());
  const result = await runInLab({
    argv,
    cwd: PROJECT_ROOT,
    kernel,
    timeoutMs: TIMEOUT_MS,
    signal: interrupted.signal,
  });
  if (result.failure !== undefined) process.stderr.write(`demo: ${result.failure}\n`);
  return result.exitCode;
}

async function runKept(argv: readonly string[], kernel: KernelKind): Promise<number> {
  await startSession({ name: KEPT_LAB, kernel });
  const code = await execInSession(KEPT_LAB, argv, { cwd: PROJECT_ROOT });
  if (code === 0) return 0;
  await endSession(KEPT_LAB);
  return code;
}

try {
  const invocation = parse(process.argv.slice(2));
  if (invocation === "help") process.stdout.write(HELP);
  else process.exitCode = await run(invocation);
} catch (error) {
  const usage = error instanceof UsageError || (error instanceof Error && "code" in error);
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = usage ? USAGE_ERROR : 1;
}
