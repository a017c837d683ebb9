/** `npm run lab -- ...`: the lab by hand. */
import { parseArgs } from "node:util";
import { defaultKernel, KERNEL_KINDS, type KernelKind } from "./kernel.ts";
import { PROJECT_ROOT } from "./paths.ts";
import { runInLab } from "./run.ts";
import { endSession, execInSession, sessionIsUp, shellInSession, startSession } from "./session.ts";

const HELP = `usage: npm run lab -- COMMAND

  up                  boot a guest with client, router, director-a, director-b, rs1 to rs4;
                      each real server answers HTTP on ports 80 and 8080
  shell HOST          a shell in a host of the running lab ("guest": outside of all hosts)
  exec HOST -- CMD    run a command in a host and exit with its code
  status              say whether the lab is up
  down                end the lab and all that runs in it
  run -- CMD          boot an empty guest for one command and exit with its code

options
  --name NAME         several labs at a time; default "lab"
  --kernel KIND       own (built by the project), debian, or 6.1; default own,
                      or debian while own has not been built
  --memory MIB        memory of the guest; default 2048
  --cpu N|any         CPU to stay on; default 0
  --mount DIR         share a directory read-write besides the project (may be repeated)
  --timeout SECONDS   limit for run; default 3600

The guest sees this machine's files; what it writes outside of the project is gone with it.
A machine that has IPVS and root runs \`run\` in namespaces of its own kernel instead;
LVS_LAB=guest asks for a guest there too.
`;

/** Wrong command line. */
const USAGE_ERROR = 2;

const OPTIONS = {
  help: { type: "boolean", short: "h" },
  name: { type: "string", default: "lab" },
  kernel: { type: "string" },
  memory: { type: "string", default: "2048" },
  cpu: { type: "string", default: "0" },
  mount: { type: "string", multiple: true },
  timeout: { type: "string", default: "3600" },
} as const;

interface Invocation {
  readonly name: string;
  readonly kernel: KernelKind;
  readonly memoryMiB: number;
  readonly cpu: number | "any";
  readonly mounts: readonly string[];
  readonly timeoutMs: number;
  /** Words before `--`, the command first. */
  readonly words: readonly string[];
  /** Words after `--`. */
  readonly argv: readonly string[];
}

class UsageError extends Error {}

function parse(args: readonly string[]): Invocation | "help" {
  const split = args.indexOf("--");
  const own = split < 0 ? args : args.slice(0, split);
  const { values, positionals } = parseArgs({
    args: [...own],
    options: OPTIONS,
    allowPositionals: true,
  });
  if (values.help === true || positionals.length === 0) return "help";
  const wanted = values.kernel ?? defaultKernel();
  const kernel = KERNEL_KINDS.find((kind) => kind === wanted);
  if (kernel === undefined) throw new UsageError(`no kernel "${wanted}"`);
  return {
    name: values.name,
    kernel,
    memoryMiB: positive("--memory", values.memory),
    cpu: values.cpu === "any" ? "any" : Number(values.cpu),
    mounts: values.mount ?? [],
    timeoutMs: 1000 * positive("--timeout", values.timeout),
    words: positionals,
    argv: split < 0 ? [] : args.slice(split + 1),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`${option}: "${text}" is no count`);
  return value;
}

async function up(invocation: Invocation): Promise<number> {
  const started = performance.now();
  await startSession(invocation);
  const program = `${PROJECT_ROOT}/test/lab/programs/lab-up.ts`;
  const code = await execInSession(invocation.name, ["node", program], { cwd: PROJECT_ROOT });
  if (code !== 0) {
    await endSession(invocation.name);
    return code;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const option = invocation.name === "lab" ? "" : ` --name ${invocation.name}`;
  process.stdout.write(
    `up in ${seconds} s; next: npm run lab --${option} shell director-a\n` +
      `             end: npm run lab --${option} down\n`,
  );
  return 0;
}

async function exec(invocation: Invocation): Promise<number> {
  const host = invocation.words[1];
  if (host === undefined || invocation.argv.length === 0) {
    throw new UsageError("say which host and which command: exec HOST -- CMD");
  }
  const inHost = host === "guest" ? [] : ["ip", "netns", "exec", host];
  const stdin = process.stdin.isTTY ? {} : { stdin: await readStdin() };
  return execInSession(invocation.name, [...inHost, ...invocation.argv], {
    cwd: PROJECT_ROOT,
    ...stdin,
  });
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  // A readable of bytes without an encoding yields buffers.
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function shell(invocation: Invocation): Promise<number> {
  if (!process.stdin.isTTY) throw new UsageError("a shell needs a terminal; for scripts: exec");
  await shellInSession(invocation.name, invocation.words[1] ?? "guest");
  return 0;
}

async function run(invocation: Invocation): Promise<number> {
  if (invocation.argv.length === 0) throw new UsageError("say which command: run -- CMD");
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => interrupted.abort());
  }
  const { name: _, ...options } = invocation;
  const result = await runInLab({ ...options, cwd: process.cwd(), signal: interrupted.signal });
  if (result.failure !== undefined) process.stderr.write(`lab: ${result.failure}\n`);
  return result.exitCode;
}

function status(invocation: Invocation): number {
  const isUp = sessionIsUp(invocation.name);
  process.stdout.write(`lab "${invocation.name}" is ${isUp ? "up" : "down"}\n`);
  return isUp ? 0 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  const invocation = parse(args);
  if (invocation === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  switch (invocation.words[0]) {
    case "up":
      return up(invocation);
    case "shell":
      return shell(invocation);
    case "exec":
      return exec(invocation);
    case "run":
      return run(invocation);
    case "status":
      return status(invocation);
    case "down":
      await endSession(invocation.name);
      return 0;
    default:
      throw new UsageError(`no command "${invocation.words[0]}"`);
  }
}

/** Whether `parseArgs` refused the command line. */
function isParseError(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError || isParseError(error);
  process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = usage ? USAGE_ERROR : 1;
}
