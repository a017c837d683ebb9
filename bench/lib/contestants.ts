/** The programs that the bench lets run against each other. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { BenchContext } from "./measure.ts";
import { withNamespace } from "./namespace.ts";
import { figure, run, runJson, startContestant } from "./process.ts";
import { productNode } from "./product.ts";
import { ipvsadmRules, type Size } from "./workload.ts";

const PROGRAMS = join(import.meta.dirname, "../contestants");

/** Time of one run of a contestant, milliseconds. */
export type TimedRun = () => Promise<number>;

function sizeArguments(size: Size): readonly string[] {
  return [String(size.services), String(size.destinations)];
}

/** The C program: `batched` is the floor, `single` is what one message per call costs. */
export function floorRun(context: BenchContext, mode: "batched" | "single", size: Size): TimedRun {
  const argv = [context.tools.floor, mode, ...sizeArguments(size)];
  return () =>
    withNamespace(context.signal, async (namespace) => {
      const figures = await runJson(namespace.inside(argv), context.signal);
      if (figure(figures, "refused") !== 0) throw new Error("the kernel refused messages");
      return figure(figures, "ms");
    });
}

/** `ipvsadm -R`: from its start to its end. */
export async function ipvsadmRestoreRun(context: BenchContext, size: Size): Promise<TimedRun> {
  const rules = join(context.scratch, `ipvsadm-${size.services}x${size.destinations}`);
  await writeFile(rules, ipvsadmRules(size));
  return () =>
    withNamespace(context.signal, async (namespace) => {
      const argv = [context.tools.stopwatch, "run", "-i", rules, "ipvsadm", "-R"];
      const figures = await runJson(namespace.inside(argv), context.signal);
      await expectTable(context, namespace, size);
      return figure(figures, "ms");
    });
}

/** An npm package: from its first request to its last answer, in a process that is warm. */
export async function npmRun(
  context: BenchContext,
  packageName: "netlink" | "node-netlink",
  size: Size,
): Promise<TimedRun> {
  const { peersDirectory, signal } = context;
  if (peersDirectory === undefined) throw new Error("the npm packages are not installed");
  const messages = join(context.scratch, `messages-${size.services}x${size.destinations}`);
  const writer = [context.tools.floor, "messages", ...sizeArguments(size)];
  await run(["sh", "-c", 'out=$1; shift; "$@" >"$out"', "sh", messages, ...writer], signal);
  const argv = ["node", join(PROGRAMS, `npm-${packageName}.ts`), peersDirectory, messages];
  return () =>
    withNamespace(signal, async (namespace) => {
      const figures = await runJson(namespace.inside(argv), signal);
      await expectTable(context, namespace, size);
      return figure(figures, "ms");
    });
}

/** What one programming of ours took. */
export interface OursRun {
  readonly planMs: number;
  readonly applyMs: number;
}

/** How many tables the process has programmed before the run that counts. */
export const REHEARSALS = { cold: 0, warm: 2, hot: 12 } as const;
export type Warmth = keyof typeof REHEARSALS;

/** One process of ours, which programs table after table, each in a new namespace. */
export interface OurProcess {
  program(): Promise<OursRun>;
  end(): Promise<void>;
}

export function startOurs(context: BenchContext, size: Size): OurProcess {
  const { signal } = context;
  const contestant = startContestant(
    [...productNode(), "--expose-gc", join(PROGRAMS, "ours-program.ts")],
    signal,
  );
  return {
    program: () =>
      withNamespace(signal, async (namespace) => {
        const request = [namespace.path, ...sizeArguments(size)].join(" ");
        const figures = await contestant.ask(request);
        await expectTable(context, namespace, size);
        return { planMs: figure(figures, "planMs"), applyMs: figure(figures, "applyMs") };
      }),
    end: () => contestant.end(),
  };
}

/** Nobody wins by doing less. */
async function expectTable(
  context: BenchContext,
  namespace: { inside(argv: readonly string[]): readonly string[] },
  size: Size,
): Promise<void> {
  const found = await runJson(namespace.inside([context.tools.floor, "read"]), context.signal);
  const services = figure(found, "services");
  const destinations = figure(found, "destinations");
  if (services !== size.services || destinations !== size.services * size.destinations) {
    throw new Error(`the table has ${services} services and ${destinations} destinations`);
  }
}
