/** Where a VirtualService's servers come from. */
import { z } from "zod";

import { dnsLabel, int32, ipAddress, objectName, type DeepReadonly } from "../fields.ts";
import { failIf, listMap, listSet, withRules } from "../rules.ts";
import { LabelSelector } from "./selector.ts";
import { serverFields, withThresholdRule } from "./thresholds.ts";

const Server = withThresholdRule(
  z.object({
    address: ipAddress().describe("Address of the server."),
    ...serverFields,
  }),
);

const RealServers = withRules(
  z.object({
    selector: LabelSelector.optional().describe(
      "RealServers of this namespace by their labels; an empty selector means all of them.",
    ),
    names: listSet(objectName(), { min: 1, max: 256 })
      .optional()
      .describe("RealServers of this namespace by name."),
  }),
  [
    {
      id: "selector-or-names",
      rule: "has(self.selector) != has(self.names)",
      message: "must set exactly one of `selector` and `names`",
      violations: ({ selector, names }) =>
        failIf((selector === undefined) === (names === undefined)),
    },
  ],
);

export const Backend = withRules(
  z.object({
    name: dnsLabel().default("main").describe("Name of the backend in this VirtualService."),
    weight: int32(0, 1_000_000)
      .optional()
      .describe(
        "Share of the traffic that this backend gets as a whole, whatever the number of its servers (95 and 5 is 95 % and 5 %). Set it on all backends or on none; without it the weights of the servers count as written.",
      ),
    type: z
      .enum(["Servers", "RealServers"])
      .describe(
        "Servers: the addresses in `servers`. RealServers: the RealServer objects that `realServers` names.",
      ),
    servers: listMap(Server, ["address", "port"], { min: 1, max: 256 })
      .optional()
      .describe("Servers by address; for type Servers."),
    realServers: RealServers.optional().describe("Servers by reference; for type RealServers."),
  }),
  [
    {
      id: "backend-servers",
      rule: "(self.type == 'Servers') == has(self.servers)",
      message: "must set `servers` for `type` Servers, and only for it",
      fieldPath: ".servers",
      violations: ({ type, servers }) =>
        failIf((type === "Servers") !== (servers !== undefined), "servers"),
    },
    {
      id: "backend-real-servers",
      rule: "(self.type == 'RealServers') == has(self.realServers)",
      message: "must set `realServers` for `type` RealServers, and only for it",
      fieldPath: ".realServers",
      violations: ({ type, realServers }) =>
        failIf((type === "RealServers") !== (realServers !== undefined), "realServers"),
    },
  ],
);

/** A group of servers; `type` says which member is set. */
export type Backend = DeepReadonly<z.output<typeof Backend>>;
/** A server written inside a VirtualService. */
export type Server = NonNullable<Backend["servers"]>[number];
