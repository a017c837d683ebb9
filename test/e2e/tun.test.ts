import { beforeAll, describe, expect, it } from "vitest";
import { capture } from "../lab/capture.ts";
import { interfacesWith, serviceLines, setSysctl, sysctl } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const VIP = "10.10.0.100";
const VIP6 = "fd10::100";
const SERVERS = ["rs1", "rs2", "rs3"] as const;
const EVEN = { rs1: 4, rs2: 4, rs3: 4 };
/** More than any buffer on the way holds. */
const UPLOAD_BYTES = 3_000_000;

describe("method TUN with a real server behind a router", { timeout: 60_000 }, () => {
  const lab = useLab({ behindRouter: ["rs3"] });

  it("a real server without the agent does not take packets out of the tunnel", async () => {
    const { topology } = lab();
    const { stdout } = await topology.exec("rs3", ["ip", "-br", "link", "show", "type", "ipip"]);
    expect(stdout).not.toMatch(/\bUP\b/);
    expect(await interfacesWith(topology, "rs3", VIP)).toEqual([]);
  });

  describe("with the agents", () => {
    beforeAll(async () => {
      const { manifests, topology } = lab();
      await setSysctl(topology, "rs1", "net.ipv4.conf.tunl0.rp_filter", "1");
      manifests.addExample("tun");
      manifests.write(
        "ipv6.yaml",
        virtualService("web6", {
          addresses: [{ ip: VIP6 }],
          forwarding: { method: "TUN" },
          backends: servers("fd10::21", "fd10::22", "fd40::23"),
        }),
      );
      await Promise.all([lab().startDirector(), lab().startRealServers()]);
      await lab().untilBound(VIP, VIP6);
    }, 60_000);

    it("each real server holds the VIP on tunl0", async () => {
      for (const host of SERVERS) {
        expect(await interfacesWith(lab().topology, host, VIP)).toEqual(["tunl0"]);
      }
    });

    it("strict reverse-path filtering is loosened, and none is left as it is", async () => {
      const { topology } = lab();
      const key = "net.ipv4.conf.tunl0.rp_filter";
      expect(await sysctl(topology, "rs1", key)).toBe("2");
      expect(await sysctl(topology, "rs2", key)).toBe("0");
    });

    it("the table forwards by tunnel", async () => {
      await lab().untilTable(
        serviceLines(
          `-t ${VIP}:80 -s wrr`,
          ...["10.10.0.21", "10.10.0.22", "10.40.0.23"].map(
            (ip) => `-r ${ip}:80 -i -w 1 --tun-type ipip`,
          ),
        ),
        serviceLines(
          `-t [${VIP6}]:80 -s rr`,
          ...["fd10::21", "fd10::22", "fd40::23"].map(
            (ip) => `-r [${ip}]:80 -i -w 1 --tun-type ipip`,
          ),
        ),
      );
    });

    it.each([VIP, VIP6])("12 requests to %s are spread evenly", async (vip) => {
      expect(await lab().requests(vip, 12)).toMatchObject({ failed: 0, perServer: EVEN });
    });

    it("requests are IP in IP on the wire behind the router", async () => {
      const far = await capture(lab().topology, "sw", "far", "ip proto 4");
      expect(await lab().requests(VIP, 3)).toMatchObject({ failed: 0 });
      const inner =
        / 10\.10\.0\.11 > 10\.40\.0\.23: (?:IP )?10\.20\.0\.10\.\d+ > 10\.10\.0\.100\.80:/;
      await until("a packet in a packet", () => far.lines.some((line) => inner.test(line)));
      await far.stop();
    });

    it("real servers silence ARP for the VIP on the LAN that it belongs to", async () => {
      expect(await lab().topology.answersFor(VIP)).toEqual([DIRECTOR]);
    });

    it("an upload in packets of full size passes to each server", async () => {
      const upload =
        `head -c ${UPLOAD_BYTES} /dev/zero | ` +
        `curl -sm 10 -w ' %{http_code} %{size_upload}' --data-binary @- http://${VIP}/`;
      const answers: string[] = [];
      for (let n = 0; n < SERVERS.length; n += 1) {
        const { stdout } = await lab().topology.exec("client", ["sh", "-c", upload]);
        expect(stdout).toContain(` 200 ${UPLOAD_BYTES}`);
        answers.push(stdout.split(" ")[0] ?? "");
      }
      expect(answers.sort()).toEqual(SERVERS);
    });
  });
});
