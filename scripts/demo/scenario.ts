/** The demo itself; runs in the lab. Each step shows what a person would look at. */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { lvsctl, startAgent, stateDirectoryOf, type Agent } from "../../test/lab/agents.ts";
import { startHttpClient, type HttpClient, type Spread } from "../../test/lab/http-client.ts";
import { addressOf, type HostName } from "../../test/lab/network.ts";
import { PROJECT_ROOT } from "../../test/lab/paths.ts";
import { createTopology, type Topology } from "../../test/lab/topology.ts";
import { startWebServer } from "../../test/lab/web-server.ts";
import { Manifest } from "./manifest.ts";
import { Stage } from "./stage.ts";
import { differences, snapshot } from "./world.ts";

const DIRECTOR: HostName = "director-a";
const FIRST: readonly HostName[] = ["rs1", "rs2", "rs3"];
const FOURTH: HostName = "rs4";
const URL = "http://10.10.0.100/";
const REQUESTS = 60;
/** Longest wait for the kernel to follow a manifest. */
const FOLLOW_MS = 10_000;
const POLL_MS = 50;

/** Printed by `--json`. */
interface Result {
  readonly method: string;
  readonly requests: { readonly sent: number; readonly failed: number };
  readonly perRealServer: Readonly<Record<string, number>>;
  readonly writesOnRestart: number;
  readonly restored: boolean;
}

class Demo {
  readonly #method: string;
  readonly #stage: Stage;
  readonly #topology: Topology;
  readonly #client: HttpClient;
  readonly #manifest: Manifest;
  readonly #manifests: string;
  readonly #realServers: Agent[] = [];
  readonly #spreads: Spread[] = [];

  constructor(method: string, stage: Stage, topology: Topology, client: HttpClient) {
    this.#method = method;
    this.#stage = stage;
    this.#topology = topology;
    this.#client = client;
    this.#manifests = join(topology.directory, "manifests");
    mkdirSync(this.#manifests);
    this.#manifest = new Manifest(join(this.#manifests, "web.yaml"));
  }

  /** From nothing to balanced requests. */
  async start(): Promise<Agent> {
    this.#stage.title("A director agent and three real-server agents read examples/ YAML");
    copyFileSync(join(PROJECT_ROOT, "examples", this.#method, "web.yaml"), this.#manifest.path);
    const started = performance.now();
    const [director] = await Promise.all([
      startAgent(this.#topology, DIRECTOR, "director", this.#manifests),
      ...FIRST.map((host) => this.#startRealServer(host)),
    ]);
    await this.#until("the VIP to answer", async () => {
      const { failed } = await this.#client.requests(URL, 1, { timeoutMs: 300 });
      return failed === 0;
    });
    this.#stage.show(`ready after ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
    await this.#showTable();
    await this.#requests();
    return director;
  }

  async changeWeight(): Promise<void> {
    this.#stage.title("The file is edited: rs1 gets weight 3");
    this.#manifest.setRealServer("rs1", "weight", 3);
    await this.#tableShows((table) => / 10\.\d+\.0\.21:\d+ +\w+ +3 /.test(table));
    await this.#showTable();
    await this.#requests();
  }

  async drain(): Promise<void> {
    this.#stage.title("rs2 is drained: adminState: Draining");
    this.#manifest.setRealServer("rs2", "adminState", "Draining");
    await this.#tableShows((table) => / 10\.\d+\.0\.22:\d+ +\w+ +0 /.test(table));
    await this.#showTable();
    await this.#requests();
  }

  async addServer(): Promise<void> {
    this.#stage.title("A fourth real server joins");
    this.#manifest.addRealServer(FOURTH, addressOf(FOURTH, this.#network(), "IPv4"));
    await this.#startRealServer(FOURTH);
    await this.#tableShows((table) => /\.24:\d+/.test(table));
    await this.#showTable();
    await this.#requests();
  }

  /** @returns write commands of the new agent */
  async killDirector(director: Agent): Promise<{ director: Agent; writes: number }> {
    this.#stage.title("kill -9 of the director agent under load, and a new one");
    const load = await this.#client.startLoad(URL, { concurrency: 4 });
    await sleep(500);
    await director.kill();
    await sleep(500);
    const restarted = await startAgent(this.#topology, DIRECTOR, "director", this.#manifests);
    await sleep(500);
    const spread = await load.stop();
    this.#spreads.push(spread);
    this.#stage.spread(spread);
    const writes = await writeCommands(restarted);
    this.#stage.show(`write commands of the restarted agent: ${writes}`);
    return { director: restarted, writes };
  }

  /** Stops the agents (everything stays), then takes everything back. */
  async cleanUp(director: Agent): Promise<void> {
    this.#stage.title("Agents stop; lvsctl cleanup takes everything back");
    await Promise.all([director, ...this.#realServers].map((agent) => agent.stop()));
    const hosts = [director, ...this.#realServers].map(({ host }) => host);
    const answers = await Promise.all(hosts.map((host) => this.#cleanUpHost(host)));
    hosts.forEach((host, i) => {
      if (host === DIRECTOR || host === "rs1") this.#stage.show(`${host}\n${answers[i] ?? ""}`);
    });
  }

  async #cleanUpHost(host: HostName): Promise<string> {
    const args = ["cleanup", "--state-dir", stateDirectoryOf(this.#topology, host)];
    const { code, stdout, stderr } = await lvsctl(this.#topology, host, args);
    if (code !== 0)
      throw new Error(`lvsctl cleanup on ${host} ended with ${String(code)}: ${stderr}`);
    return stdout;
  }

  totals(): Pick<Result, "requests" | "perRealServer"> {
    const perRealServer: Record<string, number> = {};
    let sent = 0;
    let failed = 0;
    for (const spread of this.#spreads) {
      sent += spread.sent;
      failed += spread.failed;
      for (const [server, answers] of Object.entries(spread.perServer)) {
        perRealServer[server] = (perRealServer[server] ?? 0) + answers;
      }
    }
    return { requests: { sent, failed }, perRealServer };
  }

  async #startRealServer(host: HostName): Promise<void> {
    await startWebServer(this.#topology, host);
    this.#realServers.push(await startAgent(this.#topology, host, "realserver", this.#manifests));
  }

  #network(): "lan" | "back" {
    return this.#method === "nat" ? "back" : "lan";
  }

  async #requests(): Promise<void> {
    const spread = await this.#client.requests(URL, REQUESTS, { concurrency: 4 });
    this.#spreads.push(spread);
    this.#stage.spread(spread);
  }

  async #table(): Promise<string> {
    const state = stateDirectoryOf(this.#topology, DIRECTOR);
    const { stdout } = await lvsctl(this.#topology, DIRECTOR, ["list", "--state-dir", state]);
    return stdout;
  }

  async #showTable(): Promise<void> {
    this.#stage.show(`$ lvsctl list\n${await this.#table()}\n`);
  }

  /** Waits with ipvsadm, which starts faster than lvsctl. */
  async #tableShows(matches: (table: string) => boolean): Promise<void> {
    await this.#until("the kernel to follow the file", async () => {
      const { stdout } = await this.#topology.exec(DIRECTOR, ["ipvsadm", "-Ln"]);
      return matches(stdout);
    });
  }

  async #until(what: string, reached: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + FOLLOW_MS;
    while (!(await reached())) {
      if (performance.now() > deadline) throw new Error(`waited ${FOLLOW_MS / 1000} s for ${what}`);
      await sleep(POLL_MS);
    }
  }
}

async function writeCommands(agent: Agent): Promise<number> {
  const status = await agent.status();
  if (typeof status !== "object" || status === null || !("writeCommands" in status)) return -1;
  return Number(status.writeCommands);
}

async function play(method: string, json: boolean, keep: boolean): Promise<void> {
  const stage = new Stage(json);
  stage.picture(method);
  const hosts = [DIRECTOR, ...FIRST, FOURTH];
  const topology = await createTopology({
    hosts,
    ...(method === "tun" ? { behindRouter: ["rs3"] } : {}),
    ...(keep ? { prefix: "" } : {}),
  });
  const client = await startHttpClient(topology);
  const before = await snapshot(topology, hosts);
  const demo = new Demo(method, stage, topology, client);
  let director = await demo.start();
  await demo.changeWeight();
  await demo.drain();
  await demo.addServer();
  const restart = await demo.killDirector(director);
  director = restart.director;
  if (keep) {
    stage.show(keepText(topology));
    process.exit(0);
  }
  await demo.cleanUp(director);
  const left = differences(before, await snapshot(topology, hosts));
  stage.show(left.length === 0 ? "every value is as it was before" : left.join("\n"));
  const { requests, perRealServer } = demo.totals();
  const restored = left.length === 0;
  const result: Result = {
    method,
    requests,
    perRealServer,
    writesOnRestart: restart.writes,
    restored,
  };
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  await topology.down();
  const good = restored && requests.failed === 0 && restart.writes === 0;
  process.exitCode = good ? 0 : 1;
}

function keepText(topology: Topology): string {
  return `
The lab stays up. Edit ${join(topology.directory, "manifests", "web.yaml")} in a shell there:

  npm run lab -- shell director-a     ipvsadm -Ln, lvsctl, vi …
  npm run lab -- shell client         curl ${URL}
  npm run lab -- down                 the end
`;
}

const { values } = parseArgs({
  options: {
    method: { type: "string", default: "dr" },
    json: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});
try {
  await play(values.method, values.json, values.keep);
} catch (error) {
  // The first line says what went wrong, the last ones of an agent's log say why.
  const lines = (error instanceof Error ? error.message : String(error)).split("\n");
  const shown = lines.length > 8 ? [lines[0], "…", ...lines.slice(-6)] : lines;
  process.stderr.write(`demo: ${shown.join("\n  ")}\n`);
  process.exit(1);
}
