/**
 * What a real server must look like, so that packets that a director sends it by DR or TUN are
 * taken: the VIP on a device that no neighbour hears of, ARP silenced, tunnels decapsulated. The
 * node finds its own part by its own addresses. NAT needs nothing here. Pure.
 *
 * Weight, `adminState` and the state of the directors play no part: a server that is drained or
 * disabled keeps the VIP, because connections that it still has need it.
 */
import { objectKey, type Condition, type ObjectKey } from "../api/conditions.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { DesiredHost, DesiredLink, DesiredSysctl } from "../host/model.ts";
import { compareDestinations } from "../ipvs/order.ts";
import { ipFamily } from "../lib/ip-address.ts";
import type { ObjectSet } from "../source/source.ts";
import { resolveBackends, type Server } from "./backends.ts";
import { Claims, markName } from "./claims.ts";
import type { CompileRealServer, Retention } from "./model.ts";
import { NodeView } from "./node-view.ts";
import { ACCEPTED_ONLY, conditionsOf, type Problem } from "./problems.ts";
import { RealServerIndex } from "./real-server-index.ts";

/** Decapsulates IPv4 in IPv4; the kernel makes it in the first network namespace by itself. */
const IPV4_TUNNEL: DesiredLink = { name: "tunl0", kind: "ipip" };
/** Decapsulates IPv6 in IPv6, which is what TUN with IPIP means for an IPv6 VIP. */
const IPV6_TUNNEL: DesiredLink = { name: "ip6tnl0", kind: "ip6tnl" };

/** One VirtualService that sends packets here. */
interface Part {
  readonly service: VirtualService;
  /** Its servers that are this node, by the methods that need something. */
  readonly servers: readonly Server[];
}

/** A VIP that this node needs, with all that uses it. */
interface VipNeed {
  readonly address: string;
  tunnel: boolean;
  readonly interfaces: Set<string>;
}

/** Compiles once. Never throws for what is in the objects. */
export const compileRealServer: CompileRealServer = (objects, facts) => {
  const view = new NodeView(facts);
  const parts = ownParts(objects, view);
  const claims = rivalsOf(parts, objects);
  const needs = new Map<string, VipNeed>();
  const withheld = new Set<string>();
  const conditions = new Map<ObjectKey, readonly Condition[]>();
  for (const part of parts) {
    const { service } = part;
    const { enforcement } = service.spec;
    const problems: Problem[] = [];
    const vips = grantedVips(part, claims, problems);
    for (const vip of vips) {
      if (enforcement !== "Enforce") withheld.add(vip);
      else if (isQuietHere(vip, view, problems)) addNeed(needs, vip, part, view);
    }
    conditions.set(objectKey(service), conditionsOf(problems, enforcement));
  }
  for (const vip of needs.keys()) withheld.delete(vip);
  addObjectConditions(conditions, objects, view);
  return {
    host: hostOf(needs),
    conditions,
    retained: retentionOf(objects, withheld),
  };
};

/** VirtualServices with this node among their servers, by a method that needs something of it. */
function ownParts(objects: ObjectSet, view: NodeView): readonly Part[] {
  const own = new RealServerIndex();
  for (const server of objects.realServers) if (view.isOwn(server.spec.address)) own.add(server);
  return objects.virtualServices.flatMap((service) => {
    // Names that are not found are other nodes' servers; the director reports missing ones.
    const servers = resolveBackends(service, own).servers.filter(
      ({ address, forwarding }) => view.isOwn(address) && forwarding.method !== "NAT",
    );
    return servers.length === 0 ? [] : [{ service, servers }];
  });
}

/** The claims of all objects that want something that one of the parts wants. */
function rivalsOf(parts: readonly Part[], { virtualServices }: ObjectSet): Claims {
  const wanted = new Set(parts.flatMap(({ service }) => namesOf(service)));
  const claims = new Claims();
  for (const service of virtualServices) {
    if (namesOf(service).some((name) => wanted.has(name))) claims.add(service);
  }
  claims.settle();
  return claims;
}

function namesOf({ spec }: VirtualService): readonly string[] {
  const ips = spec.addresses.map(({ ip }) => ip);
  return spec.firewallMark === undefined ? ips : [...ips, markName(spec.firewallMark.value)];
}

/** VIPs with a server here of their family that belong to the object, at least in part. */
function grantedVips(
  { service, servers }: Part,
  claims: Claims,
  problems: Problem[],
): readonly string[] {
  const key = objectKey(service);
  const { addresses, ports, firewallMark } = service.spec;
  const marked =
    firewallMark === undefined ? undefined : claims.refusal(key, markName(firewallMark.value));
  if (marked !== undefined) {
    problems.push(...marked.problems);
    return [];
  }
  return addresses
    .map(({ ip }) => ip)
    .filter((ip) => {
      const refusal = claims.refusal(key, ip);
      problems.push(...(refusal?.problems ?? []));
      const granted =
        refusal === undefined ||
        (refusal.ports !== undefined && refusal.ports.length < ports.length);
      return granted && servers.some(({ family }) => family === ipFamily(ip));
    });
}

/** A VIP on an interface that neighbours hear of is a director's, and one node cannot be both yet. */
function isQuietHere(vip: string, view: NodeView, problems: Problem[]): boolean {
  const held = view.facts.addresses.find(
    ({ address, interfaceName }) => address === vip && !view.isQuiet(interfaceName),
  );
  if (held === undefined) return true;
  problems.push({
    type: "Programmed",
    reason: "LocalRealServer",
    message: `this node holds ${vip} on ${held.interfaceName}, so it is a director for it and cannot be its real server as well; run the server on another node, or remove the address there`,
  });
  return false;
}

function addNeed(
  needs: Map<string, VipNeed>,
  vip: string,
  { servers }: Part,
  view: NodeView,
): void {
  let need = needs.get(vip);
  if (need === undefined) {
    need = { address: vip, tunnel: false, interfaces: new Set(view.interfacesNear(vip)) };
    needs.set(vip, need);
  }
  const family = ipFamily(vip);
  for (const server of servers.filter((candidate) => candidate.family === family)) {
    need.tunnel ||= server.forwarding.method === "TUN";
    for (const { address, interfaceName } of view.facts.addresses) {
      if (address === server.address && !view.isQuiet(interfaceName)) {
        need.interfaces.add(interfaceName);
      }
    }
  }
}

function hostOf(needs: ReadonlyMap<string, VipNeed>): DesiredHost {
  const vips = [...needs.values()].sort((a, b) =>
    compareDestinations({ address: a.address, port: 0 }, { address: b.address, port: 0 }),
  );
  const ipv4 = vips.filter(({ address }) => ipFamily(address) === "IPv4");
  const tunnel4 = ipv4.some(({ tunnel }) => tunnel);
  const tunnel6 = vips.some(({ address, tunnel }) => tunnel && ipFamily(address) === "IPv6");
  const interfaces = [...new Set(ipv4.flatMap((need) => [...need.interfaces]))].sort();
  return {
    addresses: vips.map(({ address, tunnel }) => {
      const family = ipFamily(address);
      // On the tunnel device, not on lo: the kernel drops what comes out of a device without
      // addresses even with loose reverse-path filtering. IPv6 has no such filter, and on lo
      // duplicate address detection does not run.
      const interfaceName = tunnel && family === "IPv4" ? IPV4_TUNNEL.name : "lo";
      return { address, family, interfaceName, exclusive: false };
    }),
    sysctls: [...interfaces.flatMap(silenceArp), ...(tunnel4 ? [LOOSE_TUNNEL] : [])],
    links: [...(tunnel4 ? [IPV4_TUNNEL] : []), ...(tunnel6 ? [IPV6_TUNNEL] : [])],
  };
}

/**
 * Settings of the interfaces where neighbours ask for the VIP: answer only for addresses of the
 * interface itself, and never use the VIP as the sender of a question. IPv6 answers only for
 * addresses of the receiving interface anyway. Tunnel devices speak no ARP.
 */
function silenceArp(interfaceName: string): readonly DesiredSysctl[] {
  return [
    { key: { kind: "conf", interfaceName, name: "arp_ignore" }, value: 1, optional: false },
    { key: { kind: "conf", interfaceName, name: "arp_announce" }, value: 2, optional: false },
  ];
}

/**
 * The client's address never routes back through the tunnel, so strict filtering drops all. The
 * kernel takes the larger of `all` and the device: loose (2) wins over `all` = 1, and 0 would not.
 */
const LOOSE_TUNNEL: DesiredSysctl = {
  key: { kind: "conf", interfaceName: IPV4_TUNNEL.name, name: "rp_filter" },
  value: 2,
  optional: false,
};

function addObjectConditions(
  conditions: Map<ObjectKey, readonly Condition[]>,
  objects: ObjectSet,
  view: NodeView,
): void {
  for (const server of objects.realServers) {
    if (view.isOwn(server.spec.address)) conditions.set(objectKey(server), ACCEPTED_ONLY);
  }
  for (const [key, refused] of objects.refused) {
    const others = conditions.get(key)?.filter(({ type }) => type !== refused.type) ?? [];
    conditions.set(key, [refused, ...others]);
  }
}

/** A RealServer that cannot be read may be this node, so with one no VIP may go. */
function retentionOf(objects: ObjectSet, withheld: ReadonlySet<string>): Retention {
  const known = new Set([...objects.virtualServices, ...objects.realServers].map(objectKey));
  const unreadable = [...objects.refused.keys()].filter((key) => !known.has(key));
  const owners = new Set(unreadable.filter((key) => key.startsWith("VirtualService ")));
  const everything = objects.complete === false || unreadable.length > owners.size;
  return {
    everything,
    owners,
    services: new Set(),
    destinations: new Set(),
    addresses: withheld,
    settings: everything || owners.size > 0 || withheld.size > 0,
  };
}
