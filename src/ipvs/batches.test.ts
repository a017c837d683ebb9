import fc from "fast-check";
import { expect, it } from "vitest";
import { unsplitGroups } from "./batches.ts";
import type { IpvsCommand } from "./client.ts";
import { aDestination, anIdentity } from "./testing/builders.ts";

const identity = anIdentity();
const command = (op: "create-destination" | "delete-destination", port: number): IpvsCommand => ({
  op,
  identity,
  destination: aDestination({ port }),
});
const moves = fc
  .array(fc.tuple(fc.boolean(), fc.nat({ max: 9 })), { maxLength: 120 })
  .map((list) =>
    list.flatMap(([move, port]): readonly IpvsCommand[] =>
      move
        ? [command("delete-destination", port), command("create-destination", port)]
        : [command("create-destination", port)],
    ),
  );

it("keeps every command, and each deletion with the creation after it", () => {
  fc.assert(
    fc.property(moves, (commands) => {
      const groups = unsplitGroups(commands);
      expect(groups.flat()).toEqual(commands);
      for (const group of groups) expect(group.at(-1)?.op).toBe("create-destination");
      if (commands.length > 60 && commands.some((c) => c.op === "delete-destination")) {
        expect(Math.max(...groups.map((g) => g.length))).toBeLessThanOrEqual(60);
      }
    }),
  );
});

it("leaves a list without moves to the connection", () => {
  const commands = Array.from({ length: 500 }, (_, i) => command("create-destination", i));
  expect(unsplitGroups(commands)).toEqual([commands]);
  expect(unsplitGroups([])).toEqual([]);
});
