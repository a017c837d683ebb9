/** Every measurement, in the order in which they run. */
import type { Measure } from "../lib/measure.ts";
import { changeScaling } from "./change-scaling.ts";
import { compile } from "./compile.ts";
import { memory } from "./memory.ts";
import { programNpm } from "./program-npm.ts";
import { program } from "./program.ts";
import { restart } from "./restart.ts";
import { weightChange } from "./weight-change.ts";

export const MEASURES: readonly Measure[] = [
  program,
  compile,
  programNpm,
  weightChange,
  changeScaling,
  restart,
  memory,
];
