import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideHoldDown, type HoldDownInput } from "./hold-down.ts";

const VIP = "192.0.2.10";

function input(overrides: Partial<HoldDownInput>): HoldDownInput {
  return {
    bound: [VIP],
    wanted: new Set(),
    held: [{ address: VIP, sinceWallMs: 0 }],
    connectionsOf: () => 0,
    nowWallMs: 0,
    limits: { minimumMs: 10_000, maximumMs: 300_000 },
    ...overrides,
  };
}

describe("decideHoldDown", () => {
  it.each([
    { name: "keeps an address that has just become unwanted", at: 0, connections: 0, kept: true },
    {
      name: "keeps it for the minimum although nobody uses it",
      at: 9_999,
      connections: 0,
      kept: true,
    },
    {
      name: "releases it after the minimum when nobody uses it",
      at: 10_000,
      connections: 0,
      kept: false,
    },
    { name: "keeps it while a connection uses it", at: 299_999, connections: 1, kept: true },
    {
      name: "releases it after the maximum, connections or not",
      at: 300_000,
      connections: 9,
      kept: false,
    },
  ])("$name", ({ at, connections, kept }) => {
    const { keep, release } = decideHoldDown(
      input({ nowWallMs: at, connectionsOf: () => connections }),
    );
    expect(keep.length === 1).toBe(kept);
    expect(release).toEqual(kept ? [] : [VIP]);
  });

  it("forgets the hold of an address that is wanted again", () => {
    expect(decideHoldDown(input({ wanted: new Set([VIP]), nowWallMs: 999_999 }))).toEqual({
      keep: [],
      release: [],
    });
  });

  it("starts over when the clock has stepped back", () => {
    const { keep } = decideHoldDown(
      input({ held: [{ address: VIP, sinceWallMs: 50_000 }], nowWallMs: 20_000 }),
    );
    expect(keep).toEqual([{ address: VIP, sinceWallMs: 20_000, maximumMs: 300_000 }]);
  });

  it("keeps the longest time that was ever known", () => {
    const held = [{ address: VIP, sinceWallMs: 0, maximumMs: 900_000 }];
    const at = (nowWallMs: number): number =>
      decideHoldDown(input({ held, nowWallMs, connectionsOf: () => 1 })).keep.length;
    expect([at(899_999), at(900_000)]).toEqual([1, 0]);
  });

  it("either keeps or releases each unwanted address, and never touches a wanted one", () => {
    const address = fc.nat({ max: 20 }).map((n) => `192.0.2.${n}`);
    fc.assert(
      fc.property(
        fc.uniqueArray(address),
        fc.uniqueArray(address),
        fc.nat(),
        (bound, wanted, now) => {
          const { keep, release } = decideHoldDown(
            input({ bound, wanted: new Set(wanted), held: [], nowWallMs: now }),
          );
          const decided = [...keep.map((k) => k.address), ...release].sort();
          expect(decided).toEqual(bound.filter((b) => !wanted.includes(b)).sort());
        },
      ),
    );
  });
});
