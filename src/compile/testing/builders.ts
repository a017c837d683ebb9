/** Objects and facts with defaults, so that a test shows only what it is about. */
import { parseObject } from "../../api/parse.ts";
import type { RealServer } from "../../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../../api/v1alpha1/virtual-service.ts";
import type { ObservedAddress, ObservedLink, RouteFact } from "../../host/model.ts";
import { ipFamily } from "../../lib/ip-address.ts";
import type { ObjectSet } from "../../source/source.ts";
import type { NodeFacts } from "../model.ts";

interface Identity {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly created?: string;
}

type Fields = Readonly<Record<string, unknown>>;

function metadataOf(identity: Identity, name: string): Fields {
  const { created, labels } = identity;
  return {
    name: identity.name ?? name,
    namespace: identity.namespace ?? "shop",
    ...(labels === undefined ? {} : { labels }),
    ...(created === undefined ? {} : { creationTimestamp: created }),
  };
}

function parse(raw: Fields): RealServer | VirtualService {
  const { ok, problems } = parseObject(raw);
  if (ok === undefined) throw new Error(problems.map((p) => `${p.path}: ${p.message}`).join("; "));
  return ok;
}

/** `shop/web`: 192.0.2.10 TCP 80, DR, two servers; `spec` replaces whole fields. */
export function aVirtualService(identity: Identity = {}, spec: Fields = {}): VirtualService {
  const object = parse({
    apiVersion: "lvs-operator.io/v1alpha1",
    kind: "VirtualService",
    metadata: metadataOf(identity, "web"),
    spec: {
      addresses: [{ ip: "192.0.2.10" }],
      ports: [{ port: 80 }],
      forwarding: { method: "DR" },
      backends: [servers("192.0.2.21", "192.0.2.22")],
      ...spec,
    },
  });
  if (object.kind !== "VirtualService") throw new Error("not a VirtualService");
  return object;
}

/** A backend of type Servers. */
export function servers(...list: readonly (string | Fields)[]): Fields {
  return {
    type: "Servers",
    servers: list.map((server) => (typeof server === "string" ? { address: server } : server)),
  };
}

export function aRealServer(identity: Identity = {}, spec: Fields = {}): RealServer {
  const object = parse({
    apiVersion: "lvs-operator.io/v1alpha1",
    kind: "RealServer",
    metadata: metadataOf(identity, "rs1"),
    spec: { address: "192.0.2.21", ...spec },
  });
  if (object.kind !== "RealServer") throw new Error("not a RealServer");
  return object;
}

export function objectsOf(
  list: readonly (RealServer | VirtualService)[],
  rest: Partial<ObjectSet> = {},
): ObjectSet {
  return {
    virtualServices: list.filter((object) => object.kind === "VirtualService"),
    realServers: list.filter((object) => object.kind === "RealServer"),
    refused: new Map(),
    ...rest,
  };
}

export function aLink(name: string, rest: Partial<ObservedLink> = {}): ObservedLink {
  return {
    index: 2,
    name,
    up: true,
    mtu: 1500,
    macAddress: "02:00:00:00:00:01",
    loopback: name === "lo",
    kind: undefined,
    ...rest,
  };
}

/** `192.0.2.1/24 eth0`, with ` ours` at the end for an address that we put there. */
export function anAddress(text: string): ObservedAddress {
  const [prefix = "", interfaceName = "eth0", ours] = text.split(" ");
  const [address = "", length = "32"] = prefix.split("/");
  return {
    address,
    family: ipFamily(address),
    prefixLength: Number(length),
    interfaceName,
    ours: ours === "ours",
  };
}

const ON_LINK: RouteFact = { local: false, onLink: true, interfaceName: "eth0" };
const ROUTED: RouteFact = { local: false, onLink: false, interfaceName: "eth0" };

/**
 * A node with lo and eth0 in 192.0.2.0/24 and 2001:db8::/64. Addresses of those networks are
 * on-link, all others are behind a router.
 */
export function someFacts(rest: Partial<NodeFacts> = {}): NodeFacts {
  return {
    nodeName: "node1",
    groupName: "default",
    interfaceName: undefined,
    links: [aLink("lo", { index: 1 }), aLink("eth0")],
    addresses: ["127.0.0.1/8 lo", "192.0.2.1/24", "2001:db8::1/64"].map(anAddress),
    routes: routesBy((address) => (/^(192\.0\.2\.|2001:db8::)/.test(address) ? ON_LINK : ROUTED)),
    missingSchedulers: new Set(),
    occupiedAddresses: new Map(),
    ...rest,
  };
}

/** A route table that answers every question by rule. */
export function routesBy(route: (address: string) => RouteFact | undefined): NodeFacts["routes"] {
  const map = new Map<string, RouteFact>();
  map.get = route;
  return map;
}
