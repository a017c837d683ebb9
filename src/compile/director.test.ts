import { describe, expect, it } from "vitest";

import { aRealServer, aVirtualService, servers } from "./testing/builders.ts";
import { compile, messages, tableOf, troubles } from "./testing/read-state.ts";

const NAT = { forwarding: { method: "NAT" } };
describe("services of a VirtualService", () => {
  it("are one for each address and port, with destinations in canonical order", () => {
    const state = compile([
      aVirtualService(
        {},
        {
          addresses: [
            { name: "v4", ip: "192.0.2.10" },
            { name: "v6", ip: "2001:db8::10" },
          ],
          ports: [{ port: 80 }, { port: 443, endPort: 444 }, { port: 53, protocol: "UDP" }],
          backends: [servers("192.0.2.100", "192.0.2.21", "2001:db8::21")],
        },
      ),
    ]);
    const at4 = (port: number) => [`192.0.2.21:${port} DR 1`, `192.0.2.100:${port} DR 1`];
    expect(tableOf(state)).toEqual({
      "TCP 192.0.2.10:80": at4(80),
      "TCP 192.0.2.10:443": at4(443),
      "TCP 192.0.2.10:444": at4(444),
      "UDP 192.0.2.10:53": at4(53),
      "TCP [2001:db8::10]:80": ["[2001:db8::21]:80 DR 1"],
      "TCP [2001:db8::10]:443": ["[2001:db8::21]:443 DR 1"],
      "TCP [2001:db8::10]:444": ["[2001:db8::21]:444 DR 1"],
      "UDP [2001:db8::10]:53": ["[2001:db8::21]:53 DR 1"],
    });
    expect(troubles(state)).toEqual([]);
    expect(state.owners.get("TCP 192.0.2.10:80")).toBe("VirtualService shop/web");
  });

  it("carry scheduler, persistence of the family, one-packet scheduling and drain policy", () => {
    const state = compile([
      aVirtualService(
        {},
        {
          addresses: [
            { name: "v4", ip: "192.0.2.10" },
            { name: "v6", ip: "2001:db8::10" },
          ],
          ports: [{ port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }],
          scheduler: "wrr",
          persistence: { timeoutSeconds: 60, ipv4PrefixLength: 24, ipv6PrefixLength: 64 },
          backends: [servers("192.0.2.21", "2001:db8::21")],
          drain: { timeoutSeconds: 7, whenExpired: "Wait" },
        },
      ),
    ]);
    const four = state.table.services.get("UDP 192.0.2.10:53");
    expect(four?.service).toEqual({
      identity: {
        kind: "address",
        family: "IPv4",
        protocol: "UDP",
        address: "192.0.2.10",
        port: 53,
      },
      scheduler: "wrr",
      schedulerFlags: { fallback: false, port: false, third: false },
      persistence: { timeoutSeconds: 60, mask: 0xffffff00 },
      onePacket: true,
      persistenceEngine: undefined,
    });
    expect(four?.drain).toEqual({ timeoutSeconds: 7, whenExpired: "Wait" });
    const six = state.table.services.get("UDP [2001:db8::10]:53");
    expect(six?.service.persistence?.mask).toBe(64);
  });

  it.each([
    {
      name: "sh falls back by default",
      scheduler: "sh",
      hashing: undefined,
      fallback: true,
      port: false,
    },
    { name: "mh falls back by default", scheduler: "mh", hashing: {}, fallback: true, port: false },
    {
      name: "fallback can be disabled",
      scheduler: "mh",
      hashing: { fallback: "Disabled" },
      fallback: false,
      port: false,
    },
    {
      name: "the client's port can be hashed",
      scheduler: "sh",
      hashing: { key: "SourceAddressAndPort" },
      fallback: true,
      port: true,
    },
    {
      name: "other schedulers have no flags",
      scheduler: "wlc",
      hashing: undefined,
      fallback: false,
      port: false,
    },
  ])("$name", ({ scheduler, hashing, fallback, port }) => {
    const spec = { scheduler, ...(hashing === undefined ? {} : { hashing }) };
    const service = compile([aVirtualService({}, spec)]).table.services.get("TCP 192.0.2.10:80");
    expect(service?.service.schedulerFlags).toEqual({ fallback, port, third: false });
  });

  it("are one for each family and mark, whatever the addresses and ports", () => {
    const state = compile([
      aVirtualService(
        {},
        {
          addresses: [
            { name: "a", ip: "192.0.2.10" },
            { name: "b", ip: "192.0.2.11" },
            { name: "c", ip: "2001:db8::10" },
          ],
          ports: [{ port: 80 }, { port: 443 }],
          firewallMark: { type: "External", value: 7 },
          backends: [servers("192.0.2.21", "2001:db8::21")],
        },
      ),
    ]);
    expect(tableOf(state)).toEqual({
      "IPv4 mark 7": ["192.0.2.21:0 DR 1"],
      "IPv6 mark 7": ["[2001:db8::21]:0 DR 1"],
    });
    expect(state.host.addresses.map(({ address }) => address)).toEqual([
      "192.0.2.10",
      "192.0.2.11",
      "2001:db8::10",
    ]);
  });

  it("are only those of the node's own DirectorGroup", () => {
    const state = compile([aVirtualService({}, { directorGroupName: "edge" })]);
    expect(tableOf(state)).toEqual({});
    expect(state.conditions.size).toBe(0);
  });
});

describe("destinations", () => {
  it.each([
    {
      name: "take the targetPort",
      spec: { ...NAT, ports: [{ port: 80, targetPort: 8080 }] },
      port: 8080,
    },
    {
      name: "take the server's own port before the targetPort",
      spec: {
        ...NAT,
        ports: [{ port: 80, targetPort: 8080 }],
        backends: [servers({ address: "192.0.2.21", port: 9090 })],
      },
      port: 9090,
    },
    {
      name: "keep every port for port 0",
      spec: { ports: [{ port: 0 }], persistence: {} },
      port: 0,
    },
    {
      name: "of a mark take the targetPort of the only port",
      spec: {
        ...NAT,
        ports: [{ port: 80, targetPort: 8080 }],
        firewallMark: { type: "External", value: 1 },
      },
      port: 8080,
    },
    {
      name: "of a mark keep the port of the client",
      spec: { ...NAT, firewallMark: { type: "External", value: 1 } },
      port: 0,
    },
  ])("$name", ({ spec, port }) => {
    const [service] = compile([aVirtualService({}, spec)]).table.services.values();
    expect(service?.destinations[0]?.port).toBe(port);
  });

  it.each([
    { name: "a real server's own port under DR", spec: {}, server: { port: 8080 } },
    {
      name: "DR for one server behind a changed port",
      spec: { ...NAT, ports: [{ port: 80, targetPort: 8080 }] },
      server: { forwarding: { method: "DR" } },
    },
    {
      name: "an own port beside several ports",
      spec: { ...NAT, ports: [{ port: 80 }, { port: 443 }] },
      server: { port: 8080 },
    },
    {
      name: "an own port for port 0",
      spec: { ...NAT, ports: [{ port: 0 }], persistence: {} },
      server: { port: 8080 },
    },
    {
      name: "a changed port for a mark with persistence",
      spec: { ...NAT, firewallMark: { type: "External", value: 1 }, persistence: {} },
      server: { port: 8080 },
    },
    {
      name: "NAT for one server under one-packet scheduling",
      spec: { ports: [{ port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }] },
      server: { forwarding: { method: "NAT" } },
    },
  ])("leave out $name, and the others serve", ({ spec, server }) => {
    const state = compile([
      aRealServer({ name: "odd" }, server),
      aVirtualService(
        {},
        {
          backends: [
            { name: "a", type: "RealServers", realServers: { names: ["odd"] } },
            { name: "b", ...servers("192.0.2.22") },
          ],
          ...spec,
        },
      ),
    ]);
    for (const { destinations } of state.table.services.values()) {
      expect(destinations.map(({ address }) => address)).toEqual(["192.0.2.22"]);
    }
    expect(troubles(state)).toEqual(["ResolvedRefs UnsupportedValue"]);
    expect(messages(state)).toMatch(/RealServer shop\/odd: .*(port|NAT)/);
  });

  it("come from RealServers by name and by label, of the same namespace only", () => {
    const state = compile([
      aRealServer(
        { name: "a", labels: { app: "web" } },
        { weight: 5, upperThreshold: 9, lowerThreshold: 3 },
      ),
      aRealServer({ name: "b" }, { address: "192.0.2.22", forwarding: { method: "NAT" } }),
      aRealServer(
        { name: "a", namespace: "other", labels: { app: "web" } },
        { address: "192.0.2.66" },
      ),
      aVirtualService(
        {},
        {
          backends: [
            {
              name: "x",
              type: "RealServers",
              realServers: { selector: { matchLabels: { app: "web" } } },
            },
            { name: "y", type: "RealServers", realServers: { names: ["b"] } },
          ],
        },
      ),
    ]);
    expect(tableOf(state)).toEqual({
      "TCP 192.0.2.10:80": ["192.0.2.21:80 DR 5", "192.0.2.22:80 NAT 1"],
    });
    const [first] = [...state.table.services.values()][0]?.destinations ?? [];
    expect([first?.upperThreshold, first?.lowerThreshold]).toEqual([9, 3]);
  });

  it("drain while Draining and are absent while Disabled", () => {
    const state = compile([
      aRealServer({ name: "a" }, { adminState: "Draining", weight: 5 }),
      aRealServer({ name: "b" }, { address: "192.0.2.22", adminState: "Disabled" }),
      aRealServer({ name: "c" }, { address: "192.0.2.23" }),
      aVirtualService({}, { backends: [{ type: "RealServers", realServers: { selector: {} } }] }),
    ]);
    expect(tableOf(state)).toEqual({
      "TCP 192.0.2.10:80": ["192.0.2.21:80 DR 0", "192.0.2.23:80 DR 1"],
    });
    expect(troubles(state)).toEqual([]);
  });

  it("get the share of their backend as a whole", () => {
    const state = compile([
      aVirtualService(
        {},
        {
          backends: [
            { name: "blue", weight: 95, ...servers("192.0.2.21", "192.0.2.22", "192.0.2.23") },
            { name: "green", weight: 5, ...servers("192.0.2.31", "192.0.2.32") },
          ],
        },
      ),
    ]);
    expect(tableOf(state)["TCP 192.0.2.10:80"]).toEqual([
      "192.0.2.21:80 DR 38",
      "192.0.2.22:80 DR 38",
      "192.0.2.23:80 DR 38",
      "192.0.2.31:80 DR 3",
      "192.0.2.32:80 DR 3",
    ]);
  });

  it("that are in two backends with shares get the sum", () => {
    const state = compile([
      aVirtualService(
        {},
        {
          backends: [
            { name: "blue", weight: 1, ...servers("192.0.2.21") },
            { name: "green", weight: 3, ...servers("192.0.2.21", "192.0.2.22", "192.0.2.23") },
          ],
        },
      ),
    ]);
    expect(tableOf(state)["TCP 192.0.2.10:80"]).toEqual([
      "192.0.2.21:80 DR 2",
      "192.0.2.22:80 DR 1",
      "192.0.2.23:80 DR 1",
    ]);
    expect(troubles(state)).toEqual([]);
  });

  it("that are listed twice count once, and the object says so", () => {
    const state = compile([
      aRealServer({ name: "a" }, { weight: 3 }),
      aRealServer({ name: "b" }, { weight: 9 }),
      aVirtualService({}, { backends: [{ type: "RealServers", realServers: { selector: {} } }] }),
    ]);
    expect(tableOf(state)).toEqual({ "TCP 192.0.2.10:80": ["192.0.2.21:80 DR 3"] });
    expect(messages(state)).toContain(
      "RealServer shop/a: 192.0.2.21:80 is listed also as RealServer shop/b, and only the first counts; remove one",
    );
  });

  it("of sh fit into its 256 slots", () => {
    const backends = [servers({ address: "192.0.2.21", weight: 300 }, "192.0.2.22")];
    const state = compile([aVirtualService({}, { scheduler: "sh", backends })]);
    expect(tableOf(state)["TCP 192.0.2.10:80"]).toEqual([
      "192.0.2.21:80 DR 255",
      "192.0.2.22:80 DR 1",
    ]);
  });

  it("of TUN have an IPIP tunnel and may be behind a router", () => {
    const state = compile([
      aVirtualService({}, { forwarding: { method: "TUN" }, backends: [servers("198.51.100.1")] }),
    ]);
    const [service] = state.table.services.values();
    expect(service?.destinations[0]?.tunnel).toEqual({ type: "IPIP", port: 0, checksum: "None" });
    expect(troubles(state)).toEqual([]);
  });
});
