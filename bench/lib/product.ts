/** The product as it is started: its program, and what its first line runs it with. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The agents' program. */
export const PROGRAM = join(import.meta.dirname, "../../src/main/lvs-operator.ts");

/** What the program's first line runs it with: settings of the environment, `node`, its options. */
export function productNode(): readonly string[] {
  const [firstLine = ""] = readFileSync(PROGRAM, "utf8").split("\n", 1);
  const [, flag, ...words] = firstLine.split(" ");
  if (flag !== "-S") throw new Error(`${PROGRAM} does not begin with a line for env -S`);
  return ["env", ...words];
}
