/**
 * Numbers of the kernel's IPVS interface over generic netlink, under their kernel names so that a
 * search for one finds the header as well. Source: uapi linux/ip_vs.h; nothing that netlink carries
 * changed in it from kernel 5.10 to 7.3. What the attributes contain stands in `wire.ts`.
 */

/** Name under which the controller family (`nlctrl`) knows IPVS. */
export const IPVS_GENL_NAME = "IPVS";
/** Version byte of each request; the kernel does not check it. */
export const IPVS_GENL_VERSION = 1;

export const IPVS_CMD = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  NEW_DAEMON: 9,
  DEL_DAEMON: 10,
  GET_DAEMON: 11,
  SET_CONFIG: 12,
  GET_CONFIG: 13,
  /** Appears only as the command of the answer to GET_INFO. */
  SET_INFO: 14,
  GET_INFO: 15,
  ZERO: 16,
  /** Removes every service of the namespace, whoever owns it. Here only so that it has a name. */
  FLUSH: 17,
} as const;

/** Top level of every message except the answer to GET_INFO. */
export const IPVS_CMD_ATTR = {
  SERVICE: 1,
  DEST: 2,
  DAEMON: 3,
  TIMEOUT_TCP: 4,
  TIMEOUT_TCP_FIN: 5,
  TIMEOUT_UDP: 6,
} as const;

/** Top level of the answer to GET_INFO, which uses the numbers above again. */
export const IPVS_INFO_ATTR = { VERSION: 1, CONN_TAB_SIZE: 2 } as const;

export const IPVS_SVC_ATTR = {
  AF: 1,
  PROTOCOL: 2,
  ADDR: 3,
  PORT: 4,
  FWMARK: 5,
  SCHED_NAME: 6,
  FLAGS: 7,
  TIMEOUT: 8,
  NETMASK: 9,
  STATS: 10,
  PE_NAME: 11,
  STATS64: 12,
} as const;

export const IPVS_DEST_ATTR = {
  ADDR: 1,
  PORT: 2,
  FWD_METHOD: 3,
  WEIGHT: 4,
  U_THRESH: 5,
  L_THRESH: 6,
  ACTIVE_CONNS: 7,
  INACT_CONNS: 8,
  PERSIST_CONNS: 9,
  STATS: 10,
  ADDR_FAMILY: 11,
  STATS64: 12,
  TUN_TYPE: 13,
  TUN_PORT: 14,
  TUN_FLAGS: 15,
} as const;

export const IPVS_DAEMON_ATTR = {
  STATE: 1,
  MCAST_IFN: 2,
  SYNC_ID: 3,
  SYNC_MAXLEN: 4,
  MCAST_GROUP: 5,
  MCAST_GROUP6: 6,
  MCAST_PORT: 7,
  MCAST_TTL: 8,
} as const;

export const IPVS_STATS_ATTR = {
  CONNS: 1,
  INPKTS: 2,
  OUTPKTS: 3,
  INBYTES: 4,
  OUTBYTES: 5,
  CPS: 6,
  INPPS: 7,
  OUTPPS: 8,
  /** Bytes per second in spite of its name. */
  INBPS: 9,
  OUTBPS: 10,
  PAD: 11,
} as const;

/** Service flags. HASHED is the kernel's own and comes back on every service. */
export const IP_VS_SVC_F = {
  PERSISTENT: 0x1,
  HASHED: 0x2,
  ONEPACKET: 0x4,
  SCHED1: 0x8,
  SCHED2: 0x10,
  SCHED3: 0x20,
} as const;

/** Forwarding methods; the kernel masks what it is given with FWD_MASK. */
export const IP_VS_CONN_F = {
  FWD_MASK: 0x7,
  MASQ: 0,
  LOCALNODE: 1,
  TUNNEL: 2,
  DROUTE: 3,
  BYPASS: 4,
} as const;

export const IP_VS_TUNNEL_TYPE = { IPIP: 0, GUE: 1, GRE: 2 } as const;

export const IP_VS_TUNNEL_ENCAP_FLAG = { NOCSUM: 0, CSUM: 1, REMCSUM: 2 } as const;

/** States of a sync daemon. */
export const IP_VS_STATE = { MASTER: 1, BACKUP: 2 } as const;

/** Longest scheduler name, without the terminating zero (IP_VS_SCHEDNAME_MAXLEN - 1). */
export const MAX_SCHEDULER_NAME = 15;
/** Longest persistence engine name (IP_VS_PENAME_MAXLEN). */
export const MAX_ENGINE_NAME = 16;
/** Longest interface name (IP_VS_IFNAME_MAXLEN - 1). */
export const MAX_INTERFACE_NAME = 15;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const IPPROTO = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** The literal that stands for "no scheduler": all new connections are refused. */
export const NO_SCHEDULER = "none";
