/** Numbers of rtnetlink: uapi linux/rtnetlink.h, if_link.h, if_addr.h, if.h, ip.h. */
import type { HostOwner } from "./model.ts";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;

/** Notification groups. */
export const RTNLGRP_LINK = 1;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV6_IFADDR = 9;

export const AF_INET = 2;
export const AF_INET6 = 10;

/** struct ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32. */
export const IFINFOMSG_BYTES = 16;
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_NOARP = 0x80;
export const IFLA_INET_CONF = 1;
/** Names have at most 15 bytes and a NUL. */
export const IFNAMSIZ = 16;
export const ARPHRD_ETHER = 1;

/** struct ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32. */
export const IFADDRMSG_BYTES = 8;
export const IFA_F_NODAD = 0x2;
export const IFA_F_NOPREFIXROUTE = 0x200;

/** struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type: u8; flags: u32. */
export const RTMSG_BYTES = 12;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;

/**
 * Our values of IFA_PROTO, the address protocol that `ip -d addr` shows: `L` and `V`. The kernel
 * has kept it since 5.18 and uses 1 to 3 itself; older ones ignore it. One for each agent, because
 * neither may take away what the other has put there.
 */
export const ADDRESS_MARKS: Readonly<Record<HostOwner, number>> = {
  director: 0x4c,
  realserver: 0x56,
};

/** Number of an IPv4 interface setting inside IFLA_INET_CONF: IPV4_DEVCONF_*, counted from 1. */
export const IPV4_DEVCONF: ReadonlyMap<string, number> = new Map(
  [
    "forwarding",
    "mc_forwarding",
    "proxy_arp",
    "accept_redirects",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "rp_filter",
    "accept_source_route",
    "bootp_relay",
    "log_martians",
    "tag",
    "arp_filter",
    "medium_id",
    "disable_xfrm",
    "disable_policy",
    "force_igmp_version",
    "arp_announce",
    "arp_ignore",
    "promote_secondaries",
    "arp_accept",
    "arp_notify",
    "accept_local",
    "src_valid_mark",
    "proxy_arp_pvlan",
    "route_localnet",
    "igmpv2_unsolicited_report_interval",
    "igmpv3_unsolicited_report_interval",
    "ignore_routes_with_linkdown",
    "drop_unicast_in_l2_multicast",
    "drop_gratuitous_arp",
    "bc_forwarding",
    "arp_evict_nocarrier",
  ].map((name, index) => [name, index + 1]),
);
