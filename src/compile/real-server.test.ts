import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Condition } from "../api/conditions.ts";
import { sysctlId } from "../host/model.ts";
import type { NodeFacts, RealServerState } from "./model.ts";
import { compileRealServer } from "./real-server.ts";
import {
  aLink,
  anAddress,
  aRealServer,
  aVirtualService,
  objectsOf,
  servers,
  someFacts,
} from "./testing/builders.ts";
import { messages, troubles, type Objects } from "./testing/read-state.ts";

/** A node with the addresses 192.0.2.21 and 2001:db8::21 on eth0. */
const NODE = { addresses: ["192.0.2.21/24 eth0", "2001:db8::21/64 eth0"].map(anAddress) };
const TUN = { forwarding: { method: "TUN" } };
const SIX = { addresses: [{ ip: "2001:db8::10" }], backends: [servers("2001:db8::21")] };

const compile = (list: Objects, facts: Partial<NodeFacts> = NODE): RealServerState =>
  compileRealServer(objectsOf(list), someFacts(facts));

const vipsOf = ({ host }: RealServerState): readonly string[] =>
  host.addresses.map(({ address, interfaceName }) => `${address} ${interfaceName}`);

const sysctlsOf = ({ host }: RealServerState): Record<string, unknown> =>
  Object.fromEntries(host.sysctls.map(({ key, value }) => [sysctlId(key), value]));

describe("a real server", () => {
  it("of DR has the VIP on lo and silences ARP where neighbours ask for it", () => {
    const state = compile([aVirtualService()]);
    expect(state.host).toEqual({
      addresses: [{ address: "192.0.2.10", family: "IPv4", interfaceName: "lo", exclusive: false }],
      sysctls: [
        {
          key: { kind: "conf", interfaceName: "eth0", name: "arp_ignore" },
          value: 1,
          optional: false,
        },
        {
          key: { kind: "conf", interfaceName: "eth0", name: "arp_announce" },
          value: 2,
          optional: false,
        },
      ],
      links: [],
    });
    expect(troubles(state)).toEqual([]);
  });

  it("of TUN has the VIP on tunl0, which is up and filters loosely", () => {
    const state = compile([aVirtualService({}, TUN)]);
    expect(vipsOf(state)).toEqual(["192.0.2.10 tunl0"]);
    expect(state.host.links).toEqual([{ name: "tunl0", kind: "ipip" }]);
    expect(sysctlsOf(state)).toEqual({
      "conf/eth0/arp_announce": 2,
      "conf/eth0/arp_ignore": 1,
      "conf/tunl0/rp_filter": 2,
    });
  });

  it.each([
    { name: "DR", spec: SIX, links: [] },
    { name: "TUN", spec: { ...SIX, ...TUN }, links: [{ name: "ip6tnl0", kind: "ip6tnl" }] },
  ])("of $name over IPv6 has the VIP on lo and needs no setting", ({ spec, links }) => {
    const state = compile([aVirtualService({}, spec)]);
    expect(vipsOf(state)).toEqual(["2001:db8::10 lo"]);
    expect(state.host.sysctls).toEqual([]);
    expect(state.host.links).toEqual(links);
  });

  it.each([
    { name: "NAT", objects: [aVirtualService({}, { forwarding: { method: "NAT" } })] },
    {
      name: "other nodes only",
      objects: [aVirtualService({}, { backends: [servers("192.0.2.22")] })],
    },
    {
      name: "NAT for this server alone",
      objects: [
        aRealServer({}, { forwarding: { method: "NAT" } }),
        aVirtualService(
          {},
          { backends: [{ type: "RealServers", realServers: { names: ["rs1"] } }] },
        ),
      ],
    },
  ])("of $name needs nothing", ({ objects }) => {
    expect(compile(objects).host).toEqual({ addresses: [], sysctls: [], links: [] });
  });

  it.each([
    { name: "a name", realServers: { names: ["rs1", "elsewhere"] } },
    { name: "a label", realServers: { selector: { matchLabels: { app: "web" } } } },
  ])("finds itself through $name", ({ realServers }) => {
    const state = compile([
      aRealServer({ labels: { app: "web" } }),
      aVirtualService({}, { backends: [{ type: "RealServers", realServers }] }),
    ]);
    expect(vipsOf(state)).toEqual(["192.0.2.10 lo"]);
    expect(troubles(state)).toEqual([]);
  });

  it.each(["Draining", "Disabled"])("keeps the VIP while it is %s", (adminState) => {
    const backends = [{ type: "RealServers", realServers: { selector: {} } }];
    const state = compile([aRealServer({}, { adminState }), aVirtualService({}, { backends })]);
    expect(vipsOf(state)).toEqual(["192.0.2.10 lo"]);
  });

  it("silences the interface of its address and those in the network of the VIP", () => {
    const state = compile([aVirtualService({}, { addresses: [{ ip: "203.0.113.10" }] })], {
      links: [aLink("lo"), aLink("eth0"), aLink("eth1"), aLink("eth2")],
      addresses: ["192.0.2.21/24 eth0", "203.0.113.7/24 eth1", "10.0.0.1/8 eth2"].map(anAddress),
    });
    expect(Object.keys(sysctlsOf(state))).toEqual([
      "conf/eth0/arp_ignore",
      "conf/eth0/arp_announce",
      "conf/eth1/arp_ignore",
      "conf/eth1/arp_announce",
    ]);
  });

  it("that holds the VIP as a director does not put it on lo as well", () => {
    const addresses = [...NODE.addresses, anAddress("192.0.2.10/32 eth0 ours")];
    const state = compile([aVirtualService()], { addresses });
    expect(vipsOf(state)).toEqual([]);
    expect(troubles(state)).toEqual(["Programmed LocalRealServer"]);
    expect(messages(state)).toContain("this node holds 192.0.2.10 on eth0");
  });

  it("that has the VIP on lo or tunl0 already goes on as it is", () => {
    const links = [aLink("lo"), aLink("eth0"), aLink("tunl0", { kind: "ipip" })];
    const bound = ["192.0.2.10/32 lo ours", "192.0.2.10/32 tunl0 ours"].map(anAddress);
    const state = compile([aVirtualService()], { links, addresses: [...NODE.addresses, ...bound] });
    expect(vipsOf(state)).toEqual(["192.0.2.10 lo"]);
  });

  it.each(["DryRun", "Paused"])("leaves its VIP as it is under %s", (enforcement) => {
    const state = compile([aVirtualService({}, { enforcement })]);
    expect(vipsOf(state)).toEqual([]);
    expect(state.retained).toMatchObject({ addresses: new Set(["192.0.2.10"]), settings: true });
  });

  it("takes no VIP of an object that lost it to another", () => {
    const winner = aVirtualService({ namespace: "abc" }, { backends: [servers("192.0.2.99")] });
    const state = compile([aVirtualService(), winner]);
    expect(vipsOf(state)).toEqual([]);
    expect(troubles(state)).toEqual(["Accepted AddressConflict"]);
  });

  it("takes the VIP of an object that lost only some of its ports", () => {
    const winner = aVirtualService({ name: "abc" });
    const loser = aVirtualService({}, { ports: [{ port: 80 }, { port: 443 }], ...TUN });
    expect(vipsOf(compile([loser, winner]))).toEqual(["192.0.2.10 tunl0"]);
  });
});

describe("what a real server keeps", () => {
  const invalid: Condition = { type: "Accepted", status: "False", reason: "Invalid", message: "m" };
  const withRefused = (key: string, list: Objects = []): RealServerState =>
    compileRealServer(objectsOf(list, { refused: new Map([[key, invalid]]) }), someFacts(NODE));

  it("is everything when a RealServer cannot be read, as it may be this node", () => {
    expect(withRefused("RealServer shop/rs1").retained).toMatchObject({
      everything: true,
      settings: true,
    });
  });

  it("is what a refused VirtualService had put there", () => {
    const { retained, conditions } = withRefused("VirtualService shop/web");
    expect(retained.everything).toBe(false);
    expect(retained.owners).toEqual(new Set(["VirtualService shop/web"]));
    expect(conditions.get("VirtualService shop/web")).toEqual([invalid]);
  });

  it("is nothing more when the last good version is known", () => {
    const { retained } = withRefused("VirtualService shop/web", [aVirtualService()]);
    expect(retained).toMatchObject({ everything: false, owners: new Set(), settings: false });
  });
});

it("does not depend on the order of the objects", () => {
  const list = [
    aVirtualService({ name: "a" }),
    aVirtualService({ name: "b" }, { ports: [{ port: 443 }], ...TUN }),
    aVirtualService({ name: "c" }, SIX),
    aVirtualService({ name: "d", namespace: "zoo" }, { ports: [{ port: 22 }] }),
    aRealServer(),
  ];
  const expected = compile(list);
  fc.assert(
    fc.property(fc.shuffledSubarray(list, { minLength: list.length }), (shuffled) => {
      expect(compile(shuffled)).toEqual(expected);
    }),
  );
});
