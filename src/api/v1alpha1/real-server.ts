/** RealServer: one machine that answers, with what only it knows (weight, thresholds, drain). */
import { z } from "zod";

import { ipAddress, type DeepReadonly } from "../fields.ts";
import { Forwarding } from "./forwarding.ts";
import { ObjectMeta, API_VERSION } from "./metadata.ts";
import { serverFields, withThresholdRule } from "./thresholds.ts";

export const RealServerSpec = withThresholdRule(
  z.object({
    address: ipAddress().describe("Address of the server: the one the director sends packets to."),
    ...serverFields,
    adminState: z
      .enum(["Enabled", "Draining", "Disabled"])
      .default("Enabled")
      .describe(
        "Enabled: takes new connections. Draining: weight 0, existing connections finish, the server stays listed. Disabled: drained and then taken out. Leave it out of Git, so that a drain set by `kubectl patch` survives the next apply.",
      ),
    forwarding: Forwarding.optional().describe(
      "Forwarding of this server alone, instead of that of the VirtualService.",
    ),
  }),
).describe("What the server is and how much it takes.");

/** Spec of a RealServer with defaults applied. */
export type RealServerSpec = DeepReadonly<z.output<typeof RealServerSpec>>;

export const RealServer = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("RealServer"),
  metadata: ObjectMeta,
  spec: RealServerSpec,
});

/** A RealServer with defaults applied and all rules checked. */
export type RealServer = DeepReadonly<z.output<typeof RealServer>>;
