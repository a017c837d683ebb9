import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../lab/capture.ts";
import type { Agent } from "../lab/agents.ts";
import { addressOf, type HostName } from "../lab/network.ts";
import { interfacesWith, serviceLines, sysctl } from "./support/kernel.ts";
import { realServer, servers, virtualService, WEB_BACKEND } from "./support/manifests.ts";
import { DIRECTOR, urlOf, useLab } from "./support/use-lab.ts";
import { until } from "./support/until.ts";

const VIP = "10.10.0.100";
const VIP6 = "fd10::100";
const SERVERS: readonly HostName[] = ["rs1", "rs2", "rs3"];
const EVEN = { rs1: 4, rs2: 4, rs3: 4 };

describe("method DR", { timeout: 60_000 }, () => {
  const lab = useLab();

  /** MAC addresses from which somebody said that the address is there. */
  async function claimants(filter: string, said: string): Promise<ReadonlySet<string>> {
    const { topology, client } = lab();
    await lab().forgetNeighbours();
    const packets = await capture(topology, "sw", "lan", filter);
    const address = said.includes(VIP6) ? VIP6 : VIP;
    const { failed } = await client.requests(urlOf(address), 12);
    expect(failed).toBe(0);
    await until("an answer about the VIP", () => packets.lines.some((l) => l.includes(said)));
    const lines = (await packets.stop()).filter((line) => line.includes(said));
    return new Set(lines.map((line) => line.split(" ")[1] ?? ""));
  }

  describe("set up by hand without the agents", () => {
    const everywhere = (verb: "add" | "del"): Promise<unknown> =>
      Promise.all(
        ([DIRECTOR, ...SERVERS] as const).map((host) => {
          const device = host === DIRECTOR ? "eth0" : "lo";
          return lab().topology.exec(host, ["ip", "addr", verb, `${VIP}/32`, "dev", device]);
        }),
      );
    beforeAll(() => everywhere("add"));
    afterAll(() => everywhere("del"));

    it("the director and every real server answer ARP requests for the VIP", async () => {
      expect(await lab().topology.answersFor(VIP)).toEqual([DIRECTOR, ...SERVERS]);
    });
  });

  describe("with the agents", () => {
    let director: Agent;
    beforeAll(async () => {
      const { manifests } = lab();
      manifests.addExample("dr");
      manifests.write(
        "ipv6.yaml",
        virtualService("web6", {
          addresses: [{ ip: VIP6 }],
          scheduler: "wrr",
          backends: servers(...SERVERS.map((host) => addressOf(host, "lan", "IPv6"))),
        }),
      );
      [director] = await Promise.all([lab().startDirector(), lab().startRealServers()]);
      await lab().untilBound(VIP, VIP6);
      await lab().untilSettled(director);
    }, 60_000);

    it("each real server holds the VIP on lo with ARP silenced for it", async () => {
      const { topology } = lab();
      for (const host of SERVERS) {
        expect(await interfacesWith(topology, host, VIP)).toEqual(["lo"]);
        expect(await sysctl(topology, host, "net.ipv4.conf.eth0.arp_ignore")).toBe("1");
        expect(await sysctl(topology, host, "net.ipv4.conf.eth0.arp_announce")).toBe("2");
      }
    });

    it("only the director answers ARP requests for the VIP", async () => {
      const { mac } = lab().topology.port(DIRECTOR);
      expect(await lab().topology.answersFor(VIP)).toEqual([DIRECTOR]);
      expect(await claimants("arp", `${VIP} is-at`)).toEqual(new Set([mac]));
    });

    it("only the director advertises itself as the neighbour with the IPv6 VIP", async () => {
      const { mac } = lab().topology.port(DIRECTOR);
      const said = `neighbor advertisement, tgt is ${VIP6}`;
      expect(await claimants("icmp6 and ip6[40] == 136", said)).toEqual(new Set([mac]));
    });

    it.each([VIP, VIP6])("12 requests to %s are spread evenly", async (vip) => {
      expect(await lab().requests(vip, 12)).toMatchObject({ failed: 0, perServer: EVEN });
    });

    it("answers go to the client without passing the director", async () => {
      const { topology } = lab();
      const back = await capture(topology, DIRECTOR, "eth0", "tcp src port 80");
      const there = await capture(topology, DIRECTOR, "eth0", "tcp dst port 80");
      expect(await lab().requests(VIP, 3)).toMatchObject({ failed: 0 });
      await until("requests at the director", () => there.lines.length > 0);
      await there.stop();
      expect(await back.stop()).toEqual([]);
    });

    it("weights 3:2:1 spread 12 requests 6:4:2", async () => {
      const weighted = SERVERS.map((host, index) =>
        realServer(host, addressOf(host, "lan", "IPv4"), { weight: 3 - index }, "demo"),
      );
      lab().manifests.write(
        "web.yaml",
        virtualService(
          "web",
          {
            addresses: [{ ip: VIP }],
            scheduler: "wrr",
            backends: WEB_BACKEND,
          },
          "demo",
        ),
        ...weighted,
      );
      await lab().untilTable(
        serviceLines(
          `-t ${VIP}:80 -s wrr`,
          "-r 10.10.0.21:80 -g -w 3",
          "-r 10.10.0.22:80 -g -w 2",
          "-r 10.10.0.23:80 -g -w 1",
        ),
        serviceLines(
          `-t [${VIP6}]:80 -s wrr`,
          ...["fd10::21", "fd10::22", "fd10::23"].map((ip) => `-r [${ip}]:80 -g -w 1`),
        ),
      );
      const spread = await lab().requests(VIP, 12);
      expect(spread).toMatchObject({ failed: 0, perServer: { rs1: 6, rs2: 4, rs3: 2 } });
    });
  });
});
