/**
 * The table that every contestant programs, in each contestant's own language. bench/native/
 * workload.h says the same in C.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Services x destinations of each. */
export interface Size {
  readonly services: number;
  readonly destinations: number;
}

/** `10000 x 2`. */
export function formatSize(size: Size): string {
  return `${size.services} x ${size.destinations}`;
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Port of every real server; the VIP's port differs, so NAT has something to rewrite. */
export const SERVER_PORT = 8080;

/** A hundred services, one port each, share a VIP. */
export function serviceEndpoint(index: number): Endpoint {
  const vip = Math.floor(index / 100);
  return {
    address: `10.100.${Math.floor(vip / 250)}.${(vip % 250) + 1}`,
    port: 1000 + (index % 100),
  };
}

/** How many VIPs a table of the size has. */
export function vipCount(size: Size): number {
  return Math.ceil(size.services / 100);
}

/** No two services share a real server, as when each is a pod of its own. */
export function destinationEndpoint(index: number, nth: number): Endpoint {
  return {
    address: `10.${128 + nth}.${Math.floor(index / 250)}.${(index % 250) + 1}`,
    port: SERVER_PORT,
  };
}

function* numbers(count: number): Generator<number> {
  for (let n = 0; n < count; n += 1) yield n;
}

function text(endpoint: Endpoint): string {
  return `${endpoint.address}:${endpoint.port}`;
}

/** Input of `ipvsadm -R`. */
export function ipvsadmRules(size: Size): string {
  const lines: string[] = [];
  for (const i of numbers(size.services)) {
    const service = text(serviceEndpoint(i));
    lines.push(`-A -t ${service} -s rr`);
    for (const k of numbers(size.destinations)) {
      lines.push(`-a -t ${service} -r ${text(destinationEndpoint(i, k))} -m -w 1`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The `ipvsadm` call that sets one weight. */
export function ipvsadmEdit(index: number, nth: number, weight: number): readonly string[] {
  const service = text(serviceEndpoint(index));
  const server = text(destinationEndpoint(index, nth));
  return ["ipvsadm", "-e", "-t", service, "-r", server, "-m", "-w", String(weight)];
}

/** One destination's weight that differs from the usual 1. */
export interface WeightChange {
  readonly service: number;
  readonly destination: number;
  readonly weight: number;
}

function weightOf(service: number, destination: number, change: WeightChange | undefined): number {
  const changed = change?.service === service && change.destination === destination;
  return changed ? change.weight : 1;
}

/** Whether keepalived connects to each real server every minute, or takes them as they are. */
export type Checks = "no checks" | "TCP checks";

/** keepalived.conf of nothing but the virtual servers. */
export function keepalivedConf(size: Size, checks: Checks, change?: WeightChange): string {
  const check = checks === "TCP checks" ? "TCP_CHECK { connect_timeout 3 }" : "";
  const blocks = ["global_defs { router_id bench }"];
  for (const i of numbers(size.services)) {
    const { address, port } = serviceEndpoint(i);
    const servers = [...numbers(size.destinations)].map((k) => {
      const server = destinationEndpoint(i, k);
      const weight = weightOf(i, k, change);
      return `  real_server ${server.address} ${server.port} {\n weight ${weight}\n ${check} }`;
    });
    blocks.push(
      `virtual_server ${address} ${port} {\n  delay_loop 60\n  lvs_sched rr\n  lvs_method NAT\n  protocol TCP`,
      ...servers,
      "}",
    );
  }
  return `${blocks.join("\n")}\n`;
}

/** One VirtualService as a person would write it. */
export function manifest(index: number, destinations: number, change?: WeightChange): string {
  const { address, port } = serviceEndpoint(index);
  const servers = [...numbers(destinations)].map((k) => {
    const weight = weightOf(index, k, change);
    return `        - address: ${destinationEndpoint(index, k).address}\n          weight: ${weight}`;
  });
  return `apiVersion: lvs-operator.io/v1alpha1
kind: VirtualService
metadata:
  name: ${manifestName(index)}
  namespace: bench
spec:
  addresses:
    - ip: ${address}
  ports:
    - port: ${port}
      targetPort: ${SERVER_PORT}
  scheduler: rr
  forwarding:
    method: NAT
  backends:
    - type: Servers
      servers:
${servers.join("\n")}
`;
}

function manifestName(index: number): string {
  return `web-${String(index).padStart(5, "0")}`;
}

/** Path of the file that holds the VirtualService of that index. */
export function manifestPath(directory: string, index: number): string {
  return join(directory, `${manifestName(index)}.yaml`);
}

/** Writes one file for each VirtualService, as a repository of manifests has it. */
export async function writeManifests(directory: string, size: Size): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const i of numbers(size.services)) {
    await writeFile(manifestPath(directory, i), manifest(i, size.destinations));
  }
}
