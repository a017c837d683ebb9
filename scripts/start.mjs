/**
 * The npm scripts: makes ready what a command needs, then becomes the command, run by the project's
 * own Node. `node scripts/start.mjs NAME ARGUMENTS...`; the names are those of the table below.
 */
import { spawn } from "node:child_process";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { asProgram, COMPILER_PACKAGES, ensure, LAB_PACKAGES } from "./setup.mjs";
import { ROOT, SetupError } from "./setup/system.mjs";

/** @typedef {{ argv: readonly string[], needs?: import("./setup.mjs").Needs }} Command */

/** @type {import("./setup.mjs").Needs} */
const LAB = { addon: true, debianPackages: LAB_PACKAGES, kernels: ["own"] };
/** @type {import("./setup.mjs").Needs} */
const QUICK_LAB = { ...LAB, kernels: ["any"], guest: true };

/**
 * What each suite of `npm test` needs; suites.test.ts holds the two lists together.
 * @type {Readonly<Record<string, import("./setup.mjs").Needs>>}
 */
export const SUITE_NEEDS = {
  format: {},
  lint: {},
  types: {},
  unit: {},
  native: { addon: true, debianPackages: [...LAB_PACKAGES, ...COMPILER_PACKAGES] },
  cel: { go: true },
  lab: LAB,
  kernel61: { ...LAB, kernels: ["6.1"] },
  kernel: LAB,
  e2e: LAB,
};

/** @type {Readonly<Record<string, Command>>} */
const COMMANDS = {
  demo: { argv: ["node", "scripts/demo/main.ts"], needs: QUICK_LAB },
  lab: { argv: ["node", "test/lab/cli.ts"], needs: QUICK_LAB },
  bench: {
    argv: ["node", "bench/main.ts"],
    needs: { ...LAB, debianPackages: [...LAB_PACKAGES, ...COMPILER_PACKAGES, "keepalived"] },
  },
  test: {
    argv: ["node", "scripts/suites/main.ts"],
    needs: allOf(Object.values(SUITE_NEEDS)),
  },
  "test:unit": { argv: ["node", "scripts/suites/main.ts", "unit"] },
  "test:kernel": { argv: ["node", "scripts/suites/main.ts", "kernel"], needs: LAB },
  "test:e2e": { argv: ["node", "scripts/suites/main.ts", "e2e"], needs: LAB },
  check: { argv: ["node", "scripts/suites/main.ts", "format", "lint", "types", "unit"] },
  generate: { argv: ["node", "scripts/generate.ts"] },
  lint: { argv: ["oxlint", "--type-aware", "--deny-warnings"] },
  format: { argv: ["prettier", "--write", "."] },
  typecheck: { argv: ["tsc", "--noEmit"] },
};

/**
 * @param {readonly import("./setup.mjs").Needs[]} several
 * @returns {import("./setup.mjs").Needs}
 */
function allOf(several) {
  return {
    addon: several.some(({ addon }) => addon === true),
    go: several.some(({ go }) => go === true),
    debianPackages: [...new Set(several.flatMap(({ debianPackages = [] }) => debianPackages))],
    kernels: [...new Set(several.flatMap(({ kernels = [] }) => kernels))],
  };
}

/**
 * What this call of a command needs: nothing to print a help text or to complain about a word, and
 * for some suites only what those need.
 * @param {string} name
 * @param {Command} command
 * @param {readonly string[]} args
 */
function needsOf(name, command, args) {
  if (args.includes("--help") || args.includes("-h")) return {};
  const firstOption = args.findIndex((arg) => arg.startsWith("-"));
  const suites = firstOption < 0 ? args : args.slice(0, firstOption);
  if (name !== "test" || suites.length === 0) return command.needs ?? {};
  return allOf(suites.map((suite) => SUITE_NEEDS[suite] ?? {}));
}

/** Signals that end the command, so that it can end what it has started. */
const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/**
 * @param {string | undefined} name
 * @param {readonly string[]} args
 * @returns {Promise<number>} exit code of the command
 */
async function start(name, args) {
  const command = name === undefined ? undefined : COMMANDS[name];
  if (name === undefined || command === undefined) {
    throw new SetupError(`no such command: ${name ?? ""}`);
  }
  const { path } = await ensure(needsOf(name, command, args));
  const [program = "", ...rest] = command.argv;
  const env = { ...process.env, PATH: [...path, process.env["PATH"]].join(delimiter) };
  const child = spawn(program, [...rest, ...args], { cwd: ROOT, env, stdio: "inherit" });
  // The terminal sends its signals to the command as well; this process only has to wait for it.
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  return new Promise((settle, reject) => {
    child.once("error", reject);
    child.once("close", (code) => settle(code ?? 1));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await asProgram(() => start(process.argv[2], process.argv.slice(3)));
}
