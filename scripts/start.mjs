/**
 * The npm scripts: makes ready what a command needs, then becomes the command, run by the project's
 * own Node. `node scripts/start.mjs NAME ARGUMENTS...`; the names are those of the table below.
 */
import { spawn } from "node:child_process";
import { delimiter } from "node:path";
import { asProgram, COMPILER_PACKAGES, ensure, LAB_PACKAGES } from "./setup.mjs";
import { ROOT, SetupError } from "./setup/system.mjs";

/** @typedef {{ argv: readonly string[], needs?: import("./setup.mjs").Needs }} Command */

/** @type {import("./setup.mjs").Needs} */
const LAB = { addon: true, debianPackages: LAB_PACKAGES, kernels: ["own"] };
/** @type {import("./setup.mjs").Needs} */
const QUICK_LAB = { ...LAB, kernels: ["any"], guest: true };

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
    needs: {
      ...LAB,
      debianPackages: [...LAB_PACKAGES, ...COMPILER_PACKAGES],
      kernels: ["own", "6.1"],
      go: true,
    },
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

/** Signals that end the command, so that it can end what it has started. */
const SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/**
 * @param {string | undefined} name
 * @param {readonly string[]} args
 * @returns {Promise<number>} exit code of the command
 */
async function start(name, args) {
  const command = name === undefined ? undefined : COMMANDS[name];
  if (command === undefined) throw new SetupError(`no such command: ${name ?? ""}`);
  const { path } = await ensure(command.needs ?? {});
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

await asProgram(() => start(process.argv[2], process.argv.slice(3)));
