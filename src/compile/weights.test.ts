import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { fitToSlots, kernelWeights, MAX_WEIGHT, SH_SLOTS } from "./weights.ts";

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

interface Backend {
  readonly share: number;
  readonly weights: readonly number[];
}

const flatten = (backends: readonly Backend[]) =>
  backends.flatMap(({ share, weights }) =>
    weights.map((weight) => ({ share, weight, total: sum(weights) })),
  );

const backend = fc.record({
  share: fc.integer({ min: 0, max: 1_000_000 }),
  weights: fc.array(fc.integer({ min: 0, max: MAX_WEIGHT }), { minLength: 1, maxLength: 20 }),
});

describe("kernelWeights", () => {
  it.each([
    {
      name: "95 and 5 over one server each",
      backends: [
        [95, 1],
        [5, 1],
      ],
      weights: [19, 1],
    },
    {
      name: "95 and 5 over three and two servers",
      backends: [
        [95, 1, 1, 1],
        [5, 1, 1],
      ],
      weights: [38, 38, 38, 3, 3],
    },
    {
      name: "equal shares over one and four servers",
      backends: [
        [1, 7],
        [1, 1, 1, 1, 1],
      ],
      weights: [4, 1, 1, 1, 1],
    },
    {
      name: "a drained server leaves its part to the others",
      backends: [
        [1, 0, 1],
        [1, 1],
      ],
      weights: [0, 1, 1],
    },
    {
      name: "share 0 drains the backend",
      backends: [
        [0, 3],
        [1, 3],
      ],
      weights: [0, 1],
    },
    {
      name: "a backend without any weight gets nothing",
      backends: [
        [9, 0, 0],
        [1, 1],
      ],
      weights: [0, 0, 1],
    },
    {
      name: "nothing anywhere stays nothing",
      backends: [
        [0, 1],
        [0, 1],
      ],
      weights: [0, 0],
    },
    {
      name: "the smallest share is never rounded away",
      backends: [
        [1_000_000, 1],
        [1, 1],
      ],
      weights: [65535, 1],
    },
  ])("$name", ({ backends, weights }) => {
    const list = backends.map(([share = 0, ...rest]) => ({ share, weights: rest }));
    expect(kernelWeights(flatten(list))).toEqual(weights);
  });

  it("stays within the kernel's range and drains exactly who has no weight or no share", () => {
    fc.assert(
      fc.property(fc.array(backend, { minLength: 1, maxLength: 16 }), (backends) => {
        const servers = flatten(backends);
        kernelWeights(servers).forEach((weight, i) => {
          const server = servers[i];
          expect(Number.isInteger(weight) && weight >= 0 && weight <= MAX_WEIGHT).toBe(true);
          expect(weight === 0).toBe(server?.share === 0 || server?.weight === 0);
        });
      }),
    );
  });

  it("gives each backend its share within one percent when no server is below 1 in 1000", () => {
    const even = fc.record({
      share: fc.integer({ min: 1, max: 100 }),
      weights: fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 10 }),
    });
    fc.assert(
      fc.property(fc.array(even, { minLength: 2, maxLength: 5 }), (backends) => {
        const weights = [...kernelWeights(flatten(backends))];
        const all = sum(weights);
        const shares = sum(backends.map((b) => b.share));
        for (const { share, weights: own } of backends) {
          const got = sum(weights.splice(0, own.length)) / all;
          expect(Math.abs(got - share / shares)).toBeLessThan(0.01);
        }
      }),
    );
  });

  it("does not depend on the scale of the shares", () => {
    fc.assert(
      fc.property(
        fc.array(backend, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 2, max: 9 }),
        (backends, factor) => {
          const scaled = backends.map((b) => ({ ...b, share: b.share * factor }));
          expect(kernelWeights(flatten(scaled))).toEqual(kernelWeights(flatten(backends)));
        },
      ),
    );
  });
});

describe("fitToSlots", () => {
  it.each([
    { name: "weights that fit stay", weights: [100, 100, 56], fitted: [100, 100, 56] },
    {
      name: "one heavy server leaves a slot for the light one",
      weights: [300, 1],
      fitted: [255, 1],
    },
    { name: "a drained server stays drained", weights: [600, 0, 600], fitted: [128, 0, 128] },
  ])("$name", ({ weights, fitted }) => {
    expect(fitToSlots(weights)).toEqual(fitted);
  });

  it("fills the slots exactly, keeps the order of weights, and gives everybody a slot", () => {
    const weights = fc.array(fc.integer({ min: 0, max: MAX_WEIGHT }), { maxLength: SH_SLOTS });
    fc.assert(
      fc.property(weights, (given) => {
        const fitted = fitToSlots(given);
        expect(sum(fitted)).toBe(Math.min(sum(given), SH_SLOTS));
        given.forEach((weight, i) => {
          expect(weight > 0).toBe((fitted[i] ?? 0) > 0);
          const heavier = given.findIndex((other) => other > weight);
          if (heavier >= 0) expect(fitted[heavier]).toBeGreaterThanOrEqual(fitted[i] ?? 0);
        });
      }),
    );
  });

  it("gives one slot to each when there are more servers than slots", () => {
    expect(fitToSlots(Array.from({ length: 300 }, () => 2)).every((w) => w === 1)).toBe(true);
  });
});
