/**
 * Services and counters between the model and their attributes. What the kernel adds or leaves
 * open is brought to one form here, so that equal services compare equal: the HASHED flag is
 * dropped, timeout and netmask count only with persistence, an empty engine name is none.
 */
import { HOST_LITTLE_ENDIAN, viewOf } from "../netlink/byte-order.ts";
import { WireFormatError } from "../netlink/errors.ts";
import type {
  Persistence,
  Protocol,
  Service,
  ServiceIdentity,
  SchedulerFlags,
  TrafficStats,
} from "./model.ts";
import { IPPROTO, IP_VS_SVC_F } from "./uapi.ts";
import type { RequestAttrs, ServiceConfigAttrs, Stats64Attrs, StatsAttrs } from "./wire.ts";
import { addressBytes, addressText, familyName, familyNumber } from "./wire-address.ts";

/** Part of a service that names it. */
export type ServiceIdentityAttrs = NonNullable<RequestAttrs["SERVICE"]>;

const PROTOCOLS: ReadonlyMap<number, Protocol> = new Map([
  [IPPROTO.TCP, "TCP"],
  [IPPROTO.UDP, "UDP"],
  [IPPROTO.SCTP, "SCTP"],
]);

// Made once: most services have no persistence, and a view for each costs as much as the rest.
const IPV4_HOST_MASK = u32Bytes(0xffffffff, false);
const IPV6_HOST_PREFIX = hostU32Bytes(128);
/** The mask that makes a flag word say everything. */
export const ALL_FLAGS = 0xffffffff;

/** @throws IpSyntaxError when the address is not canonical */
export function identityToAttrs(identity: ServiceIdentity): ServiceIdentityAttrs {
  assertNamesService(identity);
  const AF = familyNumber(identity.family);
  if (identity.kind === "mark") return { AF, FWMARK: identity.mark };
  return {
    AF,
    PROTOCOL: IPPROTO[identity.protocol],
    ADDR: addressBytes(identity.address),
    PORT: identity.port,
  };
}

/**
 * @returns undefined for a protocol that IPVS never schedules: such a service takes no packets, is
 *   never ours, and has no identity in the model
 * @throws WireFormatError
 */
export function identityFromAttrs(attrs: ServiceIdentityAttrs): ServiceIdentity | undefined {
  const family = familyName(present(attrs.AF, "IPVS_SVC_ATTR_AF"), "IPVS_SVC_ATTR_AF");
  if (attrs.FWMARK !== undefined && attrs.FWMARK !== 0) {
    return { kind: "mark", family, mark: attrs.FWMARK };
  }
  const protocol = PROTOCOLS.get(present(attrs.PROTOCOL, "IPVS_SVC_ATTR_PROTOCOL"));
  const bytes = present(attrs.ADDR, "IPVS_SVC_ATTR_ADDR");
  const address = addressText(family, bytes, "IPVS_SVC_ATTR_ADDR");
  const port = present(attrs.PORT, "IPVS_SVC_ATTR_PORT");
  return protocol && { kind: "address", family, protocol, address, port };
}

/** @throws RangeError for mark 0, of which the kernel would make TCP 0.0.0.0:0 */
export function assertNamesService(identity: ServiceIdentity): void {
  if (identity.kind === "mark" && identity.mark === 0) {
    throw new RangeError("firewall mark 0 names no service");
  }
}

/** All of a create or an update, which replaces everything. */
export function serviceToAttrs(service: Service): ServiceConfigAttrs {
  const { identity, persistence, persistenceEngine } = service;
  return {
    ...identityToAttrs(identity),
    AF: familyNumber(identity.family),
    SCHED_NAME: service.scheduler,
    FLAGS: { flags: flagBits(service), mask: ALL_FLAGS },
    TIMEOUT: persistence?.timeoutSeconds ?? 0,
    NETMASK: maskBytes(identity, persistence),
    PE_NAME: persistenceEngine,
  };
}

/** @returns undefined as `identityFromAttrs` @throws WireFormatError */
export function serviceFromAttrs(attrs: ServiceConfigAttrs): Service | undefined {
  const identity = identityFromAttrs(attrs);
  if (identity === undefined) return undefined;
  const { flags } = attrs.FLAGS;
  const mask = maskFromBytes(identity, attrs.NETMASK);
  return {
    identity,
    scheduler: attrs.SCHED_NAME,
    schedulerFlags: schedulerFlags(flags),
    persistence: isSet(flags, IP_VS_SVC_F.PERSISTENT)
      ? { timeoutSeconds: attrs.TIMEOUT, mask }
      : undefined,
    onePacket: isSet(flags, IP_VS_SVC_F.ONEPACKET),
    persistenceEngine: attrs.PE_NAME === "" ? undefined : attrs.PE_NAME,
  };
}

/** The wide counters where the kernel has them, else the narrow ones. */
export function statsFromAttrs(
  wide: Stats64Attrs | undefined,
  narrow: StatsAttrs | undefined,
): TrafficStats | undefined {
  const stats = wide ?? narrow;
  if (stats === undefined) return undefined;
  return {
    connections: BigInt(stats.CONNS),
    inPackets: BigInt(stats.INPKTS),
    outPackets: BigInt(stats.OUTPKTS),
    inBytes: stats.INBYTES,
    outBytes: stats.OUTBYTES,
    connectionsPerSecond: BigInt(stats.CPS),
    inPacketsPerSecond: BigInt(stats.INPPS),
    outPacketsPerSecond: BigInt(stats.OUTPPS),
    inBytesPerSecond: BigInt(stats.INBPS),
    outBytesPerSecond: BigInt(stats.OUTBPS),
  };
}

/** The kernel's flag word of a service. */
export function flagBits({ persistence, onePacket, schedulerFlags: flags }: Service): number {
  return (
    (persistence === undefined ? 0 : IP_VS_SVC_F.PERSISTENT) |
    (onePacket ? IP_VS_SVC_F.ONEPACKET : 0) |
    (flags.fallback ? IP_VS_SVC_F.SCHED1 : 0) |
    (flags.port ? IP_VS_SVC_F.SCHED2 : 0) |
    (flags.third ? IP_VS_SVC_F.SCHED3 : 0)
  );
}

function schedulerFlags(flags: number): SchedulerFlags {
  return {
    fallback: isSet(flags, IP_VS_SVC_F.SCHED1),
    port: isSet(flags, IP_VS_SVC_F.SCHED2),
    third: isSet(flags, IP_VS_SVC_F.SCHED3),
  };
}

function isSet(flags: number, bit: number): boolean {
  return (flags & bit) !== 0;
}

/** NETMASK: the kernel wants a valid one also without persistence. */
export function maskBytes(
  { family }: ServiceIdentity,
  persistence: Persistence | undefined,
): Uint8Array {
  if (persistence === undefined) return family === "IPv4" ? IPV4_HOST_MASK : IPV6_HOST_PREFIX;
  return family === "IPv4" ? u32Bytes(persistence.mask, false) : hostU32Bytes(persistence.mask);
}

function hostU32Bytes(value: number): Uint8Array {
  return u32Bytes(value, HOST_LITTLE_ENDIAN);
}

function u32Bytes(value: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, littleEndian);
  return bytes;
}

function maskFromBytes(identity: ServiceIdentity, bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(0, identity.family === "IPv4" ? false : HOST_LITTLE_ENDIAN);
}

function present<T>(value: T | undefined, attribute: string): T {
  if (value === undefined) throw new WireFormatError(attribute, "missing");
  return value;
}
