import { expect, it } from "vitest";
import { formatCounts, formatReasons, judge, total, type Counts } from "./counts.ts";

const mixed: Counts = {
  passed: 3,
  failed: 0,
  skipped: [
    { title: "a", reason: "the kernel 6.1 has no scheduler twos" },
    { title: "b", reason: "no Go found" },
    { title: "c", reason: "no Go found" },
  ],
};

it("a skip for a missing tool fails a continuous build, one for the kernel at hand does not", () => {
  expect(judge(mixed, true)).toEqual({ passed: 3, failed: 2, skipped: mixed.skipped.slice(0, 1) });
});

it("on a person's machine every skip is only reported", () => {
  expect(judge(mixed, false)).toEqual(mixed);
  expect(formatReasons(mixed.skipped)).toEqual([
    "1 skipped: the kernel 6.1 has no scheduler twos",
    "2 skipped: no Go found",
  ]);
});

it("the closing line names skips only when there are some", () => {
  expect(formatCounts({ passed: 5, failed: 1, skipped: [] })).toBe("5 passed, 1 failed");
  expect(formatCounts(mixed)).toBe("3 passed, 0 failed, 3 skipped");
});

it("counts of suites add up", () => {
  expect(total([mixed, { passed: 1, failed: 2, skipped: [] }])).toEqual({
    ...mixed,
    passed: 4,
    failed: 2,
  });
  expect(total([])).toEqual({ passed: 0, failed: 0, skipped: [] });
});
