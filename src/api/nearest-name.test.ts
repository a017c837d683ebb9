import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { nearestName } from "./nearest-name.ts";

const FIELDS = ["scheduler", "ports", "forwarding", "firewallMark", "weight", "ip"];

describe("nearestName", () => {
  it.each([
    ["schedular", "scheduler"],
    ["Scheduler", "scheduler"],
    ["port", "ports"],
    ["wieght", "weight"],
    ["forwardingg", "forwarding"],
    ["fwmark", undefined],
    ["healthChecks", undefined],
    ["pi", "ip"],
    ["", undefined],
  ])("answers %j with %j", (written, expected) => {
    expect(nearestName(written, FIELDS)).toBe(expected);
  });

  it("finds a name again after any one edit of a name of six or more characters", () => {
    const name = fc.constantFrom(...FIELDS.filter((field) => field.length >= 6));
    fc.assert(
      fc.property(
        name,
        fc.nat(),
        fc.constantFrom("insert", "delete", "swap"),
        (field, at, edit) => {
          const i = at % (field.length - 1);
          const [before, after] = [field.slice(0, i), field.slice(i)];
          const edited = {
            insert: `${before}q${after}`,
            delete: before + after.slice(1),
            swap: before + (after[1] ?? "") + (after[0] ?? "") + after.slice(2),
          }[edit];
          expect(nearestName(edited, FIELDS)).toBe(field);
        },
      ),
    );
  });
});
