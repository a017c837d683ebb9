import { expect, it } from "vitest";
import { LastAnswer } from "./last-answer.ts";

it("gives the same object while the answers are equal, and the new one when they differ", () => {
  const answers = new LastAnswer<ReadonlyMap<string, number>>();
  const first = answers.take(new Map([["a", 1]]));
  expect(answers.take(new Map([["a", 1]]))).toBe(first);
  const other = new Map([["a", 2]]);
  expect(answers.take(other)).toBe(other);
  expect(answers.take(other)).toBe(other);
});
