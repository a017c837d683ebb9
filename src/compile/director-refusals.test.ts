import { describe, expect, it } from "vitest";

import type { Condition } from "../api/conditions.ts";
import { sysctlId } from "../host/model.ts";
import { compileDirector } from "./director.ts";
import {
  aLink,
  anAddress,
  aRealServer,
  aVirtualService,
  objectsOf,
  routesBy,
  servers,
  someFacts,
} from "./testing/builders.ts";
import { compile, messages, tableOf, troubles, type Objects } from "./testing/read-state.ts";

const NAT = { forwarding: { method: "NAT" } };
const ROUTED = { local: false, onLink: false, interfaceName: "eth0" };
describe("a combination that cannot carry packets", () => {
  it.each([
    {
      name: "DR to a server behind a router",
      facts: {
        routes: routesBy((a) => (a === "192.0.2.21" ? ROUTED : { ...ROUTED, onLink: true })),
      },
      trouble: "Programmed NotOnLink",
      says: "use method TUN or NAT",
    },
    {
      name: "a server without a route",
      facts: {
        routes: routesBy((a) => (a === "192.0.2.21" ? undefined : { ...ROUTED, onLink: true })),
      },
      trouble: "Programmed AddressNotUsable",
      says: "no route to 192.0.2.21",
    },
    {
      name: "a server that is this director",
      facts: { addresses: [anAddress("192.0.2.21/24")] },
      trouble: "Programmed LocalRealServer",
      says: "run the server on another node",
    },
    {
      name: "a server that routes to this node itself",
      facts: { routes: routesBy((a) => ({ ...ROUTED, onLink: true, local: a === "192.0.2.21" })) },
      trouble: "Programmed LocalRealServer",
      says: "run the server on another node",
    },
  ])("leaves out $name, and the other server serves", ({ facts, trouble, says }) => {
    const state = compile([aVirtualService()], facts);
    expect(tableOf(state)).toEqual({ "TCP 192.0.2.10:80": ["192.0.2.22:80 DR 1"] });
    expect(troubles(state)).toEqual([trouble]);
    expect(messages(state)).toContain(says);
  });

  it("a VIP without a server of its family serves nobody, and the other VIP does", () => {
    const addresses = [
      { name: "v4", ip: "192.0.2.10" },
      { name: "v6", ip: "2001:db8::10" },
    ];
    const state = compile([aVirtualService({}, { addresses })]);
    expect(tableOf(state)["TCP [2001:db8::10]:80"]).toEqual([]);
    expect(tableOf(state)["TCP 192.0.2.10:80"]).toHaveLength(2);
    expect(troubles(state)).toEqual([
      "ResolvedRefs AddressFamilyMismatch",
      "Degraded RealServersDown",
    ]);
  });

  it("a server that no address of the object can use is named, and the others serve", () => {
    const state = compile([
      aVirtualService({}, { backends: [servers("192.0.2.21", "2001:db8::21")] }),
    ]);
    expect(troubles(state)).toEqual(["ResolvedRefs AddressFamilyMismatch"]);
    expect(messages(state)).toContain(
      "server 2001:db8::21 is not used, because no address is IPv6",
    );
    expect(Object.values(tableOf(state)).flat()).toHaveLength(1);
  });

  it("a missing scheduler refuses the object and keeps what it had", () => {
    const state = compile([aVirtualService({}, { scheduler: "twos" })], {
      missingSchedulers: new Set(["twos"]),
    });
    expect(tableOf(state)).toEqual({});
    expect(troubles(state)).toEqual(["Accepted KernelFeatureMissing"]);
    expect(messages(state)).toContain("load the module ip_vs_twos");
    expect(state.retained.owners).toEqual(new Set(["VirtualService shop/web"]));
    expect(state.retained.services).toEqual(new Set(["TCP 192.0.2.10:80"]));
    expect(state.retained.addresses).toEqual(new Set(["192.0.2.10"]));
  });

  it("more than 1,024 kernel services refuse the object and keep what it had", () => {
    const service = aVirtualService();
    const ports = [{ ...service.spec.ports[0], port: 1, endPort: 1025 }];
    const tooMany = { ...service, spec: { ...service.spec, ports } } as typeof service; // a spec that an older schema let through
    const state = compile([tooMany]);
    expect(troubles(state)).toEqual(["Accepted TooManyServices"]);
    expect(messages(state)).toContain("1025 kernel services");
    expect(state.retained.owners).toEqual(new Set(["VirtualService shop/web"]));
  });

  it("a VIP that is a server's address is not bound, and what it had stays", () => {
    const state = compile([
      aRealServer({ name: "db" }, { address: "192.0.2.10" }),
      aVirtualService(),
    ]);
    expect(tableOf(state)).toEqual({});
    expect(state.host.addresses).toEqual([]);
    expect(messages(state)).toContain("192.0.2.10 is the address of RealServer shop/db");
    expect(state.retained.services).toEqual(new Set(["TCP 192.0.2.10:80"]));
    expect(state.retained.addresses).toEqual(new Set(["192.0.2.10"]));
  });

  it("a RealServer of another namespace cannot take a VIP out of service", () => {
    const state = compile([
      aRealServer({ name: "db", namespace: "other" }, { address: "192.0.2.10" }),
      aVirtualService(),
    ]);
    expect(troubles(state)).toEqual([]);
  });
});

describe("references", () => {
  it.each([
    {
      name: "an unknown name",
      realServers: { names: ["rs1", "gone"] },
      served: 1,
      says: "RealServer shop/gone does not exist",
    },
    {
      name: "a selector without match",
      realServers: { selector: { matchLabels: { app: "x" } } },
      served: 0,
      says: "no RealServer in namespace shop matches app=x",
    },
  ])("$name is reported, and the rest serves", ({ realServers, served, says }) => {
    const state = compile([
      aRealServer(),
      aVirtualService({}, { backends: [{ type: "RealServers", realServers }] }),
    ]);
    expect(tableOf(state)["TCP 192.0.2.10:80"]).toHaveLength(served);
    expect(troubles(state)[0]).toBe("ResolvedRefs BackendNotFound");
    expect(messages(state)).toContain(says);
  });
});

describe("VIPs", () => {
  it("go on the interface whose network holds them, exclusively", () => {
    const links = [aLink("lo"), aLink("eth0"), aLink("eth1", { index: 3 })];
    const addresses = ["192.0.2.1/24 eth0", "192.0.2.129/25 eth1"].map(anAddress);
    const state = compile(
      [aVirtualService(), aVirtualService({ name: "b" }, { addresses: [{ ip: "192.0.2.200" }] })],
      { links, addresses },
    );
    expect(state.host.addresses).toEqual([
      { address: "192.0.2.10", family: "IPv4", interfaceName: "eth0", exclusive: true },
      { address: "192.0.2.200", family: "IPv4", interfaceName: "eth1", exclusive: true },
    ]);
  });

  it.each([
    {
      name: "go on the given interface when no network holds them",
      facts: { interfaceName: "eth7" },
      on: ["eth7"],
      trouble: [],
    },
    {
      name: "are not bound when there is no interface for them",
      facts: {},
      on: [],
      trouble: ["Programmed AddressNotUsable"],
    },
    {
      name: "stay where they are when their network is gone",
      facts: { addresses: [anAddress("203.0.113.5/32 eth0 ours")] },
      on: ["eth0"],
      trouble: [],
    },
  ])("$name", ({ facts, on, trouble }) => {
    const state = compile([aVirtualService({}, { addresses: [{ ip: "203.0.113.5" }] })], facts);
    expect(state.host.addresses.map(({ interfaceName }) => interfaceName)).toEqual(on);
    expect(troubles(state)).toEqual(trouble);
    expect(state.table.services.size).toBe(1);
  });

  it("that another machine answers for are not bound, and the object says who", () => {
    const occupiedAddresses = new Map([["192.0.2.10", "02:00:00:00:00:99"]]);
    const state = compile([aVirtualService()], { occupiedAddresses });
    expect(state.host.addresses).toEqual([]);
    expect(state.table.services.size).toBe(1);
    expect(messages(state)).toContain("another machine (02:00:00:00:00:99) answers for 192.0.2.10");
  });

  it("that are bound here stay when another machine starts to answer", () => {
    const state = compile([aVirtualService()], {
      occupiedAddresses: new Map([["192.0.2.10", "02:00:00:00:00:99"]]),
      addresses: ["192.0.2.1/24", "192.0.2.10/32 eth0 ours"].map(anAddress),
    });
    expect(state.host.addresses).toHaveLength(1);
  });
});

describe("two objects that want the same", () => {
  const pair = (
    second: Parameters<typeof aVirtualService>[0],
    spec = {},
    firstSpec = {},
  ): Objects => [
    aVirtualService({ name: "web" }, firstSpec),
    aVirtualService(second, { backends: [servers("192.0.2.99")], ...spec }),
  ];

  it("share an address in one namespace when no port overlaps", () => {
    const state = compile(pair({ name: "zzz" }, { ports: [{ port: 443 }] }));
    expect([...state.table.services.keys()].sort()).toEqual([
      "TCP 192.0.2.10:443",
      "TCP 192.0.2.10:80",
    ]);
    expect(state.host.addresses).toHaveLength(1);
  });

  it.each([
    { name: "the same port", spec: {} },
    { name: "a range over it", spec: { ports: [{ port: 79, endPort: 81 }] } },
  ])("the later one of a namespace loses $name and keeps its other ports", ({ spec }) => {
    const ports = [...(spec.ports ?? [{ port: 80 }]), { port: 443 }];
    const state = compile(pair({ name: "zzz" }, { ports }));
    expect(state.table.services.get("TCP 192.0.2.10:80")?.destinations).toHaveLength(2);
    expect(state.owners.get("TCP 192.0.2.10:443")).toBe("VirtualService shop/zzz");
    expect(state.table.services.size).toBe(2);
    expect(troubles(state, "VirtualService shop/zzz")).toEqual(["Accepted PortConflict"]);
    expect(messages(state, "VirtualService shop/zzz")).toContain(
      "belongs to VirtualService shop/web",
    );
    expect(troubles(state)).toEqual([]);
    expect(state.retained.owners.size).toBe(0);
  });

  it.each([
    { name: "another namespace", identity: { namespace: "zoo" }, spec: {} },
    {
      name: "another DirectorGroup",
      identity: { name: "zzz" },
      spec: { directorGroupName: "edge" },
    },
  ])("of $name do not share an address", ({ identity, spec }) => {
    const [first, second] = pair(identity, { ports: [{ port: 443 }], ...spec });
    const state = compile([second, first].filter((object) => object !== undefined));
    expect([...state.table.services.keys()]).toEqual(["TCP 192.0.2.10:80"]);
    expect(troubles(state)).toEqual([]);
  });

  it("the one created first wins, and one without creation time before all", () => {
    const older = aVirtualService({ namespace: "zoo", created: "2026-01-01T00:00:00Z" });
    const newer = aVirtualService({ namespace: "abc", created: "2026-02-01T00:00:00Z" });
    const file = aVirtualService({ namespace: "xyz" });
    const winner = (list: Objects) => compile(list).owners.get("TCP 192.0.2.10:80");
    expect(winner([newer, older])).toBe("VirtualService zoo/web");
    expect(winner([newer, older, file])).toBe("VirtualService xyz/web");
  });

  it("the same mark belongs to one, and the other's addresses are not bound", () => {
    const firewallMark = { type: "External", value: 7 };
    const state = compile(
      pair({ name: "zzz" }, { firewallMark, addresses: [{ ip: "192.0.2.11" }] }, { firewallMark }),
    );
    expect(tableOf(state)["IPv4 mark 7"]).toHaveLength(2);
    expect(state.host.addresses.map(({ address }) => address)).toEqual(["192.0.2.10"]);
    expect(troubles(state, "VirtualService shop/zzz")[0]).toBe("Accepted PortConflict");
  });
});

describe("enforcement", () => {
  it.each(["DryRun", "Paused"] as const)("%s withholds services and VIPs", (enforcement) => {
    const state = compile([aVirtualService({}, { enforcement, ...NAT })]);
    expect(state.withheld).toEqual(new Map([["TCP 192.0.2.10:80", enforcement]]));
    expect(state.withheldAddresses).toEqual(new Set(["192.0.2.10"]));
    expect(state.retained.addresses).toEqual(new Set(["192.0.2.10"]));
    expect(state.retained.owners).toEqual(new Set(["VirtualService shop/web"]));
    expect(state.retained.settings).toBe(true);
    expect(state.host).toEqual({ addresses: [], sysctls: [], links: [] });
    expect(troubles(state)).toEqual([`Programmed ${enforcement}`]);
  });

  it("leaves a VIP bound that an enforced object shares", () => {
    const state = compile([
      aVirtualService({}, { enforcement: "Paused" }),
      aVirtualService({ name: "other" }, { ports: [{ port: 443 }] }),
    ]);
    expect(state.host.addresses).toHaveLength(1);
    expect(state.withheldAddresses.size).toBe(0);
  });
});

describe("settings of the node", () => {
  const sysctls = (list: Objects): Record<string, unknown> =>
    Object.fromEntries(compile(list).host.sysctls.map(({ key, value }) => [sysctlId(key), value]));

  it("are the director's defaults as soon as there is a service, and none before", () => {
    expect(sysctls([])).toEqual({});
    expect(sysctls([aVirtualService()])).toEqual({
      "vs/conn_reuse_mode": 1,
      "vs/sync_threshold": "2 50",
      "vs/expire_nodest_conn": 1,
      "vs/expire_quiescent_template": 1,
    });
  });

  it("let the node forward, without redirects, where there is NAT", () => {
    expect(sysctls([aVirtualService({}, NAT)])).toMatchObject({
      "ipv4/ip_forward": 1,
      "conf/all/send_redirects": 0,
      "conf/eth0/send_redirects": 0,
    });
    const six = {
      ...NAT,
      addresses: [{ ip: "2001:db8::10" }],
      backends: [servers("2001:db8::21")],
    };
    expect(sysctls([aVirtualService({}, six)])).toMatchObject({ "ipv6/conf/all/forwarding": 1 });
  });
});

describe("refused objects", () => {
  const invalid: Condition = { type: "Accepted", status: "False", reason: "Invalid", message: "m" };

  it("of which nothing good is known keep what they had", () => {
    const refused = new Map([["VirtualService shop/old", invalid]]);
    const state = compileDirector(objectsOf([aVirtualService()], { refused }), someFacts());
    expect(state.retained.owners).toEqual(new Set(["VirtualService shop/old"]));
    expect(state.conditions.get("VirtualService shop/old")).toEqual([invalid]);
    expect(state.table.services.size).toBe(1);
  });

  it("of which the last good version is known go on with it", () => {
    const refused = new Map([["VirtualService shop/web", invalid]]);
    const state = compileDirector(objectsOf([aVirtualService()], { refused }), someFacts());
    expect(state.retained.owners.size).toBe(0);
    expect(state.table.services.size).toBe(1);
    expect(troubles(state)).toEqual(["Accepted Invalid"]);
  });

  it.each([
    { name: "by name", realServers: { names: ["rs1", "rs2"] } },
    { name: "by label", realServers: { selector: {} } },
  ])("that are servers $name do not take destinations away", ({ realServers }) => {
    const refused = new Map([["RealServer shop/rs2", invalid]]);
    const service = aVirtualService({}, { backends: [{ type: "RealServers", realServers }] });
    const state = compileDirector(objectsOf([aRealServer(), service], { refused }), someFacts());
    expect(state.retained.destinations).toEqual(new Set(["TCP 192.0.2.10:80"]));
    expect(tableOf(state)).toEqual({ "TCP 192.0.2.10:80": ["192.0.2.21:80 DR 1"] });
  });

  it("that could not even be identified stop every removal", () => {
    const state = compileDirector(objectsOf([], { complete: false }), someFacts());
    expect(state.retained).toMatchObject({ everything: true, settings: true });
  });
});
