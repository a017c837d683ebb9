/** The product as it is started: its program and the options of Node that its first line names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The agents' program. */
export const PROGRAM = join(import.meta.dirname, "../../src/main/lvs-operator.ts");

/** `node` and the options that the program's first line gives it; measured without, nobody has it. */
export function productNode(): readonly string[] {
  const [firstLine = ""] = readFileSync(PROGRAM, "utf8").split("\n", 1);
  const options = firstLine.split(" ").filter((word) => word.startsWith("--"));
  return ["node", ...options];
}
