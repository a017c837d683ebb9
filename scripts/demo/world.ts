/** What the agents may change on a host, as text: equal before and after means restored. */
import type { HostName } from "../../test/lab/network.ts";
import type { Topology } from "../../test/lab/topology.ts";

// Of IPv6 only forwarding: a tunnel device that was up once keeps its IPv6 settings, which the
// kernel makes when it comes up first, and nothing but a new namespace takes away.
const SETTINGS = "^net[.](ipv4[.](conf|ip_forward|vs)|ipv6[.]conf[.](all|eth.*)[.]forwarding)";
const SNAPSHOT = [
  "ip -o addr show | awk '{print $2, $4}' | sort",
  "ip -o link show | sed 's/@[^:]*//' | awk '{print $2, $3}' | sort",
  `sysctl -a --pattern '${SETTINGS}' 2>/dev/null | sort`,
  "ipvsadm -S -n 2>/dev/null | sort",
];

/** A snapshot of each host. */
export async function snapshot(
  topology: Topology,
  hosts: readonly HostName[],
): Promise<ReadonlyMap<HostName, string>> {
  const input = SNAPSHOT.join("\n");
  const taken = hosts.map(async (host): Promise<[HostName, string]> => {
    const { stdout } = await topology.exec(host, ["sh"], { input });
    return [host, stdout];
  });
  return new Map(await Promise.all(taken));
}

/** Lines that differ, with the host they belong to; empty = everything is as it was. */
export function differences(
  before: ReadonlyMap<HostName, string>,
  after: ReadonlyMap<HostName, string>,
): readonly string[] {
  const found: string[] = [];
  for (const [host, text] of after) {
    const was = new Set((before.get(host) ?? "").split("\n"));
    const is = new Set(text.split("\n"));
    found.push(...[...is].filter((line) => !was.has(line)).map((line) => `${host}: + ${line}`));
    found.push(...[...was].filter((line) => !is.has(line)).map((line) => `${host}: - ${line}`));
  }
  return found;
}
