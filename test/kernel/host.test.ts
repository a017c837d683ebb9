/** The host layer against the running kernel: what other programs see, and what is on the wire. */
import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ProbeVerdict, ownMacsOf, probeAddress } from "../../src/host/address-probe.ts";
import { announceAddresses } from "../../src/host/announce.ts";
import { type HostChange, changeHost } from "../../src/host/apply.ts";
import { decodeArp } from "../../src/host/arp-wire.ts";
import { JournalStore, currentWorld } from "../../src/host/journal-store.ts";
import { NodeLocks } from "../../src/host/lock.ts";
import type { DesiredHost, HostOwner, ObservedLink } from "../../src/host/model.ts";
import { readModules } from "../../src/host/modules.ts";
import { decodeNeighbourMessage } from "../../src/host/nd-wire.ts";
import { NetlinkHost } from "../../src/host/netlink-host.ts";
import { NOTHING_DESIRED } from "../../src/host/plan.ts";
import { aHost, aSysctl, aVip } from "../../src/host/testing/builders.ts";
import { formatMac } from "../../src/host/wire.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6, PacketSocket } from "../../src/netlink/packet-socket.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";
import { TestNetwork } from "./support/test-network.ts";

const signal = AbortSignal.timeout(300_000);
const VIP = "10.0.0.10";
const VIP6 = "2001:db8:1::10";
const LOCK_MODULE = new URL("../../src/host/lock.ts", import.meta.url).href;
const FAST = { probes: 2, intervalMs: 50, listenMs: 150 };

let network: TestNetwork;
let client: NetlinkHost;

beforeEach(() => {
  network = TestNetwork.create();
  client = new NetlinkHost({ transport: nativeTransport, netnsPath: network.nodePath });
});
afterEach(() => {
  client.close();
  network.dispose();
});

function ipKnowsProtocols(): boolean {
  const { stderr } = spawnSync("ip", ["addr", "help"], { encoding: "utf8" });
  return stderr.includes("proto ");
}

async function linkOf(netnsPath: string): Promise<ObservedLink> {
  const other = new NetlinkHost({ transport: nativeTransport, netnsPath });
  const { links } = await other.observe([], signal);
  other.close();
  const link = links.find(({ name }) => name === "eth0");
  if (link === undefined) throw new Error("no eth0");
  return link;
}

describe("what `ip` sees", () => {
  it.each([
    ["director", VIP, "0x4c"],
    ["realserver", VIP, "0x56"],
    ["director", VIP6, "0x4c"],
  ] as const)("is the mark of the %s on %s, without a prefix route", async (owner, vip, mark) => {
    await client.addAddress(aVip(vip, "eth0"), owner, signal);
    const shown = network.inNode(`-d addr show dev eth0 to ${vip}`);
    expect(shown).toContain("noprefixroute");
    // iproute2 before 6.4 does not know the attribute.
    if (ipKnowsProtocols()) expect(shown).toContain(`proto ${mark}`);
    expect(shown).not.toContain("tentative");
    expect(network.inNode(vip === VIP6 ? "-6 route" : "route")).not.toContain(vip);
  });

  it("is what rtnetlink set, in the files of the namespace", async () => {
    await client.setSysctl(aSysctl("conf/eth0/arp_ignore", 1).key, 1, signal);
    await client.setSysctl(aSysctl("conf/eth0/arp_announce", 2).key, 2, signal);
    const names = ["eth0.arp_ignore", "eth0.arp_announce", "all.arp_ignore"];
    const shown = network.execInNode("sysctl", "-n", ...names.map((n) => `net.ipv4.conf.${n}`));
    expect(shown.trim().split("\n")).toEqual(["1", "2", "0"]);
  });
});

describe("probeAddress", () => {
  async function probe(address: string): Promise<ProbeVerdict> {
    const { links } = await client.observe([], signal);
    const link = links.find(({ name }) => name === "eth0");
    if (link === undefined) throw new Error("no eth0");
    return probeAddress(
      {
        transport: nativeTransport,
        netnsPath: network.nodePath,
        address,
        link,
        ownMacs: ownMacsOf(links),
        timing: FAST,
      },
      signal,
    );
  }

  it.each([VIP, VIP6])("finds %s free when nobody has it", async (vip) => {
    expect(await probe(vip)).toEqual({ kind: "free" });
  });

  it.each([
    [VIP, "addr add 10.0.0.10/32 dev lo"],
    [VIP, "addr add 10.0.0.10/24 dev eth0"],
    [VIP6, "addr add 2001:db8:1::10/64 dev eth0 nodad"],
  ])("finds %s occupied after `%s` at the neighbour", async (vip, words) => {
    network.inNeighbour(words);
    const { macAddress } = await linkOf(network.neighbourPath);
    expect(await probe(vip)).toEqual({ kind: "occupied", macAddress });
  });

  it("hears nobody at a real server that is silent", async () => {
    network.inNeighbour("addr add 10.0.0.10/32 dev lo");
    const neighbour = new NetlinkHost({
      transport: nativeTransport,
      netnsPath: network.neighbourPath,
    });
    await neighbour.setSysctl(aSysctl("conf/eth0/arp_ignore", 1).key, 1, signal);
    neighbour.close();
    expect(await probe(VIP)).toEqual({ kind: "free" });
  });

  it("leaves no trace in the neighbour's cache", async () => {
    await probe(VIP);
    expect(network.inNeighbour("neigh")).not.toContain(VIP);
  });

  it.each([VIP, VIP6])(
    "lets at most one of two machines that ask for %s at once find it free",
    async (vip) => {
      const other = probeAddress(
        {
          transport: nativeTransport,
          netnsPath: network.neighbourPath,
          address: vip,
          link: await linkOf(network.neighbourPath),
          ownMacs: new Set(),
          timing: { probes: 8, intervalMs: 60, listenMs: 10 },
        },
        signal,
      );
      // Whoever began first hears the other and gives up; the later one may then hear nobody.
      const kinds = await Promise.all([probe(vip), other]);
      expect(kinds.filter(({ kind }) => kind === "occupied").length).toBeGreaterThan(0);
    },
  );

  it("finds everything free on a device without neighbours, and sends nothing", async () => {
    const { links } = await client.observe([], signal);
    const lo = links.find(({ loopback }) => loopback);
    if (lo === undefined) throw new Error("no lo");
    const never = {
      openLink: () => {
        throw new Error("sent");
      },
    };
    const options = { transport: never, address: VIP, link: lo, ownMacs: new Set<string>() };
    expect(await probeAddress(options, signal)).toEqual({ kind: "free" });
  });

  it("says so when the device is down", async () => {
    network.inNode("link set eth0 down");
    await expect(probe(VIP)).rejects.toMatchObject({ code: "LVS_SOCKET", errno: "ENETDOWN" });
  });
});

describe("announceAddresses", () => {
  it("is heard by the neighbour as request, reply and advertisement, in each round", async () => {
    const link = await linkOf(network.nodePath);
    const interfaceIndex = (await linkOf(network.neighbourPath)).index;
    const netnsPath = network.neighbourPath;
    using arp = new PacketSocket(nativeTransport, {
      interfaceIndex,
      etherType: ETHERTYPE_ARP,
      netnsPath,
    });
    using nd = new PacketSocket(nativeTransport, {
      interfaceIndex,
      etherType: ETHERTYPE_IPV6,
      filter: "neighbour-discovery",
      netnsPath,
    });
    const rounds = await announceAddresses(
      {
        transport: nativeTransport,
        netnsPath: network.nodePath,
        link,
        addresses: [VIP, VIP6],
        timing: { rounds: 2, intervalMs: 10 },
      },
      signal,
    );
    expect(rounds).toBe(2);
    const heard: string[] = [];
    const listen = { waitMs: 300, signal };
    await arp.first(({ payload }) => {
      const packet = decodeArp(payload);
      if (packet?.senderIp !== VIP) return false;
      heard.push(`${packet.operation} ${packet.targetIp} ${formatMac(packet.senderMac)}`);
      return heard.length === 4;
    }, listen);
    const mac = link.macAddress ?? "";
    const both = [`request ${VIP} ${mac}`, `reply ${VIP} ${mac}`];
    expect(heard).toEqual([...both, ...both]);
    const frame = await nd.first(
      ({ payload }) => decodeNeighbourMessage(payload)?.target === VIP6,
      listen,
    );
    expect(decodeNeighbourMessage(frame?.payload ?? new Uint8Array())).toMatchObject({
      kind: "advertisement",
      source: VIP6,
      override: true,
      solicited: false,
      router: false,
    });
  });

  it("turns the cache of a neighbour that knew another owner", async () => {
    const link = await linkOf(network.nodePath);
    network.inNeighbour(`neigh add ${VIP} lladdr 02:00:00:00:00:99 dev eth0 nud stale`);
    network.inNeighbour(`neigh add ${VIP6} lladdr 02:00:00:00:00:99 dev eth0 nud stale`);
    await announceAddresses(
      {
        transport: nativeTransport,
        netnsPath: network.nodePath,
        link,
        addresses: [VIP, VIP6],
        timing: { rounds: 1, intervalMs: 0 },
      },
      signal,
    );
    const known = network.inNeighbour("neigh");
    expect(known).toContain(`${VIP} dev eth0 lladdr ${link.macAddress ?? ""}`);
    expect(known).toContain(`${VIP6} dev eth0 lladdr ${link.macAddress ?? ""}`);
  });
});

describe("changeHost", () => {
  let stateDirectory: string;
  beforeEach(async () => {
    stateDirectory = await mkdtemp(join(tmpdir(), "host-"));
  });
  afterEach(() => rm(stateDirectory, { recursive: true }));

  async function change(owner: HostOwner, desired: DesiredHost): Promise<HostChange> {
    const store = new JournalStore(stateDirectory, await currentWorld());
    return changeHost({ client, store, locks: new NodeLocks(), owner, desired }, signal);
  }
  function realServer(vip: string): DesiredHost {
    return aHost({
      addresses: [aVip(vip, "tunl0", { exclusive: false })],
      sysctls: [
        aSysctl("conf/eth0/arp_ignore", 1),
        aSysctl("conf/eth0/arp_announce", 2),
        aSysctl("conf/tunl0/rp_filter", 2),
      ],
      links: [{ name: "tunl0", kind: "ipip" }],
    });
  }
  function snapshot(): string {
    const names = ["eth0.arp_ignore", "eth0.arp_announce", "eth0.send_redirects"];
    const values = network.execInNode("sysctl", ...names.map((n) => `net.ipv4.conf.${n}`));
    return `${network.inNode("-br addr")}${values}`;
  }

  it("makes a real server silent, gives it the VIP, and takes all of it back", async () => {
    const before = snapshot();
    const made = await change("realserver", realServer(VIP));
    expect(made.failures).toEqual([]);
    expect(network.inNode("-br addr show dev tunl0")).toContain(`${VIP}/32`);
    const again = await change("realserver", realServer(VIP));
    expect(again.executed).toEqual([]);
    expect(again.plan.reports).toEqual([]);
    await change("realserver", NOTHING_DESIRED);
    expect(snapshot()).toBe(before);
  });

  it("repairs what somebody changed, and says so", async () => {
    await change("realserver", realServer(VIP));
    network.inNode(`addr del ${VIP}/32 dev tunl0`);
    network.execInNode("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0");
    const repaired = await change("realserver", realServer(VIP));
    expect(repaired.executed.map(({ op }) => op)).toEqual(["set-sysctl", "add-address"]);
    expect(repaired.plan.reports.map(({ kind }) => kind)).toEqual([
      "sysctl-drift",
      "address-drift",
    ]);
  });

  it("lets two agents share a setting until the last one leaves", async () => {
    const shared = [aSysctl("conf/eth0/arp_ignore", 1)];
    await change("director", aHost({ addresses: [aVip(VIP, "eth0")], sysctls: shared }));
    await change("realserver", aHost({ sysctls: shared }));
    await change("director", NOTHING_DESIRED);
    const id = "net.ipv4.conf.eth0.arp_ignore";
    expect(network.execInNode("sysctl", "-n", id).trim()).toBe("1");
    expect(network.inNode("-br addr")).not.toContain(VIP);
    await change("realserver", NOTHING_DESIRED);
    expect(network.execInNode("sysctl", "-n", id).trim()).toBe("0");
  });

  it("finds its VIP by the mark when the journal is lost", async () => {
    await change("director", aHost({ addresses: [aVip(VIP, "eth0")] }));
    network.inNode("addr add 10.0.0.11/32 dev eth0");
    await rm(join(stateDirectory, "journal.json"));
    await change("director", NOTHING_DESIRED);
    const left = network.inNode("-br addr show dev eth0");
    expect(left).not.toContain("10.0.0.10");
    expect(left).toContain("10.0.0.11/32");
  });
});

describe("NodeLocks", () => {
  /** Takes the role in a namespace, in a process of its own; it says `held` or who holds it. */
  function takeRole(netns: string): ChildProcessByStdio<null, Readable, null> {
    const source = `
      import { NodeLocks } from ${JSON.stringify(LOCK_MODULE)};
      const locks = new NodeLocks();
      const signal = AbortSignal.timeout(300_000);
      await locks.acquireRole("director", signal).then(
        () => console.log("held"),
        (error) => { console.log("holder " + error.holder?.pid); process.exit(); },
      );
      setInterval(() => undefined, 1000);`;
    const node = [process.execPath, "--input-type=module", "-e", source];
    return spawn("ip", ["netns", "exec", netns, ...node], { stdio: ["ignore", "pipe", "inherit"] });
  }
  async function firstWords(child: ChildProcessByStdio<null, Readable, null>): Promise<string> {
    const [text]: unknown[] = await once(child.stdout, "data", { signal });
    return String(text).trim();
  }

  it("lets one agent of a role into each network namespace, until it is killed", async () => {
    const first = takeRole(network.node);
    expect(await firstWords(first)).toBe("held");
    const elsewhere = takeRole(network.neighbour);
    expect(await firstWords(elsewhere)).toBe("held");
    expect(await firstWords(takeRole(network.node))).toBe(`holder ${String(first.pid)}`);
    const gone = once(first, "exit", { signal });
    first.kill("SIGKILL");
    await gone;
    const next = takeRole(network.node);
    expect(await firstWords(next)).toBe("held");
    for (const child of [elsewhere, next]) child.kill("SIGKILL");
  });
});

describe("readModules", () => {
  it("finds IPVS and its settings", async () => {
    const modules = await readModules();
    expect(modules.ipvs).toBe(true);
    expect(modules.ipvsVersion).toMatch(/^\d+\.\d+\.\d+$/);
    expect(modules.ipvsSettings).toContain("expire_nodest_conn");
    expect(readFileSync("/proc/net/ip_vs", "latin1")).toContain(String(modules.ipvsVersion));
  });
});
