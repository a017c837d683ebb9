/** Whether two configurations mean the same to the kernel. Counters and list order do not count. */
import type { Destination, Persistence, ProtocolTimeouts, Service, Tunnel } from "./model.ts";
import { serviceKey } from "./model.ts";

/** Equal settings of services that are known to have the same identity. */
export function sameServiceSettings(a: Service, b: Service): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.onePacket === b.onePacket &&
    a.persistenceEngine === b.persistenceEngine &&
    a.schedulerFlags.fallback === b.schedulerFlags.fallback &&
    a.schedulerFlags.port === b.schedulerFlags.port &&
    a.schedulerFlags.third === b.schedulerFlags.third &&
    samePersistence(a.persistence, b.persistence)
  );
}

/** Equal identity and settings. */
export function sameService(a: Service, b: Service): boolean {
  return serviceKey(a.identity) === serviceKey(b.identity) && sameServiceSettings(a, b);
}

/** Equal identity, method, weight, thresholds and tunnel. */
export function sameDestination(a: Destination, b: Destination): boolean {
  return (
    a.port === b.port &&
    a.address === b.address &&
    a.weight === b.weight &&
    a.method === b.method &&
    a.upperThreshold === b.upperThreshold &&
    a.lowerThreshold === b.lowerThreshold &&
    sameTunnel(a.tunnel, b.tunnel)
  );
}

/** Whether the kernel already has every timeout that is wanted; undefined wants nothing. */
export function timeoutsHold(wanted: ProtocolTimeouts, actual: ProtocolTimeouts): boolean {
  const holds = (want: number | undefined, have: number | undefined): boolean =>
    want === undefined || want === have;
  return (
    holds(wanted.tcpSeconds, actual.tcpSeconds) &&
    holds(wanted.tcpFinSeconds, actual.tcpFinSeconds) &&
    holds(wanted.udpSeconds, actual.udpSeconds)
  );
}

function samePersistence(a: Persistence | undefined, b: Persistence | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.timeoutSeconds === b.timeoutSeconds && a.mask === b.mask;
}

function sameTunnel(a: Tunnel | undefined, b: Tunnel | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.type === b.type && a.port === b.port && a.checksum === b.checksum;
}
