/**
 * One VirtualService on one director: its kernel services, its VIPs and what is wrong with it.
 *
 * What happens to a part that cannot be had:
 * - taken by another object (VIP, port, mark): not ours, so it is neither programmed nor kept;
 * - refused for its content, or because this node's kernel lacks something: not programmed, and
 *   what an earlier version had programmed stays (see `Retention`);
 * - a server that packets would not reach: that destination is left out, the others serve;
 * - a VIP that cannot be bound: the table is programmed, no packets arrive.
 */
import { objectKey, type Condition, type ObjectKey } from "../api/conditions.ts";
import type { VirtualService, VirtualServiceSpec } from "../api/v1alpha1/virtual-service.ts";
import { MAX_KERNEL_SERVICES } from "../api/v1alpha1/virtual-service-rules.ts";
import type { DesiredAddress } from "../host/model.ts";
import type { ServiceKey } from "../ipvs/model.ts";
import { ipFamily, type IpFamily } from "../lib/ip-address.ts";
import { resolveBackends, type Server } from "./backends.ts";
import { markName, type Claims } from "./claims.ts";
import { familyMismatch, strayServers } from "./families.ts";
import type { NodeView } from "./node-view.ts";
import { conditionsOf, missingScheduler, type Problem } from "./problems.ts";
import type { RealServerIndex } from "./real-server-index.ts";
import {
  buildServices,
  countServices,
  serviceKeys,
  type BuiltServices,
  type GrantedAddress,
} from "./services.ts";

/** What one VirtualService comes to on one director. */
export interface CompiledVirtualService {
  readonly key: ObjectKey;
  readonly enforcement: VirtualServiceSpec["enforcement"];
  readonly services: BuiltServices["services"];
  readonly vips: readonly DesiredAddress[];
  /** Families in which packets are rewritten, so that the node has to forward. */
  readonly natFamilies: readonly IpFamily[];
  /** Its part of `Retention`. */
  readonly retained: {
    readonly owner: boolean;
    readonly services: readonly ServiceKey[];
    readonly destinations: readonly ServiceKey[];
    readonly addresses: readonly string[];
  };
  readonly conditions: readonly Condition[];
  /** A fact about the node is in the way, so facts that change may help. */
  readonly waitsForFacts: boolean;
}

/** What a VirtualService is compiled against. */
export interface CompileContext {
  readonly view: NodeView;
  readonly realServers: RealServerIndex;
  readonly claims: Claims;
  /** RealServers that are refused and have no last good version, as object keys. */
  readonly unreadableServers: ReadonlySet<ObjectKey>;
}

const NOTHING: CompiledVirtualService["retained"] = {
  owner: false,
  services: [],
  destinations: [],
  addresses: [],
};
const NO_VIPS: readonly DesiredAddress[] = [];
const NO_FAMILIES: readonly IpFamily[] = [];
const IPV4_ONLY: readonly IpFamily[] = ["IPv4"];
const IPV6_ONLY: readonly IpFamily[] = ["IPv6"];
const BOTH_FAMILIES: readonly IpFamily[] = ["IPv4", "IPv6"];

/** @param key the object's key, which callers have anyway */
export function compileVirtualService(
  key: ObjectKey,
  service: VirtualService,
  context: CompileContext,
): CompiledVirtualService {
  const { enforcement } = service.spec;
  const problems: Problem[] = [];
  const granted = grantedAddresses(key, service, context, problems);
  const clean = granted.filter(({ ip }) => !isServerAddress(ip, service, context, problems));
  const whole = refusalOfAll(service, context);
  if (whole !== undefined) return refused(key, service, clean, [whole, ...problems]);

  const { servers, unreachable } = usableServers(service, context, clean, problems);
  const built = buildServices(service, clean, servers);
  problems.push(...built.problems, ...degraded(built));
  const placed = placeVips(clean, context.view);
  problems.push(...placed.problems);
  const suspect = granted.filter((address) => !clean.includes(address));
  const incomplete = mayMissServers(service, context.unreadableServers);
  return {
    key,
    enforcement,
    services: built.services,
    vips: [...placed.vips],
    natFamilies: natFamilies(built),
    retained: retainedBy({ service, suspect, built, unplaced: placed.unplaced, incomplete }),
    conditions: conditionsOf(problems, enforcement),
    waitsForFacts: unreachable || placed.provisional,
  };
}

/** Nothing of the object is programmed; what an earlier version had stays. */
function refused(
  key: ObjectKey,
  service: VirtualService,
  addresses: readonly GrantedAddress[],
  problems: readonly Problem[],
): CompiledVirtualService {
  const { spec } = service;
  const keys = countServices(spec) <= MAX_KERNEL_SERVICES ? serviceKeys(spec, addresses) : [];
  return {
    key,
    enforcement: spec.enforcement,
    services: [],
    vips: NO_VIPS,
    natFamilies: [],
    retained: {
      owner: true,
      services: keys,
      destinations: [],
      addresses: addresses.map(({ ip }) => ip),
    },
    conditions: conditionsOf(problems, spec.enforcement),
    waitsForFacts: true,
  };
}

function refusalOfAll(service: VirtualService, { view }: CompileContext): Problem | undefined {
  const { spec } = service;
  const count = countServices(spec);
  if (count > MAX_KERNEL_SERVICES) {
    return {
      type: "Accepted",
      reason: "TooManyServices",
      message: `comes to ${count} kernel services, more than ${MAX_KERNEL_SERVICES}; use fewer ports or \`firewallMark\``,
    };
  }
  if (!view.facts.missingSchedulers.has(spec.scheduler)) return undefined;
  return missingScheduler(spec.scheduler, view.facts.nodeName);
}

/** The addresses and ports that no other object has; none where the mark is another's. */
function grantedAddresses(
  key: ObjectKey,
  service: VirtualService,
  { claims }: CompileContext,
  problems: Problem[],
): readonly GrantedAddress[] {
  const { addresses, ports, firewallMark } = service.spec;
  if (firewallMark !== undefined) {
    const refusal = claims.refusal(key, markName(firewallMark.value));
    if (refusal !== undefined) {
      problems.push(...refusal.problems);
      return [];
    }
  }
  return addresses.flatMap(({ ip }) => {
    const refusal = claims.refusal(key, ip);
    if (refusal === undefined) return [{ ip, ports }];
    problems.push(...refusal.problems);
    const rest = ports.filter((_, index) => refusal.ports?.includes(index) === false);
    return rest.length === 0 ? [] : [{ ip, ports: rest }];
  });
}

/** Binding the address of a machine would take that machine off the network. */
function isServerAddress(
  ip: string,
  service: VirtualService,
  { realServers }: CompileContext,
  problems: Problem[],
): boolean {
  const { namespace } = service.metadata;
  const object = realServers.withAddress(namespace, ip);
  const inline = service.spec.backends.some((backend) =>
    backend.servers?.some((server) => server.address === ip),
  );
  if (object === undefined && !inline) return false;
  const who = object === undefined ? "a server in `backends`" : objectKey(object);
  problems.push({
    type: "Accepted",
    reason: "AddressNotUsable",
    message: `${ip} is the address of ${who}; a virtual address must be one that no machine has`,
  });
  return true;
}

function usableServers(
  service: VirtualService,
  { view, realServers }: CompileContext,
  addresses: readonly GrantedAddress[],
  problems: Problem[],
): { readonly servers: readonly Server[]; readonly unreachable: boolean } {
  const resolved = resolveBackends(service, realServers);
  problems.push(
    ...resolved.problems,
    ...familyMismatch(resolved.servers, addresses),
    ...strayServers(resolved.servers, service),
  );
  let unreachable = false;
  const servers = resolved.servers.filter((server) => {
    if (server.disabled) return false;
    const problem = view.whyUnreachable(server);
    if (problem === undefined) return true;
    problems.push(problem);
    unreachable = true;
    return false;
  });
  return { servers, unreachable };
}

/** Clients of a service that nobody can serve are refused at once, which deserves to be seen. */
function degraded({ services }: BuiltServices): readonly Problem[] {
  const dead = services.find(({ desired }) => !desired.destinations.some((d) => d.weight > 0));
  if (dead === undefined) return [];
  const message = `${dead.key} has no server that takes new connections; enable one or give it a weight`;
  return [{ type: "Degraded", reason: "RealServersDown", message }];
}

interface PlacedVips {
  readonly vips: readonly DesiredAddress[];
  readonly unplaced: readonly string[];
  readonly problems: readonly Problem[];
  readonly provisional: boolean;
}

function placeVips(addresses: readonly GrantedAddress[], view: NodeView): PlacedVips {
  const vips: DesiredAddress[] = [];
  const unplaced: string[] = [];
  const problems: Problem[] = [];
  let provisional = false;
  for (const { ip } of addresses) {
    const placement = view.placeVip(ip);
    provisional ||= placement.provisional;
    if (placement.problem === undefined) {
      const { interfaceName } = placement;
      vips.push({ address: ip, family: ipFamily(ip), interfaceName, exclusive: true });
    } else {
      unplaced.push(ip);
      problems.push(placement.problem);
    }
  }
  return { vips, unplaced, problems, provisional };
}

function natFamilies({ services }: BuiltServices): readonly IpFamily[] {
  let ipv4 = false;
  let ipv6 = false;
  for (const { desired } of services) {
    for (const { method, family } of desired.destinations) {
      ipv4 ||= method === "NAT" && family === "IPv4";
      ipv6 ||= method === "NAT" && family === "IPv6";
    }
  }
  // One list for all objects; thousands have the same.
  if (ipv4) return ipv6 ? BOTH_FAMILIES : IPV4_ONLY;
  return ipv6 ? IPV6_ONLY : NO_FAMILIES;
}

interface Leftovers {
  readonly service: VirtualService;
  /** Addresses that are refused for their content. */
  readonly suspect: readonly GrantedAddress[];
  readonly built: BuiltServices;
  /** VIPs that cannot be bound now. */
  readonly unplaced: readonly string[];
  /** Some of its servers may be missing here. */
  readonly incomplete: boolean;
}

function retainedBy(leftovers: Leftovers): CompiledVirtualService["retained"] {
  const { service, suspect, built, unplaced, incomplete } = leftovers;
  const { spec } = service;
  const owner = spec.enforcement !== "Enforce";
  if (!owner && !incomplete && suspect.length + unplaced.length === 0) return NOTHING;
  // A mark belongs to all addresses, so it is given up only with the last of them.
  const given = spec.firewallMark === undefined || built.services.length === 0;
  return {
    owner,
    services: given ? serviceKeys(spec, suspect) : [],
    destinations: incomplete ? built.services.map(({ key }) => key) : [],
    addresses: [...suspect.map(({ ip }) => ip), ...unplaced],
  };
}

/** Whether a RealServer that cannot be read may be one of its servers. */
function mayMissServers(
  { metadata, spec }: VirtualService,
  unreadable: ReadonlySet<ObjectKey>,
): boolean {
  if (unreadable.size === 0) return false;
  const prefix = `RealServer ${metadata.namespace}/`;
  return spec.backends.some(
    ({ realServers }) =>
      (realServers?.names?.some((name) => unreadable.has(prefix + name)) ?? false) ||
      (realServers?.selector !== undefined &&
        [...unreadable].some((key) => key.startsWith(prefix))),
  );
}
