import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { listDifference } from "./list-difference.ts";

describe("listDifference", () => {
  it.each([
    { name: "nothing", before: "abc", after: "abc", removed: "", added: "" },
    { name: "a replaced item", before: "abc", after: "axc", removed: "b", added: "x" },
    { name: "an appended item", before: "abc", after: "abcx", removed: "", added: "x" },
    { name: "a removed item", before: "abc", after: "bc", removed: "a", added: "" },
    { name: "a new order as nothing", before: "abcd", after: "dcba", removed: "", added: "" },
    { name: "everything", before: "ab", after: "xy", removed: "ab", added: "xy" },
  ])("sees $name", ({ before, after, removed, added }) => {
    expect(listDifference([...before], [...after])).toEqual({
      removed: [...removed],
      added: [...added],
    });
  });

  it("tells the items of both lists apart", () => {
    const list = fc.uniqueArray(fc.integer({ min: 0, max: 12 }));
    fc.assert(
      fc.property(list, list, (before, after) => {
        const { removed, added } = listDifference(before, after);
        expect(new Set(removed)).toEqual(new Set(before).difference(new Set(after)));
        expect(new Set(added)).toEqual(new Set(after).difference(new Set(before)));
      }),
    );
  });
});
