import { beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import { linesOf, serviceLines, setSysctl, sysctl } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const VIP = "10.10.0.100";
const VIP6 = "fd10::100";
const EVEN = { rs1: 4, rs2: 4, rs3: 4 };

describe("method NAT", { timeout: 60_000 }, () => {
  const lab = useLab();
  let director: Agent;

  beforeAll(async () => {
    const { manifests } = lab();
    manifests.addExample("nat");
    manifests.write(
      "ipv6.yaml",
      virtualService("web6", {
        addresses: [{ ip: VIP6 }],
        ports: [{ port: 80, targetPort: 8080 }],
        forwarding: { method: "NAT" },
        backends: servers("fd30::21", "fd30::22", "fd30::23"),
      }),
    );
    director = await lab().startDirector();
    await lab().untilBound(VIP, VIP6);
  }, 60_000);

  it("the table maps port 80 of the VIP to port 8080 of each server", async () => {
    await lab().untilTable(
      serviceLines(
        `-t ${VIP}:80 -s wrr`,
        ...[21, 22, 23].map((host) => `-r 10.30.0.${host}:8080 -m -w 1`),
      ),
      serviceLines(
        `-t [${VIP6}]:80 -s rr`,
        ...[21, 22, 23].map((host) => `-r [fd30::${host}]:8080 -m -w 1`),
      ),
    );
  });

  it.each([VIP, VIP6])("12 requests to %s are spread evenly", async (vip) => {
    expect(await lab().requests(vip, 12)).toMatchObject({ failed: 0, perServer: EVEN });
  });

  it("a server sees the request on its own port, from the client's address", async () => {
    const { stdout } = await lab().topology.exec("client", ["curl", "-sm", "2", `http://${VIP}/`]);
    expect(stdout).toMatch(/^rs[123] 10\.20\.0\.10:\d+ 8080$/m);
  });

  it("packets are counted in both directions", async () => {
    const counted = await until("counters, which the kernel refreshes every 2 s", async () => {
      const { stdout } = await lab().topology.exec(DIRECTOR, ["ipvsadm", "-Ln", "--stats"]);
      const row = linesOf(stdout).find((line) => line.includes(`${VIP}:80`)) ?? "";
      const [connections = 0, packetsIn = 0, packetsOut = 0] = row
        .trim()
        .split(/\s+/)
        .slice(2)
        .map(Number);
      return connections >= 13 ? { packetsIn, packetsOut } : undefined;
    });
    expect(counted.packetsIn).toBeGreaterThanOrEqual(13 * 4);
    expect(counted.packetsOut).toBeGreaterThanOrEqual(13 * 3);
  });

  it("answers are lost without the forwarding that the agent switches on", async () => {
    const { topology, client } = lab();
    expect(await sysctl(topology, DIRECTOR, "net.ipv4.ip_forward")).toBe("1");
    await director.kill();
    await setSysctl(topology, DIRECTOR, "net.ipv4.ip_forward", "0");
    const without = await client.requests(`http://${VIP}/`, 2, { timeoutMs: 500, concurrency: 2 });
    expect(without).toMatchObject({ failed: 2, errors: { TIMEOUT: 2 } });
    director = await lab().startDirector();
    expect(await sysctl(topology, DIRECTOR, "net.ipv4.ip_forward")).toBe("1");
    expect(await lab().requests(VIP, 12)).toMatchObject({ failed: 0, perServer: EVEN });
  });

  it("the director sends no redirects on the interface of the VIP", async () => {
    const keys = ["all", "eth0"].map((name) => `net.ipv4.conf.${name}.send_redirects`);
    const values = await Promise.all(keys.map((key) => sysctl(lab().topology, DIRECTOR, key)));
    expect(values).toEqual(["0", "0"]);
  });
});
