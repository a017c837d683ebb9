import { beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import type { HostName } from "../lab/network.ts";
import { interfacesWith, savedTable, serviceLines, setSysctl, sysctl } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import { agentStatus, directorStatus } from "./support/status.ts";
import { until } from "./support/until.ts";
import { AUDIT_SECONDS, DIRECTOR, useLab } from "./support/use-lab.ts";

const DR_VIP = "10.10.0.101";
const NAT_VIP = "10.10.0.102";
const TUN_VIP = "10.10.0.103";
const VIPS = [DR_VIP, NAT_VIP, TUN_VIP];
const FOREIGN_IP = "10.10.0.200";

/** Some audits. An audit that took long, as on a busy machine, makes the next one wait. */
const REPAIR_MS = 10_000 * AUDIT_SECONDS + 10_000;

const OURS = [
  ...serviceLines(`-t ${DR_VIP}:80 -s rr`, "-r 10.10.0.21:80 -g -w 1", "-r 10.10.0.22:80 -g -w 2"),
  ...serviceLines(`-t ${NAT_VIP}:80 -s rr`, "-r 10.30.0.21:80 -m -w 1", "-r 10.30.0.22:80 -m -w 2"),
  ...serviceLines(
    `-t ${TUN_VIP}:80 -s rr`,
    "-r 10.10.0.21:80 -i -w 1 --tun-type ipip",
    "-r 10.10.0.22:80 -i -w 2 --tun-type ipip",
  ),
];

describe("changes made by somebody else", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1", "rs2"] });
  let director: Agent;
  let rs1: Agent;

  const ipvsadm = (...args: readonly string[]): Promise<unknown> =>
    lab().topology.exec(DIRECTOR, ["ipvsadm", ...args]);

  const untilSysctl = (host: HostName, key: string, value: string): Promise<unknown> =>
    until(
      `${key} is ${value} on ${host}`,
      async () => (await sysctl(lab().topology, host, key)) === value,
      REPAIR_MS,
    );

  const untilHeld = (host: HostName, address: string, interfaceName: string): Promise<unknown> =>
    until(
      `${host} holds ${address} on ${interfaceName}`,
      async () => (await interfacesWith(lab().topology, host, address)).includes(interfaceName),
      REPAIR_MS,
    );

  beforeAll(async () => {
    const { manifests } = lab();
    const spec = (ip: string, method: string, ...list: readonly string[]): object => ({
      addresses: [{ ip }],
      forwarding: { method },
      backends: servers(...list),
    });
    manifests.write(
      "all.yaml",
      virtualService("dr", spec(DR_VIP, "DR", "10.10.0.21", "10.10.0.22*2")),
      virtualService("nat", spec(NAT_VIP, "NAT", "10.30.0.21", "10.30.0.22*2")),
      virtualService("tun", spec(TUN_VIP, "TUN", "10.10.0.21", "10.10.0.22*2")),
    );
    [director, [rs1]] = await Promise.all([
      lab().startDirector(),
      Promise.all([lab().start("rs1", "realserver"), lab().start("rs2", "realserver")]),
    ]);
    await lab().untilBound(...VIPS);
    await lab().untilTable(OURS);
    for (const vip of VIPS) expect(await lab().requests(vip, 2)).toMatchObject({ failed: 0 });
  }, 60_000);

  describe("to what is ours are found and repaired", () => {
    it.each([
      ["an edited weight", ["-e", "-t", `${DR_VIP}:80`, "-r", "10.10.0.21:80", "-g", "-w", "9"]],
      ["a drained server", ["-e", "-t", `${NAT_VIP}:80`, "-r", "10.30.0.21:80", "-m", "-w", "0"]],
      ["a changed method", ["-e", "-t", `${DR_VIP}:80`, "-r", "10.10.0.21:80", "-i"]],
      ["a changed scheduler", ["-E", "-t", `${DR_VIP}:80`, "-s", "wlc"]],
      ["a server removed", ["-d", "-t", `${TUN_VIP}:80`, "-r", "10.10.0.22:80"]],
      ["a service removed", ["-D", "-t", `${NAT_VIP}:80`]],
      ["a service added on a VIP of ours", ["-A", "-t", `${DR_VIP}:8000`, "-s", "rr"]],
      ["the whole table cleared", ["-C"]],
    ])("%s", async (_what, args) => {
      const { driftRepaired } = await directorStatus(director);
      await ipvsadm(...args);
      // The count, and not a look at the table: the repair may be quicker than the look.
      const { lastFailure } = await until(
        "the count of repairs",
        async () => {
          const status = await directorStatus(director);
          return status.driftRepaired > driftRepaired ? status : undefined;
        },
        REPAIR_MS,
      );
      expect(lastFailure).toBeUndefined();
      await lab().untilTable(OURS);
    });

    it("a server added, which is drained as one of ours would be", async () => {
      await ipvsadm("-a", "-t", `${DR_VIP}:80`, "-r", "10.10.0.29:80", "-g", "-w", "5");
      await until(
        "the server is gone",
        async () => !(await savedTable(lab().topology, DIRECTOR)).join().includes("10.10.0.29"),
        REPAIR_MS,
      );
      await lab().untilTable(OURS);
    });

    it("a VIP taken from the director", async () => {
      await lab().topology.exec(DIRECTOR, ["ip", "addr", "del", `${DR_VIP}/32`, "dev", "eth0"]);
      await untilHeld(DIRECTOR, DR_VIP, "eth0");
      expect(await lab().requests(DR_VIP, 4)).toMatchObject({ failed: 0 });
    });

    it("a VIP taken from a real server", async () => {
      const { hostRepaired } = await agentStatus(rs1);
      await lab().topology.exec("rs1", ["ip", "addr", "del", `${DR_VIP}/32`, "dev", "lo"]);
      await untilHeld("rs1", DR_VIP, "lo");
      await until("the count of repairs", async () => {
        return (await agentStatus(rs1)).hostRepaired > hostRepaired;
      });
    });

    it("a tunnel device taken down", async () => {
      await lab().topology.exec("rs1", ["ip", "link", "set", "tunl0", "down"]);
      await until(
        "tunl0 is up",
        async () => {
          const { stdout } = await lab().topology.exec("rs1", [
            "ip",
            "-o",
            "link",
            "show",
            "tunl0",
          ]);
          return /[<,]UP[,>]/.test(stdout);
        },
        REPAIR_MS,
      );
      expect(await lab().requests(TUN_VIP, 4)).toMatchObject({ failed: 0 });
    });

    it.each([
      [DIRECTOR, "net.ipv4.vs.expire_nodest_conn", "0", "1"],
      [DIRECTOR, "net.ipv4.vs.sync_threshold", "3 50", "2 50"],
      [DIRECTOR, "net.ipv4.ip_forward", "0", "1"],
      ["rs1", "net.ipv4.conf.eth0.arp_ignore", "0", "1"],
      ["rs1", "net.ipv4.conf.eth0.arp_announce", "0", "2"],
    ] as const)("on %s the setting %s", async (host, key, other, ours) => {
      expect(await sysctl(lab().topology, host, key)).toBe(ours);
      await setSysctl(lab().topology, host, key, other);
      await untilSysctl(host, key, ours);
    });
  });

  it("what is foreign is left alone while our own is changed and repaired", async () => {
    const { topology, manifests } = lab();
    const foreign = [
      ...serviceLines(`-t ${FOREIGN_IP}:80 -s wrr`, "-r 10.10.0.29:80 -m -w 7"),
      ...serviceLines("-f 77 -s lc", "-r 10.10.0.29:0 -g -w 1"),
    ];
    for (const line of foreign) await ipvsadm(...line.split(" "));
    await topology.exec(DIRECTOR, ["ip", "addr", "add", `${FOREIGN_IP}/24`, "dev", "eth0"]);
    await topology.exec("rs1", ["ip", "addr", "add", `${FOREIGN_IP}/32`, "dev", "lo"]);
    await setSysctl(topology, DIRECTOR, "net.ipv4.vs.drop_entry", "1");
    await setSysctl(topology, "rs1", "net.ipv4.conf.eth1.arp_ignore", "8");

    await ipvsadm("-e", "-t", `${DR_VIP}:80`, "-r", "10.10.0.21:80", "-g", "-w", "9");
    await lab().untilTable(OURS, foreign);
    manifests.write(
      "more.yaml",
      virtualService("more", {
        addresses: [{ ip: DR_VIP }],
        ports: [{ port: 81 }],
        backends: servers("10.10.0.21"),
      }),
    );
    const more = serviceLines(`-t ${DR_VIP}:81 -s rr`, "-r 10.10.0.21:81 -g -w 1");
    await lab().untilTable(OURS, foreign, more);
    manifests.remove("more.yaml");
    await lab().untilTable(OURS, foreign);

    expect(await interfacesWith(topology, DIRECTOR, FOREIGN_IP)).toEqual(["eth0"]);
    expect(await interfacesWith(topology, "rs1", FOREIGN_IP)).toEqual(["lo"]);
    expect(await sysctl(topology, DIRECTOR, "net.ipv4.vs.drop_entry")).toBe("1");
    expect(await sysctl(topology, "rs1", "net.ipv4.conf.eth1.arp_ignore")).toBe("8");
  });
});
