import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import type { KeptConnection, Load } from "../lab/http-client.ts";
import { addressOf, type HostName } from "../lab/network.ts";
import { interfacesWith, savedTable, serviceLines } from "./support/kernel.ts";
import { realServer, virtualService, WEB_BACKEND } from "./support/manifests.ts";
import { agentStatus, directorStatus } from "./support/status.ts";
import { countTrace, traceTo } from "./support/trace.ts";
import { until } from "./support/until.ts";
import { AUDIT_SECONDS, DIRECTOR, urlOf, useLab } from "./support/use-lab.ts";

interface Method {
  readonly method: "DR" | "NAT" | "TUN";
  readonly vip: string;
  readonly network: "lan" | "back";
  readonly port: number;
  /** How `ipvsadm` writes the method, before and after the weight. */
  readonly flag: string;
  readonly tunnel: string;
}

const METHODS: readonly Method[] = [
  { method: "DR", vip: "10.10.0.101", network: "lan", port: 80, flag: "-g", tunnel: "" },
  { method: "NAT", vip: "10.10.0.102", network: "back", port: 8080, flag: "-m", tunnel: "" },
  {
    method: "TUN",
    vip: "10.10.0.103",
    network: "lan",
    port: 80,
    flag: "-i",
    tunnel: " --tun-type ipip",
  },
];

/** Specs of the real servers of a service, by machine. */
type Servers = Partial<Readonly<Record<HostName, object>>>;
/** Weights of destinations, by machine. */
type Weights = Partial<Readonly<Record<HostName, number>>>;

const THREE: Servers = { rs1: {}, rs2: {}, rs3: {} };
const EVEN: Weights = { rs1: 1, rs2: 1, rs3: 1 };

describe("changes of manifests and restarts of agents", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1", "rs2", "rs3", "rs4"] });
  let director: Agent;
  let agents: ReadonlyMap<HostName, Agent>;

  function publish({ method, vip, network, port }: Method, members: Servers, spec = {}): void {
    const namespace = method.toLowerCase();
    const service = virtualService(
      "web",
      {
        addresses: [{ ip: vip }],
        ports: [port === 80 ? { port } : { port: 80, targetPort: port }],
        scheduler: "wrr",
        forwarding: { method },
        backends: WEB_BACKEND,
        ...spec,
      },
      namespace,
    );
    const objects = hostsOf(members).map((host) =>
      realServer(host, addressOf(host, network, "IPv4"), members[host], namespace),
    );
    lab().manifests.write(`${namespace}.yaml`, service, ...objects);
  }

  function linesFor(
    { vip, network, port, flag, tunnel }: Method,
    weights: Weights,
  ): readonly string[] {
    const destinations = hostsOf(weights).map(
      (host) =>
        `-r ${addressOf(host, network, "IPv4")}:${port} ${flag} -w ${weights[host]}${tunnel}`,
    );
    return serviceLines(`-t ${vip}:80 -s wrr`, ...destinations);
  }

  /** Waits until the service has these weights and the others serve evenly. */
  async function untilWeights(method: Method, weights: Weights): Promise<void> {
    const others = METHODS.filter((other) => other !== method);
    await lab().untilTable(linesFor(method, weights), ...others.map((o) => linesFor(o, EVEN)));
  }

  async function connect(method: Method): Promise<{ kept: KeptConnection; server: HostName }> {
    const kept = await lab().client.connect(urlOf(method.vip));
    // The servers of this lab answer with the names of their machines.
    return { kept, server: (await kept.ask()) as HostName };
  }

  function without(server: HostName): Servers {
    return Object.fromEntries(Object.entries(THREE).filter(([host]) => host !== server));
  }

  beforeAll(async () => {
    for (const method of METHODS) publish(method, THREE);
    const [started, servers] = await Promise.all([lab().startDirector(), lab().startRealServers()]);
    director = started;
    agents = new Map(servers.map((agent) => [agent.host, agent]));
    await lab().untilBound(...METHODS.map(({ vip }) => vip));
    // Connections that were closed are forgotten after a second instead of two minutes.
    await lab().topology.exec(DIRECTOR, ["ipvsadm", "--set", "900", "1", "300"]);
  }, 60_000);

  describe.each(METHODS)("method $method", (method) => {
    it("a changed weight is followed by the table and the requests", async () => {
      publish(method, { rs1: { weight: 3 }, rs2: { weight: 2 }, rs3: { weight: 1 } });
      await untilWeights(method, { rs1: 3, rs2: 2, rs3: 1 });
      const spread = await lab().requests(method.vip, 12);
      expect(spread).toMatchObject({ failed: 0, perServer: { rs1: 6, rs2: 4, rs3: 2 } });
      publish(method, THREE);
      await untilWeights(method, EVEN);
    });

    it("a server in state Draining keeps its connections and gets no new ones", async () => {
      const { kept, server } = await connect(method);
      publish(method, { ...THREE, [server]: { adminState: "Draining" } });
      await untilWeights(method, { ...EVEN, [server]: 0 });
      const spread = await lab().requests(method.vip, 8);
      expect(spread.failed).toBe(0);
      expect(Object.values(spread.perServer)).toEqual([4, 4]);
      expect(spread.perServer).not.toHaveProperty(server);
      expect(await kept.ask()).toBe(server);
      publish(method, THREE);
      await untilWeights(method, EVEN);
      expect(await kept.ask()).toBe(server);
      await kept.close();
    });

    it("a server that is removed is drained first and leaves at the deadline", async () => {
      const { kept, server } = await connect(method);
      const rest = Object.fromEntries(Object.entries(EVEN).filter(([host]) => host !== server));
      publish(method, without(server), { drain: { timeoutSeconds: 2 } });
      await untilWeights(method, { ...EVEN, [server]: 0 });
      const spread = await lab().requests(method.vip, 8);
      expect(spread.failed).toBe(0);
      expect(spread.perServer).not.toHaveProperty(server);
      expect(await kept.ask()).toBe(server);
      await untilWeights(method, rest);
      await kept.close();
      publish(method, THREE);
      await untilWeights(method, EVEN);
    });

    // A director sees both directions of NAT, and the kernel counts such a connection for two
    // minutes after its end.
    if (method.method !== "NAT") {
      it("a server that is removed leaves before the deadline when its last connection ends", async () => {
        const { kept, server } = await connect(method);
        const rest = Object.fromEntries(Object.entries(EVEN).filter(([host]) => host !== server));
        publish(method, without(server));
        await untilWeights(method, { ...EVEN, [server]: 0 });
        expect(await kept.ask()).toBe(server);
        await kept.close();
        await untilWeights(method, rest);
        publish(method, THREE);
        await untilWeights(method, EVEN);
      });
    }

    it("a fourth server gets its part of the requests", async () => {
      publish(method, { ...THREE, rs4: {} });
      await untilWeights(method, { ...EVEN, rs4: 1 });
      if (method.method !== "NAT") {
        await until("rs4 holds the VIP", async () => {
          return (await interfacesWith(lab().topology, "rs4", method.vip)).length > 0;
        });
      }
      const spread = await lab().requests(method.vip, 8);
      expect(spread).toMatchObject({ failed: 0, perServer: { rs1: 2, rs2: 2, rs3: 2, rs4: 2 } });
      publish(method, THREE, { drain: { timeoutSeconds: 0 } });
      await untilWeights(method, EVEN);
    });
  });

  describe("under load", () => {
    async function underLoad(event: () => Promise<void>): Promise<void> {
      const loads: Load[] = [];
      for (const { vip } of METHODS) {
        loads.push(await lab().client.startLoad(urlOf(vip), { intervalMs: 10 }));
      }
      await sleep(300);
      await event();
      await sleep(300);
      const spreads = await Promise.all(loads.map((load) => load.stop()));
      for (const spread of spreads) {
        expect(spread).toMatchObject({ failed: 0, errors: {} });
        expect(spread.sent).toBeGreaterThan(20);
      }
    }

    it("changed weights, drained servers and servers that come back lose nothing", async () => {
      await underLoad(async () => {
        const steps: readonly Servers[] = [
          { rs1: { weight: 5 }, rs2: {}, rs3: {} },
          { rs1: { adminState: "Draining" }, rs2: { weight: 2 }, rs3: {} },
          { rs1: {}, rs2: { adminState: "Disabled" }, rs3: {} },
          THREE,
        ];
        for (const step of steps) {
          for (const method of METHODS) publish(method, step);
          await sleep(300);
        }
        await lab().untilTable(...METHODS.map((method) => linesFor(method, EVEN)));
      });
    });

    it("a director that is killed and started again loses nothing and writes nothing", async () => {
      const { topology } = lab();
      const trace = join(topology.directory, "director.trace");
      const before = await savedTable(topology, DIRECTOR);
      await underLoad(async () => {
        await director.kill();
        await sleep(300);
        director = await lab().startDirector({ wrapper: traceTo(trace) });
        await sleep(1000 * AUDIT_SECONDS);
        await lab().untilSettled(director);
      });
      expect(await savedTable(topology, DIRECTOR)).toEqual(before);
      expect(await directorStatus(director)).toMatchObject({ writeCommands: 0, tableChanges: 0 });
      const counts = countTrace(trace);
      expect(counts).toMatchObject({ ipvsWrites: 0, rtnetlinkWrites: 0, sysctlWrites: 0 });
      expect(counts.ipvsReads).toBeGreaterThan(0);
      expect(counts.rtnetlinkReads).toBeGreaterThan(0);
    });

    it("one changed weight is one command", async () => {
      const dr = METHODS.find(({ method }) => method === "DR");
      if (dr === undefined) throw new Error("DR is one of the methods");
      const trace = join(lab().topology.directory, "director.trace");
      publish(dr, { ...THREE, rs2: { weight: 5 } });
      await untilWeights(dr, { ...EVEN, rs2: 5 });
      await until("the count", async () => (await directorStatus(director)).writeCommands === 1);
      expect(countTrace(trace)).toMatchObject({ ipvsWrites: 1, rtnetlinkWrites: 0 });
      publish(dr, THREE);
      await untilWeights(dr, EVEN);
    });

    it("a real-server agent that is killed and started again changes nothing", async () => {
      const { topology } = lab();
      const trace = join(topology.directory, "realserver.trace");
      await underLoad(async () => {
        await agents.get("rs1")?.kill();
        await sleep(300);
        const agent = await lab().start("rs1", "realserver", { wrapper: traceTo(trace) });
        await sleep(1000 * AUDIT_SECONDS);
        expect(await agentStatus(agent)).toMatchObject({ settled: true, hostRepaired: 0 });
      });
      const counts = countTrace(trace);
      expect(counts).toMatchObject({ ipvsWrites: 0, rtnetlinkWrites: 0, sysctlWrites: 0 });
      expect(counts.rtnetlinkReads).toBeGreaterThan(0);
    });

    it("agents that are asked to stop leave everything in place", async () => {
      const { topology } = lab();
      const before = await savedTable(topology, DIRECTOR);
      await underLoad(async () => {
        expect(await director.stop()).toEqual({ code: 0, signal: undefined });
        expect(await agents.get("rs2")?.stop()).toEqual({ code: 0, signal: undefined });
      });
      expect(await savedTable(topology, DIRECTOR)).toEqual(before);
      for (const { vip } of METHODS) {
        expect(await interfacesWith(topology, DIRECTOR, vip)).toEqual(["eth0"]);
        expect(await lab().requests(vip, 6)).toMatchObject({
          failed: 0,
          perServer: { rs1: 2, rs2: 2, rs3: 2 },
        });
      }
      expect(await interfacesWith(topology, "rs2", "10.10.0.101")).toEqual(["lo"]);
    });
  });
});

function hostsOf(map: Servers | Weights): readonly HostName[] {
  // The types of the maps allow no other keys.
  return Object.keys(map) as HostName[];
}
