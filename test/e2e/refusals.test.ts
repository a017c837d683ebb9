import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import { interfacesWith, serviceLines } from "./support/kernel.ts";
import { servers, virtualService } from "./support/manifests.ts";
import { directorStatus, troublesOf } from "./support/status.ts";
import { until } from "./support/until.ts";
import { AUDIT_SECONDS, DIRECTOR, urlOf, useLab } from "./support/use-lab.ts";

const GOOD_VIP = "10.10.0.100";
const TAKEN_VIP = "10.10.0.150";
const TAKEN_VIP6 = "fd10::150";

/** An occupied address is asked for again after this time and a probe. */
const RECHECK_MS = 25_000;

interface Refused {
  readonly name: string;
  readonly what: string;
  readonly spec: object;
  readonly type: string;
  readonly reason: string;
  /** What is wrong, and the cure. */
  readonly says: readonly RegExp[];
}

const REFUSED: readonly Refused[] = [
  {
    name: "off-link",
    what: "DR to a server behind a router",
    spec: { addresses: [{ ip: "10.10.0.111" }], backends: servers("10.10.0.21", "10.40.0.23") },
    type: "Programmed",
    reason: "NotOnLink",
    says: [/10\.40\.0\.23 is behind a router/, /use method TUN or NAT/],
  },
  {
    name: "port-dr",
    what: "a port change under DR",
    spec: {
      addresses: [{ ip: "10.10.0.112" }],
      ports: [{ port: 80, targetPort: 8080 }],
      backends: servers("10.10.0.21"),
    },
    type: "Accepted",
    reason: "Invalid",
    says: [/cannot change ports/, /use NAT/],
  },
  {
    name: "port-tun",
    what: "a port change under TUN",
    spec: {
      addresses: [{ ip: "10.10.0.113" }],
      forwarding: { method: "TUN" },
      backends: [{ type: "Servers", servers: [{ address: "10.10.0.21", port: 8080 }] }],
    },
    type: "Accepted",
    reason: "Invalid",
    says: [/must be 0/, /NAT/],
  },
  {
    name: "families",
    what: "servers of the other family only",
    spec: { addresses: [{ ip: "10.10.0.114" }], backends: servers("fd10::21") },
    type: "ResolvedRefs",
    reason: "AddressFamilyMismatch",
    says: [/10\.10\.0\.114 has no IPv4 server/, /add one, or remove the address/],
  },
  {
    name: "itself",
    what: "a server that is this director itself",
    spec: { addresses: [{ ip: "10.10.0.115" }], backends: servers("10.10.0.21", "10.10.0.11") },
    type: "Programmed",
    reason: "LocalRealServer",
    says: [/10\.10\.0\.11 is this director itself/, /run the server on another node/],
  },
  {
    name: "too-many",
    what: "more than 1,024 kernel services",
    spec: {
      addresses: [{ ip: "10.10.0.116" }, { name: "other", ip: "10.10.0.117" }],
      ports: [{ port: 1000, endPort: 1512 }],
      backends: servers("10.10.0.21"),
    },
    type: "Accepted",
    reason: "Invalid",
    says: [/1,024 kernel services/, /firewallMark/],
  },
  {
    name: "no-route",
    what: "a server that this node has no route to",
    spec: {
      addresses: [{ ip: "10.10.0.118" }],
      forwarding: { method: "NAT" },
      backends: servers("10.10.0.21", "192.0.2.99"),
    },
    type: "Programmed",
    reason: "AddressNotUsable",
    says: [/no route to 192\.0\.2\.99/, /add one, or correct the address/],
  },
  {
    name: "second",
    what: "a port that an older object has",
    spec: { addresses: [{ ip: GOOD_VIP }], backends: servers("10.10.0.22") },
    type: "Accepted",
    reason: "PortConflict",
    says: [/belongs to VirtualService test\/good/, /use another port or address/],
  },
  {
    name: "server-vip",
    what: "a VIP that is the address of a server",
    spec: { addresses: [{ ip: "10.10.0.21" }], backends: servers("10.10.0.21") },
    type: "Accepted",
    reason: "AddressNotUsable",
    says: [/10\.10\.0\.21 is the address of/, /must be one that no machine has/],
  },
];

/** What the objects above and the good one come to all the same. */
const TABLE = [
  ...serviceLines(`-t ${GOOD_VIP}:80 -s rr`, "-r 10.10.0.21:80 -g -w 1"),
  ...serviceLines("-t 10.10.0.111:80 -s rr", "-r 10.10.0.21:80 -g -w 1"),
  // Without a server it tells clients at once that nobody is there.
  ...serviceLines("-t 10.10.0.114:80 -s rr"),
  ...serviceLines("-t 10.10.0.115:80 -s rr", "-r 10.10.0.21:80 -g -w 1"),
  ...serviceLines("-t 10.10.0.118:80 -s rr", "-r 10.10.0.21:80 -m -w 1"),
  ...serviceLines(`-t ${TAKEN_VIP}:80 -s rr`, "-r 10.10.0.21:80 -g -w 1"),
  ...serviceLines(`-t [${TAKEN_VIP6}]:80 -s rr`, "-r [fd10::21]:80 -g -w 1"),
];

describe("what cannot carry packets is refused", { timeout: 60_000 }, () => {
  const lab = useLab({ behindRouter: ["rs3"] });
  let director: Agent;

  beforeAll(async () => {
    const { manifests, topology } = lab();
    // Without a default route there are addresses that nobody can reach.
    await topology.exec(DIRECTOR, ["ip", "route", "del", "default"]);
    await topology.exec(DIRECTOR, ["ip", "route", "add", "10.0.0.0/8", "via", "10.10.0.1"]);
    await topology.exec("rs2", ["ip", "addr", "add", `${TAKEN_VIP}/32`, "dev", "eth0"]);
    await topology.exec("rs2", ["ip", "addr", "add", `${TAKEN_VIP6}/128`, "dev", "eth0", "nodad"]);
    manifests.write(
      "objects.yaml",
      virtualService("good", { addresses: [{ ip: GOOD_VIP }], backends: servers("10.10.0.21") }),
      virtualService("taken", {
        addresses: [{ ip: TAKEN_VIP }, { name: "six", ip: TAKEN_VIP6 }],
        backends: servers("10.10.0.21", "fd10::21"),
      }),
      ...REFUSED.map(({ name, spec }) => virtualService(name, spec)),
    );
    [director] = await Promise.all([lab().startDirector(), lab().start("rs1", "realserver")]);
    await lab().untilBound(GOOD_VIP);
  }, 60_000);

  it.each(REFUSED.map((refused) => [refused.what, refused] as const))(
    "%s gives a condition that names the cure, in the status and in the log",
    async (_what, { name, type, reason, says }) => {
      const key = `VirtualService test/${name}`;
      const troubles = await until(`a condition of ${name}`, async () => {
        const found = await troublesOf(director, key);
        return found.length > 0 ? found : undefined;
      });
      const condition = troubles.find((trouble) => trouble.type === type);
      expect(condition).toMatchObject({ reason });
      for (const pattern of says) expect(condition?.message).toMatch(pattern);
      expect(director.logs()).toContainEqual(
        expect.objectContaining({ level: "warn", key, reason, detail: condition?.message }),
      );
    },
  );

  it("the rest of the objects and servers is programmed and serves", async () => {
    await lab().untilTable(TABLE);
    for (const vip of [GOOD_VIP, "10.10.0.111", "10.10.0.115"]) {
      await lab().untilBound(vip);
      expect(await lab().requests(vip, 2)).toMatchObject({ failed: 0, perServer: { rs1: 2 } });
    }
  });

  it("nothing of a refused object is programmed or bound", async () => {
    for (const vip of ["10.10.0.112", "10.10.0.113", "10.10.0.116", "10.10.0.117", "10.10.0.21"]) {
      expect(await interfacesWith(lab().topology, DIRECTOR, vip)).toEqual([]);
    }
  });

  it("an agent that works around refusals is ready and repeats nothing", async () => {
    const { writeCommands, lastFailure } = await directorStatus(director);
    expect(lastFailure).toBeUndefined();
    await director.ready(1_000);
    await sleep(2_000 * AUDIT_SECONDS);
    expect((await directorStatus(director)).writeCommands).toBe(writeCommands);
  });

  describe("a VIP that another machine answers for", () => {
    it("is not bound, and the condition names that machine", async () => {
      const { mac } = lab().topology.port("rs2");
      const [condition] = await until("the condition", async () => {
        const found = await troublesOf(director, "VirtualService test/taken");
        return found[0]?.message.includes(TAKEN_VIP6) === true ? found : undefined;
      });
      expect(condition).toMatchObject({ type: "Programmed", reason: "AddressNotUsable" });
      const says = (ip: string): string => `another machine (${mac}) answers for ${ip}; free`;
      expect(condition?.message).toContain(says(TAKEN_VIP));
      expect(condition?.message).toContain(says(TAKEN_VIP6));
      expect(await interfacesWith(lab().topology, DIRECTOR, TAKEN_VIP)).toEqual([]);
      expect(await interfacesWith(lab().topology, DIRECTOR, TAKEN_VIP6)).toEqual([]);
      expect(await lab().topology.answersFor(TAKEN_VIP)).toEqual(["rs2"]);
    });

    it("is bound after that machine has given it up", async () => {
      const { topology } = lab();
      await topology.exec("rs2", ["ip", "addr", "del", `${TAKEN_VIP}/32`, "dev", "eth0"]);
      await topology.exec("rs2", ["ip", "addr", "del", `${TAKEN_VIP6}/128`, "dev", "eth0"]);
      for (const vip of [TAKEN_VIP, TAKEN_VIP6]) {
        await until(
          `${DIRECTOR} holds ${vip}`,
          async () => (await interfacesWith(topology, DIRECTOR, vip)).length > 0,
          RECHECK_MS,
        );
      }
      expect(await lab().topology.answersFor(TAKEN_VIP)).toEqual([DIRECTOR]);
      await until("no condition is left", async () => {
        return (await troublesOf(director, "VirtualService test/taken")).length === 0;
      });
      // The announcement was enough: nobody made the router forget.
      for (const vip of [TAKEN_VIP, TAKEN_VIP6]) {
        const spread = await lab().client.requests(urlOf(vip), 2);
        expect(spread).toMatchObject({ failed: 0, perServer: { rs1: 2 } });
      }
    });
  });
});
