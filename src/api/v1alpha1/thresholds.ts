/** What an inline server and a RealServer object have in common. */
import type { z } from "zod";

import { int32 } from "../fields.ts";
import { failIf, withRules } from "../rules.ts";

const MAX_CONNECTIONS = 2 ** 31 - 1;

/** The fields of one server that are the same wherever it is written. */
export const serverFields = {
  port: int32(0, 65_535)
    .default(0)
    .describe(
      "Port on the server. 0 means the port's `targetPort`, or else the port the client used. May be another one only with method NAT and one entry in `ports`.",
    ),
  weight: int32(0, 65_535)
    .default(1)
    .describe(
      "Share of new connections relative to the other servers. 0 sends no new connections and lets the existing ones finish.",
    ),
  upperThreshold: int32(1, MAX_CONNECTIONS)
    .optional()
    .describe(
      "Number of connections from which on the server gets no new ones. Absent means no limit.",
    ),
  lowerThreshold: int32(1, MAX_CONNECTIONS)
    .optional()
    .describe(
      "Number of connections below which a server that reached `upperThreshold` gets new ones again. Absent means three quarters of `upperThreshold`.",
    ),
};

interface Thresholds {
  readonly upperThreshold?: number | undefined;
  readonly lowerThreshold?: number | undefined;
}

/** Adds the rule on the order of the two thresholds to a schema that has `serverFields`. */
export function withThresholdRule<S extends z.ZodType<Thresholds>>(schema: S): S {
  return withRules(schema, [
    {
      id: "threshold-order",
      rule: "!has(self.lowerThreshold) || (has(self.upperThreshold) && self.lowerThreshold <= self.upperThreshold)",
      message:
        "may not set `lowerThreshold` without `upperThreshold`, and it must be less than or equal to `upperThreshold`",
      fieldPath: ".lowerThreshold",
      violations: ({ upperThreshold, lowerThreshold }) =>
        failIf(
          lowerThreshold !== undefined &&
            (upperThreshold === undefined || lowerThreshold > upperThreshold),
          "lowerThreshold",
        ),
    },
  ]);
}
