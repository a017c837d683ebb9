/** VirtualService: addresses and ports that clients use, and the servers behind them. */
import { z } from "zod";

import { dnsLabel, int32, int64, ipAddress, objectName, type DeepReadonly } from "../fields.ts";
import { listMap, withRules } from "../rules.ts";
import { Backend } from "./backend.ts";
import { Forwarding } from "./forwarding.ts";
import { ObjectMeta, API_VERSION } from "./metadata.ts";
import { Port } from "./port.ts";
import { VIRTUAL_SERVICE_RULES } from "./virtual-service-rules.ts";

/** Every scheduler of the kernel, in the order of the kernel's documentation. */
export const SCHEDULERS = [
  "rr",
  "wrr",
  "lc",
  "wlc",
  "lblc",
  "lblcr",
  "dh",
  "sh",
  "sed",
  "nq",
  "mh",
  "fo",
  "ovf",
  "twos",
] as const;
/** Name of a kernel scheduler. */
export type Scheduler = (typeof SCHEDULERS)[number];

const SCHEDULER_TEXT = [
  "How the director picks a server for a new connection; the node's kernel needs the module ip_vs_NAME.",
  "rr: in turn. wrr: in turn, by weight. lc: fewest connections. wlc: fewest connections relative to weight.",
  "lblc, lblcr: fewest connections with affinity of client destinations, for caches (lblcr with a set of servers for each).",
  "dh: hash of the destination address. sh: hash of the source address. mh: consistent hash of the source address (few clients move when servers change).",
  "sed: shortest expected delay. nq: an idle server first, else sed. fo: the available server of the highest weight.",
  "ovf: the server of the highest weight until it has that many connections, then the next. twos: the better of two random servers by weighted load.",
].join(" ");

const Address = z.object({
  name: dnsLabel().default("main").describe("Name of the address in this VirtualService."),
  ip: ipAddress().describe(
    "Virtual IP address (VIP) that clients connect to, IPv4 or IPv6. Servers of the other family are not used for it.",
  ),
});

const FirewallMark = z
  .object({
    type: z
      .enum(["External"])
      .describe(
        "External: something else on the director, for example an nftables rule of yours, sets the mark `value` on the packets; the director schedules what carries it.",
      ),
    value: int64(1, 4_294_967_295).describe("The packet mark (fwmark)."),
  })
  .describe(
    "Schedules packets by their mark instead of by address and port, so that all addresses and ports form one kernel service (one for each address family). The addresses are bound all the same.",
  );

const Hashing = z
  .object({
    key: z
      .enum(["SourceAddress", "SourceAddressAndPort"])
      .default("SourceAddress")
      .describe(
        "What is hashed. SourceAddress: a client always gets the same server. SourceAddressAndPort: each connection of a client counts on its own.",
      ),
    fallback: z
      .enum(["Enabled", "Disabled"])
      .default("Enabled")
      .describe(
        "Enabled: take the next server when the chosen one has weight 0 or is over its threshold. Disabled: refuse such a connection.",
      ),
  })
  .describe(
    "How the schedulers sh and mh hash. May only be set with them; absent means the defaults shown here.",
  );

const Persistence = z
  .object({
    timeoutSeconds: int32(1, 2_000_000)
      .default(300)
      .describe("Seconds for which a client keeps its server after its last connection ended."),
    ipv4PrefixLength: int32(1, 32)
      .default(32)
      .describe(
        "IPv4 clients that share this many leading bits count as one; 32 = each on its own.",
      ),
    ipv6PrefixLength: int32(1, 128)
      .default(128)
      .describe(
        "IPv6 clients that share this many leading bits count as one; 128 = each on its own.",
      ),
  })
  .describe(
    "Client affinity: connections of one client go to one server. Set it, even empty, to turn it on.",
  );

const Drain = z
  .object({
    timeoutSeconds: int32(0, 86_400)
      .default(300)
      .describe("Longest time that a server taken out may keep its connections, in seconds."),
    whenExpired: z
      .enum(["Remove", "Wait"])
      .default("Remove")
      .describe(
        "Remove: take the server out after `timeoutSeconds` although connections remain. Wait: only when none is left.",
      ),
  })
  .prefault({})
  .describe(
    "What happens to the connections of a server that is taken out: it gets weight 0 and leaves when they are over. Deleting a VirtualService never waits.",
  );

export const VirtualServiceSpec = withRules(
  z.object({
    directorGroupName: objectName()
      .default("default")
      .describe("DirectorGroup whose nodes carry the traffic."),
    enforcement: z
      .enum(["Enforce", "DryRun", "Paused"])
      .default("Enforce")
      .describe(
        "Enforce: directors make the kernel match. DryRun: directors report what they would change and change nothing. Paused: directors leave everything as it is.",
      ),
    addresses: listMap(Address, ["name"], { min: 1, max: 32 }).describe(
      "Virtual addresses. VirtualServices of one namespace may share an address as long as no port of one protocol overlaps.",
    ),
    ports: listMap(Port, ["port", "protocol"], { min: 1, max: 32 }).describe(
      "Ports of every address. One VirtualService may come to 1,024 kernel services: addresses times single ports.",
    ),
    firewallMark: FirewallMark.optional(),
    scheduler: z.enum(SCHEDULERS).default("wlc").describe(SCHEDULER_TEXT),
    hashing: Hashing.optional(),
    forwarding: Forwarding.describe("How packets reach the servers."),
    persistence: Persistence.optional(),
    backends: listMap(Backend, ["name"], { min: 1, max: 16 }).describe(
      "Where the servers come from.",
    ),
    drain: Drain,
  }),
  VIRTUAL_SERVICE_RULES,
).describe("What clients reach, and who answers.");

/** Spec of a VirtualService with defaults applied. */
export type VirtualServiceSpec = DeepReadonly<z.output<typeof VirtualServiceSpec>>;

export const VirtualService = z.object({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("VirtualService"),
  metadata: ObjectMeta,
  spec: VirtualServiceSpec,
});

/** A VirtualService with defaults applied and all rules checked. */
export type VirtualService = DeepReadonly<z.output<typeof VirtualService>>;
