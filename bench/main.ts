/**
 * `npm run bench`: measures in the lab, prints a table, and writes the rows as JSON where asked.
 * Everything that is compared runs in one guest, pinned to one core, in turns.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { cacheDirectory, PROJECT_ROOT } from "../test/lab/paths.ts";
import { runInLab } from "../test/lab/run.ts";
import type { Job } from "./guest.ts";
import { chooseKernel, placeName, raisePriority, requirePrograms } from "./lib/lab-place.ts";
import { buildNativeTools } from "./lib/native.ts";
import { installPeers } from "./lib/peers.ts";
import type { Row } from "./lib/row.ts";
import { formatTable } from "./lib/table.ts";
import { MEASURES } from "./measures/all.ts";

const HELP = `Measures lvs-operator beside the kernel's floor, ipvsadm, keepalived and npm packages.

Usage: npm run bench -- [options] [NAME...]

Options:
  --json FILE   also write the rows as JSON
  --rounds N    runs of each contestant, alternating [default 5]
  --list        show the measurements and exit
  --help        show this help and exit

Without a NAME all measurements run, about ten minutes. Times are medians; the smallest and the
largest are in brackets. Exit code 0: everything was measured, whether or not a goal was met; 1: a
measurement failed; 64: the command line is wrong.
`;

/** A guest has several tables of 10,000 services at a time, and a file for each in a tmpfs. */
const MEMORY_MIB = 4096;
const TIMEOUT_MS = 60 * 60_000;
const USAGE_ERROR = 64;

interface Options {
  readonly names: readonly string[];
  readonly rounds: number;
  readonly jsonFile: string | undefined;
}

async function bench(options: Options, signal: AbortSignal): Promise<number> {
  const kernel = chooseKernel();
  requirePrograms();
  console.error("building the C programs and installing the npm packages to compare with");
  const job: Job = {
    measures: options.names,
    rounds: options.rounds,
    tools: await buildNativeTools(cacheDirectory("bench"), signal),
    peersDirectory: options.names.includes("program-npm") ? await installPeers(signal) : null,
  };
  raisePriority();
  const rows: Row[] = [];
  const lines = new LineReader((line) => {
    // Printed by guest.ts of this version.
    rows.push(JSON.parse(line) as Row);
  });
  const result = await runInLab({
    argv: ["node", join(import.meta.dirname, "guest.ts"), JSON.stringify(job)],
    cwd: PROJECT_ROOT,
    kernel,
    memoryMiB: MEMORY_MIB,
    timeoutMs: TIMEOUT_MS,
    signal,
    onStdout: (chunk) => lines.push(chunk),
  });
  console.log(`On ${placeName(kernel)}, ${options.rounds} rounds, Node ${process.version}\n`);
  console.log(formatTable(rows));
  const missed = rows.filter((row) => row.met === false);
  console.log(
    `\n${rows.filter((row) => row.met === true).length} goals met, ${missed.length} missed`,
  );
  for (const { name, note } of MEASURES) {
    if (note !== undefined && options.names.includes(name)) console.log(`\n${note}`);
  }
  if (options.jsonFile !== undefined) {
    await writeFile(options.jsonFile, `${JSON.stringify(rows, null, 2)}\n`);
  }
  if (result.failure !== undefined) console.error(result.failure);
  return result.exitCode === 0 ? 0 : 1;
}

/** Cuts chunks into lines. */
class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
  }
}

/** @returns an exit code instead of options when there is nothing to measure */
function readOptions(argv: readonly string[]): Options | number {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: "string" },
      rounds: { type: "string", default: "5" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return print(HELP);
  if (values.list) return print(MEASURES.map((m) => `${m.name.padEnd(16)}${m.summary}\n`).join(""));
  const known = MEASURES.map(({ name }) => name);
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new TypeError(`no such measurement: ${unknown.join(", ")}`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError("--rounds must be 1 or more");
  const names = positionals.length === 0 ? known : positionals;
  return { names, rounds, jsonFile: values.json };
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function main(argv: readonly string[]): Promise<number> {
  let options: Options | number;
  try {
    options = readOptions(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return USAGE_ERROR;
  }
  if (typeof options === "number") return options;
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  try {
    return await bench(options, stop.signal);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
