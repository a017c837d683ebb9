/**
 * The lab's machines as network namespaces: real veth cables, bridges, a router, and whatever
 * programs a test or the demo starts in them. Needs root in a machine with IPVS, which is what
 * `runInLab` gives.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execCommand, LabProcess, type ExecOptions, type ExecResult } from "./lab-process.ts";
import {
  hostsOf,
  networkScript,
  portsOf,
  type HostBatch,
  type HostName,
  type NamespaceName,
  type NetworkOptions,
  type Port,
} from "./network.ts";

export interface TopologyOptions extends NetworkOptions {
  /** Starts the names of the namespaces; default: unique, so that topologies do not meet. */
  readonly prefix?: string;
}

/** A running set of lab machines. */
export interface Topology extends AsyncDisposable {
  readonly hosts: readonly HostName[];
  /** Scratch directory of this topology, for manifests and state; removed by `down`. */
  readonly directory: string;
  /** Processes started in the machines, ended ones too. */
  readonly processes: readonly LabProcess[];
  /** Name of the namespace, for `ip netns exec` and `ip -n`. */
  namespace(host: NamespaceName): string;
  /** Path of the namespace, for sockets that are opened in it. */
  namespacePath(host: NamespaceName): string;
  /** The machine's port; @throws Error when it has none of that name. */
  port(host: HostName, interfaceName?: string): Port;
  /** Runs a command in the machine; @throws LabCommandError as `execCommand` says. */
  exec(host: NamespaceName, argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Starts a process in the machine; `down` ends it when nobody else has. */
  spawn(
    host: NamespaceName,
    argv: readonly string[],
    options?: Pick<ExecOptions, "env" | "cwd">,
  ): Promise<LabProcess>;
  /** Machines on the LAN that answer an ARP request for the address, asked by the router. */
  answersFor(address: string): Promise<readonly HostName[]>;
  /** Ends the processes and removes the machines. May be called twice. */
  down(): Promise<void>;
}

/** Builds a topology (0.2 s in a guest). @throws LabCommandError when the kernel refuses a part */
export async function createTopology(options: TopologyOptions = {}): Promise<Topology> {
  const prefix = options.prefix ?? `lab${randomBytes(3).toString("hex")}-`;
  const script = networkScript(prefix, options);
  const topology = new NamespaceTopology(prefix, options);
  try {
    await execCommand(["ip", "-batch", "-"], { input: script.base.join("\n") });
    const shell = [...script.hosts].map(([host, batch]) => batchCommands(prefix + host, batch));
    shell.push(routerCommands(`${prefix}router`));
    await execCommand(["sh", "-e"], { input: shell.join("") });
  } catch (error) {
    await topology.down();
    throw error;
  }
  return topology;
}

function batchCommands(namespace: string, batch: HostBatch): string {
  const command = (flags: string, lines: readonly string[]): string =>
    lines.length === 0
      ? ""
      : `ip ${flags} -n ${namespace} -batch - <<END\n${lines.join("\n")}\nEND\n`;
  return command("", batch.lines) + command("-6", batch.ipv6);
}

/** Only the router forwards from the start: on a director that is for the agent to switch on. */
function routerCommands(namespace: string): string {
  const keys = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
  return `ip netns exec ${namespace} sysctl -qw ${keys.join(" ")}\n`;
}

class NamespaceTopology implements Topology {
  readonly hosts: readonly HostName[];
  readonly directory: string;
  readonly processes: LabProcess[] = [];
  readonly #prefix: string;
  readonly #ports: readonly Port[];
  #down: Promise<void> | undefined;

  constructor(prefix: string, options: TopologyOptions) {
    this.#prefix = prefix;
    this.hosts = hostsOf(options);
    this.#ports = portsOf(options);
    this.directory = mkdtempSync(join(tmpdir(), "lvs-topology-"));
  }

  namespace(host: NamespaceName): string {
    return this.#prefix + host;
  }

  namespacePath(host: NamespaceName): string {
    return `/run/netns/${this.namespace(host)}`;
  }

  port(host: HostName, interfaceName = "eth0"): Port {
    const port = this.#ports.find((p) => p.host === host && p.interface === interfaceName);
    if (port === undefined) throw new Error(`${host} has no ${interfaceName} in this topology`);
    return port;
  }

  exec(host: NamespaceName, argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return execCommand(this.#inHost(host, argv), options);
  }

  async spawn(
    host: NamespaceName,
    argv: readonly string[],
    options?: Pick<ExecOptions, "env" | "cwd">,
  ): Promise<LabProcess> {
    const title = `${host}: ${argv.slice(0, 3).join(" ")}`;
    const child = await LabProcess.start(title, this.#inHost(host, argv), options);
    this.processes.push(child);
    return child;
  }

  /** `ip netns exec` becomes the command, so the pid of the child is the pid of the command. */
  #inHost(host: NamespaceName, argv: readonly string[]): readonly string[] {
    return ["ip", "netns", "exec", this.namespace(host), ...argv];
  }

  async answersFor(address: string): Promise<readonly HostName[]> {
    // With a deadline the count is that of replies, and several machines may reply to one request.
    const ask = ["arping", "-b", "-c", "99", "-w", "1", "-I", "eth0", address];
    const { stdout } = await this.exec("router", ask, { check: false });
    const heard = new Set(stdout.toLowerCase().match(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g) ?? []);
    const answered = this.#ports.filter((port) => port.network === "lan" && heard.has(port.mac));
    return answered.map((port) => port.host);
  }

  down(): Promise<void> {
    this.#down ??= this.#takeDown();
    return this.#down;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  async #takeDown(): Promise<void> {
    await Promise.all(this.processes.filter((p) => p.end === undefined).map((p) => p.stop(2_000)));
    const names = (["sw", ...this.hosts] as const).map((host) => this.namespace(host));
    // Grandchildren that outlived their parent would keep the namespace and its addresses alive.
    const list = names.map((name) => `ip netns pids ${name}\n`).join("");
    const { stdout } = await execCommand(["sh"], { input: list, check: false });
    for (const pid of stdout.split("\n").filter((line) => line !== "")) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch {
        // Gone in the meantime.
      }
    }
    const remove = names.map((name) => `netns del ${name}\n`).join("");
    await execCommand(["ip", "-force", "-batch", "-"], { input: remove, check: false });
    rmSync(this.directory, { recursive: true, force: true });
  }
}
