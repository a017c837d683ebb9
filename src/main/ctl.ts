/** The program `lvsctl`, the tool for people. */
import type { CommandSpec, OptionValues } from "../cli/command-line.ts";
import { CLEANUP, LIST, PLAN } from "../cli/specs.ts";
import { runCleanup, runList, runPlan } from "./lvsctl-commands.ts";
import { runProgram, type Command } from "./program.ts";
import { stopSignal } from "./stop-signal.ts";

function interruptible(
  spec: CommandSpec,
  run: (values: OptionValues, signal: AbortSignal) => Promise<number>,
): Command {
  return {
    spec,
    run: (values) =>
      run(
        values,
        stopSignal(() => undefined),
      ),
  };
}

await runProgram({
  name: "lvsctl",
  purpose: "looks at and tidies up what lvs-operator does on this node",
  commands: {
    plan: interruptible(PLAN, runPlan),
    list: interruptible(LIST, runList),
    cleanup: interruptible(CLEANUP, runCleanup),
  },
  hint: "The agents are commands of lvs-operator.",
});
