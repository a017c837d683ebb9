import { expect, it } from "vitest";
import type { Condition } from "../api/conditions.ts";
import { silentLogger, type Logger } from "../lib/logger.ts";
import { ConditionLog } from "./condition-log.ts";

const KEY = "VirtualService shop/web";
const GOOD: Condition = { type: "Accepted", status: "True", reason: "Accepted", message: "" };
const BAD: Condition = { type: "Accepted", status: "False", reason: "Invalid", message: "no" };

function recorder() {
  const lines: string[] = [];
  const log: Logger = {
    ...silentLogger,
    info: (_, message) => lines.push(`info ${message}`),
    warn: (_, message) => lines.push(`warn ${message}`),
  };
  return { lines, conditions: new ConditionLog(log) };
}

it("says once that an object is wrong, and once that it is well again", () => {
  const { lines, conditions } = recorder();
  conditions.note(new Map([[KEY, [BAD]]]));
  conditions.note(new Map([[KEY, [{ ...BAD }]]]));
  conditions.note(new Map([[KEY, [GOOD]]]));
  expect(lines).toEqual(["warn object is not as it should be", "info object is well again"]);
});

it("says nothing about an object that is good from the start", () => {
  const { lines, conditions } = recorder();
  conditions.note(new Map([[KEY, [GOOD]]]));
  expect(lines).toEqual([]);
});

it("says when an object is gone", () => {
  const { lines, conditions } = recorder();
  conditions.note(new Map([[KEY, [GOOD]]]));
  conditions.note(new Map());
  expect(lines).toEqual(["info object is gone"]);
});

it("says nothing twice of a trouble that ends by leaving the list", () => {
  const { lines, conditions } = recorder();
  const rejected: Condition = { ...BAD, type: "Programmed", reason: "KernelRejected" };
  conditions.note(new Map([[KEY, [GOOD, rejected]]]));
  conditions.note(new Map([[KEY, [GOOD]]]));
  expect(lines).toEqual(["warn object is not as it should be", "info object is well again"]);
});

it("warns of a degraded object, which is no refusal", () => {
  const { lines, conditions } = recorder();
  const degraded: Condition = { ...GOOD, type: "Degraded", reason: "RealServersDown" };
  conditions.note(new Map([[KEY, [GOOD, degraded]]]));
  expect(lines).toEqual(["warn object is not as it should be"]);
  expect(conditions.hasRefusals).toBe(false);
});

it("tells without a warning of an object that is held back by its own wish", () => {
  const { lines, conditions } = recorder();
  const held: Condition = { ...BAD, type: "Programmed", reason: "Paused" };
  conditions.note(new Map([[KEY, [GOOD, held]]]));
  expect(lines).toEqual(["info object is held back by its enforcement"]);
  expect(conditions.hasRefusals).toBe(false);
});
