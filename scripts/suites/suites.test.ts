import { expect, it } from "vitest";
import { SUITE_NEEDS } from "../start.mjs";
import { SUITES } from "./suites.ts";

it("every suite says what it needs", () => {
  expect(Object.keys(SUITE_NEEDS).sort()).toEqual(SUITES.map(({ name }) => name).sort());
});
