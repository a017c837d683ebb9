/**
 * The lab's machines and cables as data, and the `ip` batches that build them. Pure: topology.ts
 * runs what this module writes.
 *
 *   client ── access 10.20.0.0/24 ── router ── lan 10.10.0.0/24 ── director-a, director-b, rs1..rs4
 *                                      │                                  │
 *                                      │                       back 10.30.0.0/24 (NAT; gateway .1)
 *                                      └── far 10.40.0.0/24 ── real servers named in `behindRouter`
 *
 * The last byte of an address is the same in every network: client 10, director-a 11, director-b
 * 12, rs1 to rs4 21 to 24, router 1. IPv6 networks are fd10::/64, fd20::/64, fd30::/64, fd40::/64
 * with the same number as text. A MAC address names network and machine the same way.
 */

export const HOST_NAMES = [
  "client",
  "router",
  "director-a",
  "director-b",
  "rs1",
  "rs2",
  "rs3",
  "rs4",
] as const;

/** A machine of the lab. */
export type HostName = (typeof HOST_NAMES)[number];

/** Where cables meet: captures on `sw` see what the machines say to each other. */
export type NamespaceName = HostName | "sw";

/** A network of the lab; also the name of its bridge in `sw`. */
export type NetworkName = "access" | "lan" | "back" | "far";

const THIRD_BYTE: Readonly<Record<NetworkName, number>> = {
  lan: 10,
  access: 20,
  back: 30,
  far: 40,
};
const NETWORK_NAMES: readonly NetworkName[] = ["access", "lan", "back", "far"];
const LAST_BYTE: Readonly<Record<HostName, number>> = {
  router: 1,
  client: 10,
  "director-a": 11,
  "director-b": 12,
  rs1: 21,
  rs2: 22,
  rs3: 23,
  rs4: 24,
};
/** Routing table for replies of a NAT service; any number that the system does not use. */
const BACK_TABLE = 30;

/** What a topology is made of. */
export interface NetworkOptions {
  /** Machines besides client and router; default: director-a and rs1 to rs3. */
  readonly hosts?: readonly HostName[];
  /** Real servers that have no leg on the LAN and are reached through the router only. */
  readonly behindRouter?: readonly HostName[];
  /** The director that holds 10.30.0.1 and fd30::1, where NAT replies go; default director-a. */
  readonly natGateway?: HostName;
}

/** One end of a cable in a machine. */
export interface Port {
  readonly host: HostName;
  readonly interface: string;
  readonly network: NetworkName;
  readonly mac: string;
}

/** Batches for `ip`: `base` in the root namespace, then each machine's own, by name. */
export interface NetworkScript {
  readonly base: readonly string[];
  readonly hosts: ReadonlyMap<NamespaceName, HostBatch>;
}

/** `ipv6` is for `ip -6`: a rule's family cannot be told from its words. */
export interface HostBatch {
  readonly lines: readonly string[];
  readonly ipv6: readonly string[];
}

const DEFAULT_HOSTS: readonly HostName[] = ["director-a", "rs1", "rs2", "rs3"];

/** Address of a machine in a network. */
export function addressOf(host: HostName, network: NetworkName, family: "IPv4" | "IPv6"): string {
  const [third, last] = [THIRD_BYTE[network], LAST_BYTE[host]];
  return family === "IPv4" ? `10.${third}.0.${last}` : `fd${third}::${last}`;
}

/** Machines of a topology, in the order of HOST_NAMES. */
export function hostsOf(options: NetworkOptions): readonly HostName[] {
  const wanted = new Set<HostName>(["client", "router", ...(options.hosts ?? DEFAULT_HOSTS)]);
  return HOST_NAMES.filter((host) => wanted.has(host));
}

/** Every port of a topology. */
export function portsOf(options: NetworkOptions): readonly Port[] {
  return hostsOf(options).flatMap((host) =>
    networksOf(host, options).map((network, index) => ({
      host,
      interface: `eth${index}`,
      network,
      mac: `02:00:00:${hex(THIRD_BYTE[network])}:00:${hex(LAST_BYTE[host])}`,
    })),
  );
}

function networksOf(host: HostName, options: NetworkOptions): readonly NetworkName[] {
  if (host === "client") return ["access"];
  if (host === "router") return ["lan", "access", "far"];
  if (options.behindRouter?.includes(host) === true) return ["far"];
  return ["lan", "back"];
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** The batches that build a topology whose namespaces are named `${prefix}${host}`. */
export function networkScript(prefix: string, options: NetworkOptions): NetworkScript {
  const ports = portsOf(options);
  const names: readonly NamespaceName[] = ["sw", ...hostsOf(options)];
  const base = [
    ...names.map((name) => `netns add ${prefix}${name}`),
    ...ports.map(
      (port) =>
        `link add ${port.interface} address ${port.mac} netns ${prefix}${port.host} ` +
        `type veth peer name ${switchPort(port)} netns ${prefix}sw`,
    ),
  ];
  const hosts = new Map<NamespaceName, HostBatch>([
    ["sw", { lines: switchBatch(ports), ipv6: [] }],
  ]);
  for (const host of hostsOf(options)) {
    const own = ports.filter((port) => port.host === host);
    const routes = routeBatch(host, own, options);
    const lines = ["link set lo up", ...own.flatMap(portBatch), ...routes.lines];
    hosts.set(host, { lines, ipv6: routes.ipv6 });
  }
  return { base, hosts };
}

/** Name of the switch's end of a cable; at most 15 characters, as interface names must be. */
export function switchPort(port: Pick<Port, "host" | "interface">): string {
  return `${port.host}-${port.interface}`;
}

function switchBatch(ports: readonly Port[]): readonly string[] {
  return [
    ...NETWORK_NAMES.flatMap((name) => [
      // Without snooping and forward delay a port forwards from its first packet.
      `link add ${name} type bridge forward_delay 0 mcast_snooping 0`,
      `link set ${name} up`,
    ]),
    ...ports.map((port) => `link set ${switchPort(port)} master ${port.network} up`),
  ];
}

function portBatch(port: Port): readonly string[] {
  return [
    `addr add ${addressOf(port.host, port.network, "IPv4")}/24 dev ${port.interface}`,
    `addr add ${addressOf(port.host, port.network, "IPv6")}/64 dev ${port.interface} nodad`,
    `link set ${port.interface} up`,
  ];
}

function routeBatch(host: HostName, ports: readonly Port[], options: NetworkOptions): HostBatch {
  const first = ports[0];
  if (host === "router" || first === undefined) return { lines: [], ipv6: [] };
  const defaults: HostBatch = {
    lines: [`route add default via ${addressOf("router", first.network, "IPv4")}`],
    ipv6: [`route add default via ${addressOf("router", first.network, "IPv6")}`],
  };
  const back = ports.find((port) => port.network === "back");
  if (back === undefined) return defaults;
  if (host.startsWith("rs")) return joined(defaults, backRoutes(back));
  return host === (options.natGateway ?? "director-a")
    ? joined(defaults, gatewayAddresses(back))
    : defaults;
}

function joined(a: HostBatch, b: HostBatch): HostBatch {
  return { lines: [...a.lines, ...b.lines], ipv6: [...a.ipv6, ...b.ipv6] };
}

function gatewayAddresses(back: Port): HostBatch {
  return {
    lines: [`addr add 10.30.0.1/24 dev ${back.interface}`],
    ipv6: [`addr add fd30::1/64 dev ${back.interface} nodad`],
  };
}

/** Replies from the back network return through the director that translated the request. */
function backRoutes(back: Port): HostBatch {
  const rules = (network: string, gateway: string): readonly string[] => [
    `rule add from ${network} table ${BACK_TABLE}`,
    `route add ${network} dev ${back.interface} table ${BACK_TABLE}`,
    `route add default via ${gateway} table ${BACK_TABLE}`,
  ];
  return { lines: rules("10.30.0.0/24", "10.30.0.1"), ipv6: rules("fd30::/64", "fd30::1") };
}
