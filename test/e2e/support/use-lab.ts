/** The lab with web servers and a client, and the product's agents, for the tests of one file. */
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import {
  startAgent,
  stateDirectoryOf,
  lvsctl,
  type Agent,
  type AgentOptions,
  type AgentRole,
} from "../../lab/agents.ts";
import { startHttpClient, type HttpClient, type Spread } from "../../lab/http-client.ts";
import type { ExecResult } from "../../lab/lab-process.ts";
import type { HostName } from "../../lab/network.ts";
import type { Topology, TopologyOptions } from "../../lab/topology.ts";
import { useTopology } from "../../lab/use-topology.ts";
import { startWebServer } from "../../lab/web-server.ts";
import { interfacesWith, savedTable } from "./kernel.ts";
import { ManifestDirectory } from "./manifests.ts";
import { agentStatus } from "./status.ts";
import { until } from "./until.ts";

/** Time between two looks of the agents for changes by others, seconds. */
export const AUDIT_SECONDS = 1;

export const DIRECTOR = "director-a";

/** Ample for a guest that shares its core. */
const CONVERGE_MS = 25_000;

export class Lab {
  readonly topology: Topology;
  readonly client: HttpClient;
  readonly manifests: ManifestDirectory;

  constructor(topology: Topology, client: HttpClient) {
    this.topology = topology;
    this.client = client;
    this.manifests = new ManifestDirectory(join(topology.directory, "manifests"));
  }

  get realServers(): readonly HostName[] {
    return this.topology.hosts.filter((host) => host.startsWith("rs"));
  }

  start(host: HostName, role: AgentRole, options: AgentOptions = {}): Promise<Agent> {
    const args = ["--audit-seconds", String(AUDIT_SECONDS), ...(options.args ?? [])];
    return startAgent(this.topology, host, role, this.manifests.path, { ...options, args });
  }

  startDirector(options: AgentOptions = {}): Promise<Agent> {
    return this.start(DIRECTOR, "director", options);
  }

  startRealServers(hosts = this.realServers): Promise<readonly Agent[]> {
    return Promise.all(hosts.map((host) => this.start(host, "realserver")));
  }

  lvsctl(host: HostName, ...args: readonly string[]): Promise<ExecResult> {
    const state = stateDirectoryOf(this.topology, host);
    return lvsctl(this.topology, host, [...args, "--state-dir", state]);
  }

  /** Requests one after the other to the VIP, each on a connection of its own. */
  requests(vip: string, count: number): Promise<Spread> {
    return this.client.requests(urlOf(vip), count);
  }

  /** Waits until the director holds each VIP. */
  async untilBound(...vips: readonly string[]): Promise<void> {
    for (const vip of vips) {
      await until(
        `${DIRECTOR} holds ${vip}`,
        async () => (await interfacesWith(this.topology, DIRECTOR, vip)).length > 0,
        CONVERGE_MS,
      );
    }
  }

  /** Waits until the table of the director holds exactly these commands, in any order. */
  async untilTable(...wanted: readonly (readonly string[])[]): Promise<void> {
    const expected = wanted.flat().sort().join("\n");
    let found = "";
    await until(
      "",
      async () => {
        found = [...(await savedTable(this.topology, DIRECTOR))].sort().join("\n");
        return found === expected;
      },
      CONVERGE_MS,
    ).catch(() => {
      throw new Error(`the table should be\n${expected}\nand is\n${found}`);
    });
  }

  /** Waits until the agent says that nothing is left to do. */
  async untilSettled(agent: Agent): Promise<void> {
    await until(
      `${agent.process.title} is settled`,
      async () => (await agentStatus(agent)).settled,
      CONVERGE_MS,
    );
  }

  /** Lets the router ask anew who has which address. */
  async forgetNeighbours(): Promise<void> {
    await this.topology.exec("router", ["ip", "neigh", "flush", "all"]);
    await this.topology.exec("router", ["ip", "-6", "neigh", "flush", "all"]);
  }
}

/** URL of port 80 of an address. */
export function urlOf(address: string): string {
  return address.includes(":") ? `http://[${address}]/` : `http://${address}/`;
}

/** What `useLab` builds. */
export interface LabOptions extends TopologyOptions {
  /** Whether a web server runs on each real server; default true. */
  readonly web?: boolean;
}

/** Builds the lab before the tests of the file or block and takes it down after them. */
export function useLab(options: LabOptions = {}): () => Lab {
  const topology = useTopology(options);
  let lab: Lab | undefined;
  beforeAll(async () => {
    const machines = topology();
    const client = startHttpClient(machines);
    const hosts = machines.hosts.filter((host) => host.startsWith("rs"));
    if (options.web !== false) await Promise.all(hosts.map((h) => startWebServer(machines, h)));
    lab = new Lab(machines, await client);
  }, 30_000);
  afterAll(() => {
    lab = undefined;
  });
  return () => {
    if (lab === undefined) throw new Error("the lab exists inside tests and hooks only");
    return lab;
  };
}
