/** How a director hands packets to a real server. */
import { z } from "zod";

import type { DeepReadonly } from "../fields.ts";
import { failIf, withRules } from "../rules.ts";

export const Tunnel = z
  .object({
    type: z
      .enum(["IPIP"])
      .default("IPIP")
      .describe(
        "Encapsulation. IPIP: IP in IP, protocol 4 for IPv4; the real server needs a decapsulating device (`tunl0`), which the real-server agent sets up.",
      ),
  })
  .describe("Encapsulation of method TUN. May only be set with method TUN; absent means IPIP.");

const METHODS = [
  "How packets reach the real servers; each method needs something of the network.",
  "NAT: the director rewrites the destination address and may change the port. Replies must come back through the director, so it is the real servers' default gateway (or their route to the clients).",
  "DR (direct return): only the link-layer address changes, and replies go straight to the client. Director and real servers share a layer-2 network, the real servers hold the VIP on lo and stay silent about it in ARP (the real-server agent does both), and ports cannot change.",
  "TUN: packets travel in a tunnel, so real servers may be behind routers, and replies go straight to the client. The real servers hold the VIP and decapsulate (the real-server agent does both), the path needs 20 bytes more MTU for IPIP, the network must let replies with the VIP as source pass, and ports cannot change.",
].join(" ");

export const Forwarding = withRules(
  z.object({
    method: z.enum(["NAT", "DR", "TUN"]).describe(METHODS),
    tunnel: Tunnel.optional(),
  }),
  [
    {
      id: "tunnel-method",
      rule: "!has(self.tunnel) || self.method == 'TUN'",
      message: "may not set `tunnel` unless `method` is TUN",
      fieldPath: ".tunnel",
      violations: (self) => failIf(self.tunnel !== undefined && self.method !== "TUN", "tunnel"),
    },
  ],
);

/** Forwarding method with the settings that belong to it. */
export type Forwarding = DeepReadonly<z.output<typeof Forwarding>>;
