/**
 * The attributes of every IPVS message, as tables that serve both directions. Sizes and byte orders
 * are those of the kernel's policies (net/netfilter/ipvs/ip_vs_ctl.c); numbers stand in `uapi.ts`.
 * The parser is the old liberal one: unknown attributes are skipped and the nested flag may be
 * missing, which it always is in the kernel's answers.
 */
import { attributeSet, nested, nestedPartial, optional, required } from "../netlink/attributes.ts";
import type { AttributesOf } from "../netlink/attributes.ts";
import {
  cString,
  flagsWithMask,
  i32,
  inetAddress,
  rawBytes,
  u16,
  u16be,
  u32,
  u64,
  u8,
} from "../netlink/codecs.ts";
import {
  IPVS_CMD_ATTR,
  IPVS_DAEMON_ATTR,
  IPVS_DEST_ATTR,
  IPVS_INFO_ATTR,
  IPVS_STATS_ATTR,
  IPVS_SVC_ATTR,
  MAX_ENGINE_NAME,
  MAX_INTERFACE_NAME,
  MAX_SCHEDULER_NAME,
} from "./uapi.ts";

/** 32-bit counters, which wrap; only the byte counts are wide. */
export const STATS_ATTRS = attributeSet("IPVS_STATS_ATTR", {
  CONNS: required(IPVS_STATS_ATTR.CONNS, u32),
  INPKTS: required(IPVS_STATS_ATTR.INPKTS, u32),
  OUTPKTS: required(IPVS_STATS_ATTR.OUTPKTS, u32),
  INBYTES: required(IPVS_STATS_ATTR.INBYTES, u64),
  OUTBYTES: required(IPVS_STATS_ATTR.OUTBYTES, u64),
  CPS: required(IPVS_STATS_ATTR.CPS, u32),
  INPPS: required(IPVS_STATS_ATTR.INPPS, u32),
  OUTPPS: required(IPVS_STATS_ATTR.OUTPPS, u32),
  INBPS: required(IPVS_STATS_ATTR.INBPS, u32),
  OUTBPS: required(IPVS_STATS_ATTR.OUTBPS, u32),
});
export type StatsAttrs = AttributesOf<typeof STATS_ATTRS>;

/** 64-bit counters, kernel 4.1 and newer. */
export const STATS64_ATTRS = attributeSet("IPVS_STATS_ATTR", {
  CONNS: required(IPVS_STATS_ATTR.CONNS, u64),
  INPKTS: required(IPVS_STATS_ATTR.INPKTS, u64),
  OUTPKTS: required(IPVS_STATS_ATTR.OUTPKTS, u64),
  INBYTES: required(IPVS_STATS_ATTR.INBYTES, u64),
  OUTBYTES: required(IPVS_STATS_ATTR.OUTBYTES, u64),
  CPS: required(IPVS_STATS_ATTR.CPS, u64),
  INPPS: required(IPVS_STATS_ATTR.INPPS, u64),
  OUTPPS: required(IPVS_STATS_ATTR.OUTPPS, u64),
  INBPS: required(IPVS_STATS_ATTR.INBPS, u64),
  OUTBPS: required(IPVS_STATS_ATTR.OUTBPS, u64),
});
export type Stats64Attrs = AttributesOf<typeof STATS64_ATTRS>;

const SERVICE_FIELDS = {
  AF: required(IPVS_SVC_ATTR.AF, u16),
  PROTOCOL: optional(IPVS_SVC_ATTR.PROTOCOL, u16),
  /** IPv4 in the first four bytes; the kernel always answers sixteen. */
  ADDR: optional(IPVS_SVC_ATTR.ADDR, inetAddress),
  PORT: optional(IPVS_SVC_ATTR.PORT, u16be),
  /** When present, protocol, address and port do not count. */
  FWMARK: optional(IPVS_SVC_ATTR.FWMARK, u32),
  SCHED_NAME: required(IPVS_SVC_ATTR.SCHED_NAME, cString(MAX_SCHEDULER_NAME + 1)),
  FLAGS: required(IPVS_SVC_ATTR.FLAGS, flagsWithMask),
  /** Persistence, seconds. */
  TIMEOUT: required(IPVS_SVC_ATTR.TIMEOUT, u32),
  /** IPv4: the mask, network order. IPv6: the prefix length, host order. */
  NETMASK: required(IPVS_SVC_ATTR.NETMASK, rawBytes(4)),
  /** An update without it removes the engine. */
  PE_NAME: optional(IPVS_SVC_ATTR.PE_NAME, cString(MAX_ENGINE_NAME + 1)),
};

/** A service without its counters: what a request carries, and a quick way to read an answer. */
export const SERVICE_CONFIG_ATTRS = attributeSet("IPVS_SVC_ATTR", SERVICE_FIELDS);
export type ServiceConfigAttrs = AttributesOf<typeof SERVICE_CONFIG_ATTRS>;

/** A service as the kernel answers it. */
export const SERVICE_ATTRS = attributeSet("IPVS_SVC_ATTR", {
  ...SERVICE_FIELDS,
  STATS: optional(IPVS_SVC_ATTR.STATS, nested(STATS_ATTRS)),
  STATS64: optional(IPVS_SVC_ATTR.STATS64, nested(STATS64_ATTRS)),
});
export type ServiceAttrs = AttributesOf<typeof SERVICE_ATTRS>;

const DEST_FIELDS = {
  ADDR: required(IPVS_DEST_ATTR.ADDR, inetAddress),
  PORT: required(IPVS_DEST_ATTR.PORT, u16be),
  FWD_METHOD: required(IPVS_DEST_ATTR.FWD_METHOD, u32),
  /** Signed in the kernel, which refuses negative ones. */
  WEIGHT: required(IPVS_DEST_ATTR.WEIGHT, i32),
  U_THRESH: required(IPVS_DEST_ATTR.U_THRESH, u32),
  L_THRESH: required(IPVS_DEST_ATTR.L_THRESH, u32),
  ACTIVE_CONNS: optional(IPVS_DEST_ATTR.ACTIVE_CONNS, u32),
  INACT_CONNS: optional(IPVS_DEST_ATTR.INACT_CONNS, u32),
  PERSIST_CONNS: optional(IPVS_DEST_ATTR.PERSIST_CONNS, u32),
  /** Absent: the service's. A deletion needs it too where the families differ. */
  ADDR_FAMILY: optional(IPVS_DEST_ATTR.ADDR_FAMILY, u16),
  TUN_TYPE: optional(IPVS_DEST_ATTR.TUN_TYPE, u8),
  TUN_PORT: optional(IPVS_DEST_ATTR.TUN_PORT, u16be),
  TUN_FLAGS: optional(IPVS_DEST_ATTR.TUN_FLAGS, u16),
};

/** A destination without its counters. */
export const DEST_CONFIG_ATTRS = attributeSet("IPVS_DEST_ATTR", DEST_FIELDS);
export type DestConfigAttrs = AttributesOf<typeof DEST_CONFIG_ATTRS>;

/** A destination as the kernel answers it. */
export const DEST_ATTRS = attributeSet("IPVS_DEST_ATTR", {
  ...DEST_FIELDS,
  STATS: optional(IPVS_DEST_ATTR.STATS, nested(STATS_ATTRS)),
  STATS64: optional(IPVS_DEST_ATTR.STATS64, nested(STATS64_ATTRS)),
});
export type DestAttrs = AttributesOf<typeof DEST_ATTRS>;

export const DAEMON_ATTRS = attributeSet("IPVS_DAEMON_ATTR", {
  STATE: required(IPVS_DAEMON_ATTR.STATE, u32),
  MCAST_IFN: required(IPVS_DAEMON_ATTR.MCAST_IFN, cString(MAX_INTERFACE_NAME + 1)),
  /** Travels as one byte. */
  SYNC_ID: required(IPVS_DAEMON_ATTR.SYNC_ID, u32),
  SYNC_MAXLEN: optional(IPVS_DAEMON_ATTR.SYNC_MAXLEN, u16),
  /** Four bytes, network order. */
  MCAST_GROUP: optional(IPVS_DAEMON_ATTR.MCAST_GROUP, rawBytes(4)),
  MCAST_GROUP6: optional(IPVS_DAEMON_ATTR.MCAST_GROUP6, rawBytes(16)),
  /** Host order, alone among the ports of this interface. */
  MCAST_PORT: optional(IPVS_DAEMON_ATTR.MCAST_PORT, u16),
  MCAST_TTL: optional(IPVS_DAEMON_ATTR.MCAST_TTL, u8),
});
export type DaemonAttrs = AttributesOf<typeof DAEMON_ATTRS>;

const TIMEOUT_FIELDS = {
  /** Seconds; a request leaves out what stays as it is. */
  TIMEOUT_TCP: optional(IPVS_CMD_ATTR.TIMEOUT_TCP, u32),
  TIMEOUT_TCP_FIN: optional(IPVS_CMD_ATTR.TIMEOUT_TCP_FIN, u32),
  TIMEOUT_UDP: optional(IPVS_CMD_ATTR.TIMEOUT_UDP, u32),
};

/** Messages that carry one whole object: answers, and requests that create or update it. */
export const SERVICE_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  SERVICE: required(IPVS_CMD_ATTR.SERVICE, nested(SERVICE_ATTRS)),
});
export const SERVICE_CONFIG_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  SERVICE: required(IPVS_CMD_ATTR.SERVICE, nested(SERVICE_CONFIG_ATTRS)),
});
export const DEST_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  DEST: required(IPVS_CMD_ATTR.DEST, nested(DEST_ATTRS)),
});
export const DEST_CONFIG_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  DEST: required(IPVS_CMD_ATTR.DEST, nested(DEST_CONFIG_ATTRS)),
});
export const DAEMON_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  DAEMON: required(IPVS_CMD_ATTR.DAEMON, nested(DAEMON_ATTRS)),
});
export const CONFIG_MESSAGE = attributeSet("IPVS_CMD_ATTR", TIMEOUT_FIELDS);
export const INFO_MESSAGE = attributeSet("IPVS_INFO_ATTR", {
  VERSION: required(IPVS_INFO_ATTR.VERSION, u32),
  CONN_TAB_SIZE: required(IPVS_INFO_ATTR.CONN_TAB_SIZE, u32),
});

/** Any request: identities are parts of the objects above. */
export const REQUEST_MESSAGE = attributeSet("IPVS_CMD_ATTR", {
  SERVICE: optional(IPVS_CMD_ATTR.SERVICE, nestedPartial(SERVICE_CONFIG_ATTRS)),
  DEST: optional(IPVS_CMD_ATTR.DEST, nestedPartial(DEST_CONFIG_ATTRS)),
  DAEMON: optional(IPVS_CMD_ATTR.DAEMON, nestedPartial(DAEMON_ATTRS)),
  ...TIMEOUT_FIELDS,
});
export type RequestAttrs = AttributesOf<typeof REQUEST_MESSAGE>;
