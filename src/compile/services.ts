/** From a VirtualService to its kernel services: addresses times ports, or marks. Pure. */
import type { Port } from "../api/v1alpha1/port.ts";
import type { VirtualService, VirtualServiceSpec } from "../api/v1alpha1/virtual-service.ts";
import {
  serviceKey,
  type DesiredService,
  type Persistence,
  type SchedulerFlags,
  type Service,
  type ServiceIdentity,
  type ServiceKey,
} from "../ipvs/model.ts";
import { ipFamily, type IpFamily } from "../lib/ip-address.ts";
import type { Server } from "./backends.ts";
import { makeDestinations, type Frontend } from "./destinations.ts";
import type { Problem } from "./problems.ts";

/** An address of a VirtualService with the ports of it that it may use. */
export interface GrantedAddress {
  readonly ip: string;
  readonly ports: readonly Port[];
}

/** A service with the key under which it goes into the table. */
export interface KeyedService {
  readonly key: ServiceKey;
  readonly desired: DesiredService;
}

export interface BuiltServices {
  readonly services: readonly KeyedService[];
  readonly problems: readonly Problem[];
}

const FAMILIES: readonly IpFamily[] = ["IPv4", "IPv6"];

/** Number of single ports; 0 counts as one. */
export function portCount({ port, endPort = port }: Port): number {
  return endPort - port + 1;
}

/** Kernel services that the spec comes to. */
export function countServices({ addresses, ports, firewallMark }: VirtualServiceSpec): number {
  if (firewallMark !== undefined) return new Set(addresses.map(({ ip }) => ipFamily(ip))).size;
  return addresses.length * ports.reduce((sum, port) => sum + portCount(port), 0);
}

/** Keys of the services of the granted addresses. */
export function serviceKeys(
  spec: VirtualServiceSpec,
  addresses: readonly GrantedAddress[],
): readonly ServiceKey[] {
  if (spec.firewallMark !== undefined) {
    const { value: mark } = spec.firewallMark;
    return familiesOf(addresses).map((family) => serviceKey({ kind: "mark", family, mark }));
  }
  return addresses.flatMap(({ ip, ports }) =>
    ports.flatMap((port) =>
      portNumbers(port).map((number) => serviceKey(identityOf(ip, port.protocol, number))),
    ),
  );
}

/** @param servers those that may take packets, of both families */
export function buildServices(
  service: VirtualService,
  addresses: readonly GrantedAddress[],
  servers: readonly Server[],
): BuiltServices {
  const { spec } = service;
  const services: KeyedService[] = [];
  const problems: Problem[] = [];
  for (const family of familiesOf(addresses)) {
    const context: FamilyContext = {
      spec,
      family,
      flags: schedulerFlags(spec),
      persistence: persistenceOf(spec, family),
      addresses: addresses.filter(({ ip }) => ipFamily(ip) === family),
      servers: servers.filter((server) => server.family === family),
      services,
      problems,
    };
    if (spec.firewallMark === undefined) addAddressServices(context);
    else add(context, markService(context));
  }
  // A copy has no spare room, and these stay for months.
  return { services: [...services], problems };
}

interface FamilyContext {
  readonly spec: VirtualServiceSpec;
  readonly family: IpFamily;
  readonly flags: SchedulerFlags;
  readonly persistence: Persistence | undefined;
  readonly addresses: readonly GrantedAddress[];
  readonly servers: readonly Server[];
  readonly services: KeyedService[];
  readonly problems: Problem[];
}

function add({ services }: FamilyContext, desired: DesiredService): void {
  services.push({ key: serviceKey(desired.service.identity), desired });
}

function addAddressServices(context: FamilyContext): void {
  const { spec, addresses, problems } = context;
  for (const port of spec.ports) {
    const holders = addresses.filter(({ ports }) => ports.includes(port));
    if (holders.length === 0) continue;
    const onePacket = port.onePacketScheduling === "Enabled";
    for (const number of portNumbers(port)) {
      const made = makeDestinations(context.servers, {
        servicePort: number,
        clientPort: number === 0 ? undefined : number,
        targetPort: port.targetPort,
        single: spec.ports.length === 1,
        keepsClientPort: number === 0,
        onePacket,
        scheduler: spec.scheduler,
      });
      problems.push(...made.problems);
      for (const { ip } of holders) {
        const service = makeService(identityOf(ip, port.protocol, number), context, onePacket);
        add(context, { service, destinations: made.destinations, drain: spec.drain });
      }
    }
  }
}

function markService(context: FamilyContext): DesiredService {
  const { spec, family } = context;
  const onePacket = spec.ports.some((port) => port.onePacketScheduling === "Enabled");
  const made = makeDestinations(context.servers, markFrontend(spec, onePacket));
  context.problems.push(...made.problems);
  const identity = { kind: "mark", family, mark: spec.firewallMark?.value ?? 0 } as const;
  const service = makeService(identity, context, onePacket);
  return { service, destinations: made.destinations, drain: spec.drain };
}

function markFrontend(spec: VirtualServiceSpec, onePacket: boolean): Frontend {
  const [first, ...others] = spec.ports;
  const only = others.length === 0 ? first : undefined;
  const plain = only !== undefined && only.endPort === undefined && only.port !== 0;
  return {
    servicePort: 0,
    clientPort: plain ? only.port : undefined,
    targetPort: only?.targetPort,
    single: only !== undefined,
    keepsClientPort: spec.persistence !== undefined,
    onePacket,
    scheduler: spec.scheduler,
  };
}

function makeService(
  identity: ServiceIdentity,
  { spec, flags, persistence }: FamilyContext,
  onePacket: boolean,
): Service {
  return {
    identity,
    scheduler: spec.scheduler,
    schedulerFlags: flags,
    persistence,
    onePacket,
    persistenceEngine: undefined,
  };
}

const NO_FLAGS: SchedulerFlags = { fallback: false, port: false, third: false };

/** For sh and mh the fallback is on by default: without it each drained server refuses its clients. */
function schedulerFlags({ scheduler, hashing }: VirtualServiceSpec): SchedulerFlags {
  if (scheduler !== "sh" && scheduler !== "mh") return NO_FLAGS;
  return {
    fallback: hashing?.fallback !== "Disabled",
    port: hashing?.key === "SourceAddressAndPort",
    third: false,
  };
}

function persistenceOf(
  { persistence }: VirtualServiceSpec,
  family: IpFamily,
): Persistence | undefined {
  if (persistence === undefined) return undefined;
  const { timeoutSeconds, ipv4PrefixLength, ipv6PrefixLength } = persistence;
  const mask = family === "IPv4" ? (-1 << (32 - ipv4PrefixLength)) >>> 0 : ipv6PrefixLength;
  return { timeoutSeconds, mask };
}

function identityOf(address: string, protocol: Port["protocol"], port: number): ServiceIdentity {
  return { kind: "address", family: ipFamily(address), protocol, address, port };
}

function portNumbers(port: Port): readonly number[] {
  if (port.endPort === undefined) return [port.port];
  return Array.from({ length: portCount(port) }, (_, i) => port.port + i);
}

function familiesOf(addresses: readonly GrantedAddress[]): readonly IpFamily[] {
  return FAMILIES.filter((family) => addresses.some(({ ip }) => ipFamily(ip) === family));
}
