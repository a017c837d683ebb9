/** What is reported about an object. Written by the operator only; people and tools read it. */
import { z } from "zod";

import { int64 } from "../fields.ts";
import { listMap } from "../rules.ts";

const MAX_GENERATION = Number.MAX_SAFE_INTEGER;

const StatusCondition = z.object({
  type: z.string().min(1).max(316).describe("What the condition is about, for example Ready."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  reason: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
    .describe("Why, as one word for programs."),
  message: z.string().max(32_768).describe("Why, and what to do about it, for people."),
  lastTransitionTime: z
    .string()
    .max(64)
    .meta({ format: "date-time" })
    .describe("When `status` last changed."),
  observedGeneration: int64(0, MAX_GENERATION)
    .optional()
    .describe("`metadata.generation` that the condition was written for."),
});

/** Status that every kind has. The generation -1 tells tools that nobody has looked yet. */
export const CommonStatus = z
  .object({
    observedGeneration: int64(-1, MAX_GENERATION)
      .optional()
      .describe("Newest `metadata.generation` that the status takes into account; -1 = none yet."),
    conditions: listMap(StatusCondition, ["type"], { max: 16 })
      .optional()
      .describe("Statements about the object, one for each type."),
  })
  .default({ observedGeneration: -1 })
  .describe("What the operator observed. Not for people to write.");
