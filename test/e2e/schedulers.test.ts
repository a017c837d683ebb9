import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { HostName } from "../lab/network.ts";
import { PROJECT_ROOT } from "../lab/paths.ts";
import { startWebServer } from "../lab/web-server.ts";
import { linesOf, savedTable, serviceLines } from "./support/kernel.ts";
import { servers, virtualService, type Manifest } from "./support/manifests.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const NAT_VIP = "10.10.0.101";
const MARK_VIP = "10.10.0.102";
const DR_VIP = "10.10.0.103";
const VIP6 = "fd10::101";
const RS: readonly HostName[] = ["rs1", "rs2", "rs3"];
const MARK = 77;
const RANGE = { port: 9000, endPort: 9003 };
const UDP_CLIENT = join(import.meta.dirname, "support/udp-client.ts");
const UDP_ECHO = join(PROJECT_ROOT, "test/lab/programs/udp-echo.ts");

interface Scheduling {
  readonly scheduler: string;
  /** Options that `ipvsadm` shows. */
  readonly flags?: string;
  /** How 6 requests are spread; absent: any way. */
  readonly spread?: Readonly<Record<string, number>>;
  /** All requests of a client go to one server, whichever it is. */
  readonly sticky?: boolean;
}

/** With weights 3, 2 and 1, requests one after the other, and no connection left between them. */
const SCHEDULERS: readonly Scheduling[] = [
  { scheduler: "rr", spread: { rs1: 2, rs2: 2, rs3: 2 } },
  { scheduler: "wrr", spread: { rs1: 3, rs2: 2, rs3: 1 } },
  { scheduler: "lc" },
  { scheduler: "wlc" },
  { scheduler: "lblc", sticky: true },
  { scheduler: "lblcr" },
  { scheduler: "dh", sticky: true },
  { scheduler: "sh", flags: " -b sh-fallback", sticky: true },
  { scheduler: "sed" },
  { scheduler: "nq" },
  { scheduler: "mh", flags: " -b mh-fallback", sticky: true },
  { scheduler: "fo", spread: { rs1: 6 } },
  { scheduler: "ovf", spread: { rs1: 6 } },
  { scheduler: "twos" },
];
const FIRST_PORT = 2001;
const portOf = (scheduler: string): number =>
  FIRST_PORT + SCHEDULERS.findIndex((entry) => entry.scheduler === scheduler);

describe("schedulers and kinds of services", { timeout: 60_000 }, () => {
  const lab = useLab({ web: false });

  const dr = (name: string, spec: object): Manifest =>
    virtualService(name, {
      addresses: [{ ip: DR_VIP }],
      backends: servers("10.10.0.21", "10.10.0.22", "10.10.0.23"),
      ...spec,
    });
  const nat = (name: string, port: number, spec: object): Manifest =>
    virtualService(name, {
      addresses: [{ ip: NAT_VIP }],
      ports: [{ port, targetPort: 80 }],
      forwarding: { method: "NAT" },
      backends: servers("10.30.0.21*3", "10.30.0.22*2", "10.30.0.23*1"),
      ...spec,
    });

  async function lineWith(text: string): Promise<string> {
    const table = await savedTable(lab().topology, DIRECTOR);
    return table.find((line) => line.startsWith("-A") && line.includes(text)) ?? "";
  }

  beforeAll(async () => {
    const { topology, manifests } = lab();
    manifests.write(
      "schedulers.yaml",
      ...SCHEDULERS.map(({ scheduler }) => nat(scheduler, portOf(scheduler), { scheduler })),
    );
    manifests.write(
      "more.yaml",
      nat("sh-port", 3001, { scheduler: "sh", hashing: { key: "SourceAddressAndPort" } }),
      nat("mh-strict", 3002, { scheduler: "mh", hashing: { fallback: "Disabled" } }),
      nat("sticky", 3003, { scheduler: "rr", persistence: { timeoutSeconds: 60 } }),
      nat("sticky-24", 3004, {
        scheduler: "rr",
        persistence: { timeoutSeconds: 600, ipv4PrefixLength: 24 },
      }),
      nat("limited", 3005, {
        scheduler: "rr",
        backends: [
          {
            type: "Servers",
            servers: [
              { address: "10.30.0.21", upperThreshold: 1, lowerThreshold: 1 },
              { address: "10.30.0.22" },
            ],
          },
        ],
      }),
      virtualService("sticky-64", {
        addresses: [{ ip: VIP6 }],
        persistence: { ipv6PrefixLength: 64 },
        backends: servers("fd10::21", "fd10::22"),
      }),
      dr("all-ports", { ports: [{ port: 0 }], persistence: {} }),
      dr("datagrams", {
        ports: [{ port: 5353, protocol: "UDP", onePacketScheduling: "Enabled" }],
      }),
      dr("flows", { ports: [{ port: 5354, protocol: "UDP" }] }),
      dr("range", { ports: [RANGE] }),
      virtualService("marked", {
        addresses: [{ ip: MARK_VIP }],
        ports: [{ port: 80 }, { port: 8080 }],
        firewallMark: { type: "External", value: MARK },
        backends: servers("10.10.0.21", "10.10.0.22", "10.10.0.23"),
      }),
    );
    const rule = `ip daddr ${MARK_VIP} tcp dport { 80, 8080 } meta mark set ${MARK}`;
    const hook = "type filter hook prerouting priority mangle;";
    await topology.exec(DIRECTOR, ["nft", "-f", "-"], {
      input: `table ip marks {\n chain prerouting {\n ${hook}\n ${rule}\n }\n}\n`,
    });
    await Promise.all([
      lab().startDirector(),
      lab().startRealServers(),
      ...RS.map((host) => startWebServer(topology, host, [80, 8080, 9000, 9001, 9002, 9003])),
    ]);
    await lab().untilBound(NAT_VIP, MARK_VIP, DR_VIP, VIP6);
    await Promise.all(
      RS.flatMap((host) =>
        ["5353", "5354"].map(async (port) => {
          const echo = await topology.spawn(host, [process.execPath, UDP_ECHO, host, port, DR_VIP]);
          await echo.waitForLine(/^ready$/);
        }),
      ),
    );
  }, 60_000);

  it("the kernel takes all 14 schedulers", async () => {
    expect(SCHEDULERS).toHaveLength(14);
    const table = await savedTable(lab().topology, DIRECTOR);
    for (const { scheduler, flags = "" } of SCHEDULERS) {
      expect(table).toContain(`-A -t ${NAT_VIP}:${portOf(scheduler)} -s ${scheduler}${flags}`);
    }
  });

  it.each(SCHEDULERS)(
    "scheduler $scheduler carries traffic",
    async ({ scheduler, spread, sticky }) => {
      const url = `http://${NAT_VIP}:${portOf(scheduler)}/`;
      const { failed, perServer } = await lab().client.requests(url, 6);
      expect(failed).toBe(0);
      if (spread !== undefined) expect(perServer).toEqual(spread);
      if (sticky === true) expect(Object.values(perServer)).toEqual([6]);
    },
  );

  it("hashing by address and port spreads the connections of one client", async () => {
    expect(await lineWith(":3001 ")).toMatch(/ -s sh -b sh-fallback,sh-port$/);
    const { failed, perServer } = await lab().client.requests(`http://${NAT_VIP}:3001/`, 30);
    expect(failed).toBe(0);
    expect(Object.keys(perServer).length).toBeGreaterThan(1);
  });

  it("hashing without fallback has no flag", async () => {
    expect(await lineWith(":3002 ")).toBe(`-A -t ${NAT_VIP}:3002 -s mh`);
  });

  it("persistence keeps a client on its server", async () => {
    expect(await lineWith(":3003 ")).toBe(`-A -t ${NAT_VIP}:3003 -s rr -p 60`);
    const { perServer } = await lab().client.requests(`http://${NAT_VIP}:3003/`, 6);
    expect(Object.values(perServer)).toEqual([6]);
  });

  it("persistence by prefix keeps clients of one network together, and without it apart", async () => {
    const { topology, client } = lab();
    const own = ["10.20.0.10", "10.20.0.110"];
    await topology.exec("client", ["ip", "addr", "add", `${own[1]}/24`, "dev", "eth0"]);
    const answersOn = async (port: number): Promise<ReadonlySet<string>> => {
      const answers = await Promise.all(
        own.map((localAddress) =>
          client.requests(`http://${NAT_VIP}:${port}/`, 1, { localAddress }),
        ),
      );
      return new Set(answers.flatMap(({ perServer }) => Object.keys(perServer)));
    };
    expect(await lineWith(":3004 ")).toBe(`-A -t ${NAT_VIP}:3004 -s rr -p 600 -M 255.255.255.0`);
    expect((await answersOn(3004)).size).toBe(1);
    expect((await answersOn(3003)).size).toBe(2);
    expect(await lineWith(VIP6)).toBe(`-A -t [${VIP6}]:80 -s rr -p 300 -M 64`);
  });

  it("a server at its upper threshold gets no new connections", async () => {
    const { topology, client } = lab();
    const { stdout } = await topology.exec(DIRECTOR, ["ipvsadm", "-Ln", "--thresholds"]);
    const limits = linesOf(stdout)
      .slice(linesOf(stdout).findIndex((line) => line.includes(":3005")))
      .find((line) => line.includes("10.30.0.21:80"));
    expect(limits?.trim().split(/\s+/).slice(2, 4)).toEqual(["1", "1"]);
    // Round robin: one of two connections goes to rs1, and stays.
    const kept = [
      await client.connect(`http://${NAT_VIP}:3005/`),
      await client.connect(`http://${NAT_VIP}:3005/`),
    ];
    const holders = [await kept[0]?.ask(), await kept[1]?.ask()];
    expect(new Set(holders)).toEqual(new Set(["rs1", "rs2"]));
    const spread = await client.requests(`http://${NAT_VIP}:3005/`, 4);
    expect(spread).toMatchObject({ failed: 0, perServer: { rs2: 4 } });
    for (const connection of kept) await connection.close();
  });

  it("each datagram is scheduled on its own with one-packet scheduling, and not without", async () => {
    const answers = async (port: string): Promise<readonly string[]> => {
      const argv = [process.execPath, UDP_CLIENT, DR_VIP, port, "9", "4000"];
      return linesOf((await lab().topology.exec("client", argv)).stdout);
    };
    expect(await lineWith(":5353 ")).toBe(`-A -u ${DR_VIP}:5353 -s rr -o`);
    const single = await answers("5353");
    expect(RS.map((host) => single.filter((name) => name === host).length)).toEqual([3, 3, 3]);
    const flow = await answers("5354");
    expect(flow).toHaveLength(9);
    expect(new Set(flow).size).toBe(1);
  });

  it("port 0 sends all ports of a client to one server", async () => {
    expect(await lineWith(`${DR_VIP}:0 `)).toBe(`-A -t ${DR_VIP}:0 -s rr -p 300`);
    const spreads = [];
    for (const port of [80, 8080, 80, 8080]) {
      spreads.push(await lab().client.requests(`http://${DR_VIP}:${port}/`, 2));
    }
    expect(spreads.every(({ failed }) => failed === 0)).toBe(true);
    expect(new Set(spreads.flatMap(({ perServer }) => Object.keys(perServer))).size).toBe(1);
  });

  it("each port of a range is a service with a round of its own", async () => {
    const table = await savedTable(lab().topology, DIRECTOR);
    for (let port = RANGE.port; port <= RANGE.endPort; port += 1) {
      expect(table).toContain(`-A -t ${DR_VIP}:${port} -s rr`);
      const spread = await lab().client.requests(`http://${DR_VIP}:${port}/`, 3);
      expect(spread).toMatchObject({ failed: 0, perServer: { rs1: 1, rs2: 1, rs3: 1 } });
    }
  });

  it("marked packets of two ports share one round robin", async () => {
    const table = await savedTable(lab().topology, DIRECTOR);
    const marked = serviceLines(
      `-f ${MARK} -s rr`,
      ...[21, 22, 23].map((host) => `-r 10.10.0.${host}:0 -g -w 1`),
    );
    expect(table).toEqual(expect.arrayContaining([...marked]));
    const order: string[] = [];
    for (const port of [80, 8080, 80, 8080, 80, 8080]) {
      const { perServer } = await lab().client.requests(`http://${MARK_VIP}:${port}/`, 1);
      order.push(...Object.keys(perServer));
    }
    expect(new Set(order.slice(0, 3))).toEqual(new Set(RS));
    expect(order.slice(3)).toEqual(order.slice(0, 3));
  });

  it("packets without the mark are not scheduled", async () => {
    const { topology, client } = lab();
    await topology.exec(DIRECTOR, ["nft", "delete", "table", "ip", "marks"]);
    const spread = await until("a refused request", async () => {
      const result = await client.requests(`http://${MARK_VIP}/`, 1, { timeoutMs: 500 });
      return result.failed === 1 ? result : undefined;
    });
    expect(spread.errors).toEqual({ ECONNREFUSED: 1 });
  });
});
