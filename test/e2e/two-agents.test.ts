import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { stateDirectoryOf, type Agent } from "../lab/agents.ts";
import { startWebServer } from "../lab/web-server.ts";
import { interfacesWith, savedTable, serviceLines, sysctl, worldOf } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import { agentStatus, directorStatus } from "./support/status.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

/** Served by director-a with rs1. */
const FIRST_VIP = "10.10.0.101";
/** Served by director-b, in a group of its own, with director-a as the real server. */
const SECOND_VIP = "10.10.0.102";
const OTHER_GROUP = "second";
const STATUS_RUNNING = 6;
/** A real server keeps a VIP for 10 s at the least, in case a director still sends to it. */
const HOLD_MS = 30_000;

describe("two agents on one node", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "director-b", "rs1"] });
  let before: readonly string[];
  let director: Agent;
  let realServer: Agent;

  beforeAll(async () => {
    const { topology, manifests } = lab();
    before = await worldOf(topology, DIRECTOR);
    manifests.write(
      "all.yaml",
      virtualService("first", {
        addresses: [{ ip: FIRST_VIP }],
        forwarding: { method: "NAT" },
        backends: servers("10.30.0.21"),
      }),
      virtualService("second", {
        directorGroupName: OTHER_GROUP,
        addresses: [{ ip: SECOND_VIP }],
        backends: servers("10.10.0.11"),
      }),
    );
    const [, first, second] = await Promise.all([
      startWebServer(topology, DIRECTOR),
      lab().startDirector(),
      lab().start(DIRECTOR, "realserver"),
      lab().start("director-b", "director", { args: ["--group", OTHER_GROUP] }),
    ]);
    [director, realServer] = [first, second];
    await lab().untilBound(FIRST_VIP);
  }, 60_000);

  it.each(["director", "realserver"] as const)(
    "a second %s agent in the network namespace refuses to start",
    async (role) => {
      const table = await savedTable(lab().topology, DIRECTOR);
      const second = await lab().start(DIRECTOR, role, {
        args: ["--health-port", "0"],
        waitReady: false,
      });
      expect(await second.process.exited).toEqual({ code: STATUS_RUNNING, signal: undefined });
      const running = role === "director" ? director : realServer;
      expect(second.process.lines.at(-1)).toMatch(
        new RegExp(`lvs-operator: .*${role}.*\\b${running.process.pid}\\b`),
      );
      expect(running.process.end).toBeUndefined();
      expect(await savedTable(lab().topology, DIRECTOR)).toEqual(table);
    },
  );

  it("a director and a real-server agent of one node serve side by side", async () => {
    const { topology } = lab();
    await lab().untilTable(serviceLines(`-t ${FIRST_VIP}:80 -s rr`, "-r 10.30.0.21:80 -m -w 1"));
    expect(await interfacesWith(topology, DIRECTOR, SECOND_VIP)).toEqual(["lo"]);
    expect(await lab().requests(FIRST_VIP, 2)).toMatchObject({ perServer: { rs1: 2 } });
    expect(await lab().requests(SECOND_VIP, 2)).toMatchObject({ perServer: { [DIRECTOR]: 2 } });
    expect(await topology.answersFor(SECOND_VIP)).toEqual(["director-b"]);
  });

  it("they share one journal", () => {
    const directory = stateDirectoryOf(lab().topology, DIRECTOR);
    expect(readdirSync(directory)).toEqual(["journal.json"]);
    const journal = readFileSync(join(directory, "journal.json"), "utf8");
    for (const part of [FIRST_VIP, SECOND_VIP, "ip_forward", "arp_ignore"]) {
      expect(journal).toContain(part);
    }
  });

  it("both are killed and started again and change nothing", async () => {
    const during = await worldOf(lab().topology, DIRECTOR);
    await Promise.all([director.kill(), realServer.kill()]);
    [director, realServer] = await Promise.all([
      lab().startDirector(),
      lab().start(DIRECTOR, "realserver"),
    ]);
    await lab().untilSettled(director);
    expect(await directorStatus(director)).toMatchObject({ writeCommands: 0, hostRepaired: 0 });
    expect(await agentStatus(realServer)).toMatchObject({ hostRepaired: 0 });
    expect(await worldOf(lab().topology, DIRECTOR)).toEqual(during);
  });

  it("what one agent no longer needs stays while the other needs it", async () => {
    const { topology, manifests } = lab();
    manifests.write(
      "all.yaml",
      virtualService("second", {
        directorGroupName: OTHER_GROUP,
        addresses: [{ ip: SECOND_VIP }],
        backends: servers("10.10.0.11"),
      }),
    );
    await lab().untilTable([]);
    await lab().untilSettled(director);
    expect(await interfacesWith(topology, DIRECTOR, FIRST_VIP)).toEqual([]);
    expect(await sysctl(topology, DIRECTOR, "net.ipv4.ip_forward")).toBe("0");
    expect(await interfacesWith(topology, DIRECTOR, SECOND_VIP)).toEqual(["lo"]);
    expect(await sysctl(topology, DIRECTOR, "net.ipv4.conf.eth0.arp_ignore")).toBe("1");
    expect(await lab().requests(SECOND_VIP, 2)).toMatchObject({ perServer: { [DIRECTOR]: 2 } });
  });

  it("both restore what they changed when the last VIP is no longer wanted", async () => {
    const { topology, manifests } = lab();
    manifests.writeText("all.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
    await until(
      "the real server's VIP is gone",
      async () => (await interfacesWith(topology, DIRECTOR, SECOND_VIP)).length === 0,
      HOLD_MS,
    );
    await lab().untilSettled(realServer);
    expect(await worldOf(topology, DIRECTOR)).toEqual(before);
  });

  it("cleanup has nothing left to do", async () => {
    await Promise.all([director.stop(), realServer.stop()]);
    expect(await lab().lvsctl(DIRECTOR, "cleanup")).toMatchObject({
      code: 0,
      stdout: "Nothing of ours is on this node.\n",
    });
  });
});
