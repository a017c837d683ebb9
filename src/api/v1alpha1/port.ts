/** One entry of a VirtualService's `ports`. */
import { z } from "zod";

import { dnsLabel, int32, type DeepReadonly } from "../fields.ts";
import { failIf, withRules } from "../rules.ts";

export const Port = withRules(
  z.object({
    port: int32(0, 65_535).describe(
      "Port that clients connect to; first port of a range with `endPort`. 0 means every port, and needs `persistence`.",
    ),
    endPort: int32(1, 65_535)
      .optional()
      .describe("Last port of a range. Each port of it is a kernel service of its own."),
    protocol: z.enum(["TCP", "UDP", "SCTP"]).default("TCP").describe("Transport protocol."),
    name: dnsLabel().optional().describe("Name of the port in this VirtualService, for people."),
    targetPort: int32(1, 65_535)
      .optional()
      .describe(
        "Port on the servers, where it differs from `port`. Needs method NAT; not for ranges and not for port 0.",
      ),
    onePacketScheduling: z
      .enum(["Enabled", "Disabled"])
      .default("Disabled")
      .describe(
        "Enabled: each datagram is scheduled on its own instead of by flow (DNS, logs). UDP only, with method DR or TUN.",
      ),
  }),
  [
    {
      id: "port-range-order",
      rule: "!has(self.endPort) || (self.port > 0 && self.endPort >= self.port)",
      message:
        "must be greater than or equal to `port` where `endPort` is set, and `port` may not be 0",
      fieldPath: ".endPort",
      violations: ({ port, endPort }) =>
        failIf(endPort !== undefined && (port <= 0 || endPort < port), "endPort"),
    },
    {
      id: "target-port-single",
      rule: "!has(self.targetPort) || (self.port > 0 && !has(self.endPort))",
      message: "may not set `targetPort` for a range or for `port` 0",
      fieldPath: ".targetPort",
      violations: ({ port, endPort, targetPort }) =>
        failIf(targetPort !== undefined && (port <= 0 || endPort !== undefined), "targetPort"),
    },
    {
      id: "one-packet-udp",
      rule: "self.onePacketScheduling == 'Disabled' || self.protocol == 'UDP'",
      message: "may not enable `onePacketScheduling` unless `protocol` is UDP",
      fieldPath: ".onePacketScheduling",
      violations: ({ onePacketScheduling, protocol }) =>
        failIf(onePacketScheduling === "Enabled" && protocol !== "UDP", "onePacketScheduling"),
    },
  ],
);

/** A port, or a range of ports, with its protocol. */
export type Port = DeepReadonly<z.output<typeof Port>>;
