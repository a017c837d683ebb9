/**
 * Vitest reporter that writes the counts of a run to the file that LVS_TEST_COUNTS names. A file of
 * tests that cannot be loaded and an error outside of any test count as one failure each.
 */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";
import type { Counts, Skipped } from "./counts.ts";

export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const path = process.env["LVS_TEST_COUNTS"];
    if (path === undefined) return;
    const all = modules.map(countModule);
    const counts: Counts = {
      passed: sum(all.map((counted) => counted.passed)),
      failed: sum(all.map((counted) => counted.failed)) + unhandledErrors.length,
      skipped: all.flatMap((counted) => counted.skipped),
    };
    writeFileSync(path, JSON.stringify(counts));
  }
}

function countModule(module: TestModule): Counts {
  let passed = 0;
  let failed = module.errors().length;
  const skipped: Skipped[] = [];
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === "passed") passed += 1;
    else if (result.state === "failed") failed += 1;
    else skipped.push({ title: test.fullName, reason: noteOf(result) });
  }
  return { passed, failed, skipped };
}

function noteOf(result: { readonly note?: string | undefined } | object): string {
  return "note" in result && result.note !== undefined ? result.note : "no reason given";
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
