/** Runs a program of `programs/` in a Node process of its own and returns what it reports. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** @param env added to the environment of the test itself */
export async function runProgram(
  name: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const file = fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url));
  const { stdout } = await run(process.execPath, ["--expose-gc", file, ...args], {
    env: { ...process.env, ...env },
    timeout: 120_000,
  });
  const parsed: unknown = JSON.parse(stdout);
  if (typeof parsed !== "object" || parsed === null) throw new Error(`${name} reported: ${stdout}`);
  return { ...parsed };
}
