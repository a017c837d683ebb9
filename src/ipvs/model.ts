/**
 * The kernel's IPVS table in the kernel's own words: services and their destinations. No I/O and
 * no wire format here; `wire.ts` turns these into bytes and `src/compile` makes them from the API.
 * Values cover everything the kernel can report, also for services that are not ours.
 */
import type { IpFamily } from "../lib/ip-address.ts";

/** Protocols that IPVS schedules; the kernel accepts others, and then never uses them. */
export type Protocol = "TCP" | "UDP" | "SCTP";

/** What makes a service that service. Everything else about it can be edited in place. */
export type ServiceIdentity =
  | {
      readonly kind: "address";
      readonly family: IpFamily;
      readonly protocol: Protocol;
      /** Canonical text, see lib/ip-address.ts. */
      readonly address: string;
      /** 0 = every port; the kernel then wants persistence. */
      readonly port: number;
    }
  | {
      readonly kind: "mark";
      readonly family: IpFamily;
      /** 1..2^32-1. */
      readonly mark: number;
    };

/** Client affinity: connections of one client network go to one destination. */
export interface Persistence {
  /** Life of an affinity entry after its last connection, seconds. */
  readonly timeoutSeconds: number;
  /** IPv4: netmask as an unsigned 32-bit number (any bits). IPv6: prefix length 1..128. */
  readonly mask: number;
}

/** The three flag bits that a scheduler may give a meaning: sh and mh use the first two. */
export interface SchedulerFlags {
  /** sh and mh: take the next destination when the chosen one has weight 0 or is overloaded. */
  readonly fallback: boolean;
  /** sh and mh: hash the client's port as well. */
  readonly port: boolean;
  /** No scheduler uses it; read back so that a foreign service is shown as it is. */
  readonly third: boolean;
}

/** A service without its destinations and counters. */
export interface Service {
  readonly identity: ServiceIdentity;
  /** Kernel name of the scheduler (`wlc`), or `none`: every new connection is refused. */
  readonly scheduler: string;
  readonly schedulerFlags: SchedulerFlags;
  readonly persistence: Persistence | undefined;
  /** Each datagram is scheduled on its own. UDP only. */
  readonly onePacket: boolean;
  /** `sip` or none. */
  readonly persistenceEngine: string | undefined;
}

/** How packets reach the destination. LocalNode and Bypass appear only on foreign entries. */
export type ForwardingMethod = "NAT" | "DR" | "TUN" | "LocalNode" | "Bypass";

/** Encapsulation of method TUN. */
export interface Tunnel {
  readonly type: "IPIP" | "GUE" | "GRE";
  /** UDP port; GUE only, else 0. */
  readonly port: number;
  readonly checksum: "None" | "Checksum" | "RemoteChecksum";
}

/** A destination without its counters. Its identity is (family, address, port). */
export interface Destination {
  readonly family: IpFamily;
  readonly address: string;
  /** 0 = the port the client used. */
  readonly port: number;
  readonly method: ForwardingMethod;
  /** 0..2^31-1; 0 takes no new connections. */
  readonly weight: number;
  /** Connections (active and inactive) from which on it is skipped; 0 = no limit. */
  readonly upperThreshold: number;
  /** Connections below which it is used again; 0 = the kernel's three quarters of the upper one. */
  readonly lowerThreshold: number;
  /** Present exactly for method TUN. */
  readonly tunnel: Tunnel | undefined;
}

/** Live connection counts of a destination. */
export interface ConnectionCounts {
  readonly active: number;
  readonly inactive: number;
  /** Affinity entries that name this destination. */
  readonly persistent: number;
}

/** Counters since creation or the last zeroing; the kernel refreshes them every two seconds. */
export interface TrafficStats {
  readonly connections: bigint;
  readonly inPackets: bigint;
  readonly outPackets: bigint;
  readonly inBytes: bigint;
  readonly outBytes: bigint;
  readonly connectionsPerSecond: bigint;
  readonly inPacketsPerSecond: bigint;
  readonly outPacketsPerSecond: bigint;
  readonly inBytesPerSecond: bigint;
  readonly outBytesPerSecond: bigint;
}

/** A destination as the kernel reports it. */
export interface ObservedDestination {
  readonly destination: Destination;
  readonly connections: ConnectionCounts;
  readonly stats: TrafficStats | undefined;
  /** The counts were not read since we last wrote this entry; they say nothing about it now. */
  readonly stale?: true;
}

/** A service as the kernel reports it; `destinations` in insertion order (oldest first). */
export interface ObservedService {
  readonly service: Service;
  readonly destinations: readonly ObservedDestination[];
  readonly stats: TrafficStats | undefined;
}

/** All services of one network namespace, ours and others'. */
export interface ObservedTable {
  readonly services: ReadonlyMap<ServiceKey, ObservedService>;
}

/** What to do with a destination that is no longer wanted. */
export interface DrainPolicy {
  /** Longest time at weight 0 before it goes although connections remain, seconds; 0 = at once. */
  readonly timeoutSeconds: number;
  /** After the timeout: take it away, or wait for its connections for ever. */
  readonly whenExpired: "Remove" | "Wait";
}

/** A service we want, with its destinations in canonical order (see `compareDestinations`). */
export interface DesiredService {
  readonly service: Service;
  readonly destinations: readonly Destination[];
  readonly drain: DrainPolicy;
}

/** Everything we want in the kernel. Complete, or it must not exist. */
export interface DesiredTable {
  readonly services: ReadonlyMap<ServiceKey, DesiredService>;
}

/** Canonical text of an identity: `TCP 192.0.2.10:80`, `UDP [2001:db8::1]:53`, `IPv4 mark 7`. */
export type ServiceKey = string;
/** Canonical text of a destination's identity: `192.0.2.21:80`, `[2001:db8::21]:80`. */
export type DestinationKey = string;

/** The kernel's `net.ipv4.vs` timeouts that a command can set, seconds; undefined = leave as is. */
export interface ProtocolTimeouts {
  readonly tcpSeconds: number | undefined;
  readonly tcpFinSeconds: number | undefined;
  readonly udpSeconds: number | undefined;
}

/** A connection synchronisation thread set of the kernel. */
export interface SyncDaemon {
  readonly role: "master" | "backup";
  readonly interfaceName: string;
  /** 0..255; a backup with 0 accepts every id. */
  readonly syncId: number;
  readonly maxMessageBytes: number | undefined;
  readonly multicastGroup: string | undefined;
  readonly multicastPort: number | undefined;
  readonly multicastTtl: number | undefined;
}

/** Answer to GET_INFO. */
export interface IpvsInfo {
  /** For example `1.2.1`. */
  readonly version: string;
  /** Buckets; 0 on newer kernels while the namespace has no service. */
  readonly connectionTableSize: number;
}

/** @returns the one spelling of the identity that maps, journals and messages use */
export function serviceKey(identity: ServiceIdentity): ServiceKey {
  if (identity.kind === "mark") return `${identity.family} mark ${identity.mark}`;
  return `${identity.protocol} ${formatEndpoint(identity.address, identity.port)}`;
}

/** @returns the one spelling of the destination's identity */
export function destinationKey(destination: Pick<Destination, "address" | "port">): DestinationKey {
  return formatEndpoint(destination.address, destination.port);
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
