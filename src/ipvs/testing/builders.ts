/** Builders with defaults, so that a test shows only what matters to it. */
import { ipFamily } from "../../lib/ip-address.ts";
import type {
  ConnectionCounts,
  DesiredService,
  DesiredTable,
  Destination,
  DrainPolicy,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  Protocol,
  SchedulerFlags,
  Service,
  ServiceIdentity,
} from "../model.ts";
import { serviceKey } from "../model.ts";

export const NO_FLAGS: SchedulerFlags = { fallback: false, port: false, third: false };
export const NO_CONNECTIONS: ConnectionCounts = { active: 0, inactive: 0, persistent: 0 };
export const FIVE_MINUTES: DrainPolicy = { timeoutSeconds: 300, whenExpired: "Remove" };

/** `192.0.2.10:80` over TCP unless told otherwise; the family follows from the address. */
export function anIdentity(
  address = "192.0.2.10",
  port = 80,
  protocol: Protocol = "TCP",
): ServiceIdentity {
  return { kind: "address", family: ipFamily(address), protocol, address, port };
}

/** A service known by a firewall mark. */
export function aMark(mark: number, family: "IPv4" | "IPv6" = "IPv4"): ServiceIdentity {
  return { kind: "mark", family, mark };
}

/** A wlc service without persistence. */
export function aService(over: Partial<Service> = {}): Service {
  return {
    identity: anIdentity(),
    scheduler: "wlc",
    schedulerFlags: NO_FLAGS,
    persistence: undefined,
    onePacket: false,
    persistenceEngine: undefined,
    ...over,
  };
}

/** A NAT destination of weight 1 at `192.0.2.21:80`. */
export function aDestination(over: Partial<Destination> = {}): Destination {
  const address = over.address ?? "192.0.2.21";
  return {
    family: ipFamily(address),
    address,
    port: 80,
    method: "NAT",
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    tunnel: undefined,
    ...over,
  };
}

/** A wish with five minutes to drain. */
export function aDesired(
  service: Service,
  destinations: readonly Destination[] = [],
  drain: DrainPolicy = FIVE_MINUTES,
): DesiredService {
  return { service, destinations, drain };
}

/** A destination without connections, freshly read. */
export function anObservedDestination(
  destination: Destination,
  connections: Partial<ConnectionCounts> = {},
): ObservedDestination {
  return { destination, connections: { ...NO_CONNECTIONS, ...connections }, stats: undefined };
}

/** A service as read; plain destinations have no connections. */
export function anObserved(
  service: Service,
  destinations: readonly (Destination | ObservedDestination)[] = [],
): ObservedService {
  return {
    service,
    destinations: destinations.map((d) => ("destination" in d ? d : anObservedDestination(d))),
    stats: undefined,
  };
}

/** A table of desired services. */
export function desiredTable(...services: readonly DesiredService[]): DesiredTable {
  return { services: new Map(services.map((s) => [serviceKey(s.service.identity), s])) };
}

/** A table as read. */
export function observedTable(...services: readonly ObservedService[]): ObservedTable {
  return { services: new Map(services.map((s) => [serviceKey(s.service.identity), s])) };
}
