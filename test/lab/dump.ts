/** Everything that explains a failed test, as text. */
import type { HostName } from "./network.ts";
import type { Topology } from "./topology.ts";

const SETTINGS =
  "net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv4.conf.eth0.arp_ignore " +
  "net.ipv4.conf.all.arp_announce net.ipv4.conf.eth0.arp_announce net.ipv4.conf.eth0.send_redirects";

/** Log lines shown for each process. */
const LOG_LINES = 80;

/** Addresses, routes, neighbours, IPVS tables and settings of each machine, and all logs. */
export async function dumpTopology(topology: Topology): Promise<string> {
  const parts = await Promise.all(topology.hosts.map((host) => dumpHost(topology, host)));
  const logs = topology.processes.map((process) => {
    const end = process.end === undefined ? "running" : `ended ${JSON.stringify(process.end)}`;
    const lines = process.lines.slice(-LOG_LINES).map((line) => `  ${line}`);
    return [`---- ${process.title} (pid ${process.pid}, ${end})`, ...lines].join("\n");
  });
  return [...parts, ...logs].join("\n");
}

async function dumpHost(topology: Topology, host: HostName): Promise<string> {
  const commands = ["ip -br addr show up", "ip route", "ip neigh", "ip -6 neigh"];
  if (host.startsWith("director")) {
    commands.push("ipvsadm -Ln --stats", "ipvsadm -Lnc | head -20", "sysctl net.ipv4.vs");
  }
  if (host !== "client") commands.push(`sysctl ${SETTINGS}`);
  const script = commands.map((c) => `echo '$ ${c}'\n${c} 2>&1`).join("\n");
  const result = await topology.exec(host, ["sh"], { input: script, check: false });
  return `---- ${host}\n${result.stdout.replace(/^/gm, "  ").trimEnd()}`;
}
