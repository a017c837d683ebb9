/** Every measurement, in the order in which they run. */
import type { Measure } from "../lib/measure.ts";
import { programNpm } from "./program-npm.ts";
import { program } from "./program.ts";

export const MEASURES: readonly Measure[] = [program, programNpm];
