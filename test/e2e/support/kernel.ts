/** What the kernel of a lab machine says, read with the usual tools and not with ours. */
import type { NamespaceName } from "../../lab/network.ts";
import type { Topology } from "../../lab/topology.ts";

/** The IPVS table as `ipvsadm -S -n` prints it, one line each. */
export async function savedTable(
  topology: Topology,
  host: NamespaceName,
): Promise<readonly string[]> {
  const { stdout } = await topology.exec(host, ["ipvsadm", "-S", "-n"]);
  return linesOf(stdout);
}

/** Commands for one service: `service("-t 10.0.0.1:80 -s rr", "-r 10.0.0.2:80 -g -w 1")`. */
export function serviceLines(
  service: string,
  ...destinations: readonly string[]
): readonly string[] {
  const name = service.replace(/ -s .*/, "");
  return [`-A ${service}`, ...destinations.map((destination) => `-a ${name} ${destination}`)];
}

/** Interfaces that hold the address. */
export async function interfacesWith(
  topology: Topology,
  host: NamespaceName,
  address: string,
): Promise<readonly string[]> {
  const { stdout } = await topology.exec(host, ["ip", "-o", "addr", "show"]);
  return linesOf(stdout)
    .map((line) => line.split(/\s+/))
    .filter(([, , , local]) => local?.split("/")[0] === address)
    .map(([, name]) => name ?? "");
}

export async function sysctl(
  topology: Topology,
  host: NamespaceName,
  key: string,
): Promise<string> {
  const { stdout } = await topology.exec(host, ["sysctl", "-n", key]);
  return stdout.trim().replaceAll("\t", " ");
}

export async function setSysctl(
  topology: Topology,
  host: NamespaceName,
  key: string,
  value: string,
): Promise<void> {
  await topology.exec(host, ["sysctl", "-qw", `${key}=${value}`]);
}

/** Connections to each destination, active and not, from `ipvsadm -L`. */
export async function connectionsTo(
  topology: Topology,
  host: NamespaceName,
  destination: string,
): Promise<number> {
  const { stdout } = await topology.exec(host, ["ipvsadm", "-L", "-n"]);
  const rows = linesOf(stdout).filter((line) => line.includes(`-> ${destination} `));
  return rows.reduce((sum, row) => {
    const [, , , , active, inactive] = row.trim().split(/\s+/);
    return sum + Number(active) + Number(inactive);
  }, 0);
}

/**
 * Everything that the product may touch on a node, one fact a line, sorted. Left out is what comes
 * and goes by itself (link-local addresses settle) and what a device keeps for having been up once
 * (its queue, and IPv6 settings for tunl0): nobody can take that back.
 */
export async function worldOf(topology: Topology, host: NamespaceName): Promise<readonly string[]> {
  const { stdout } = await topology.exec(host, ["sh"], { input: WORLD_SCRIPT });
  return linesOf(stdout)
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .sort();
}

const WORLD_SCRIPT = `
cd /proc/sys/net
grep -rs . ipv4/conf ipv4/vs ipv4/ip_forward ipv6/conf | grep -v -e stable_secret -e ipv6/conf/tunl0
ip -o addr show | sed -e 's/valid_lft.*//' -e 's/ tentative//' -e 's/^/addr /'
ip -o link show | sed -e 's/ qdisc [a-z]*//' -e 's/^/link /'
ip route show table all | grep -v fe80:: | sed -e 's/^/route /'
ipvsadm -S -n | sed -e 's/^/ipvs /'
`;

export function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}
