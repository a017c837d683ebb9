/**
 * What a node must look like around IPVS: addresses, links and sysctls. The same shape as the IPVS
 * model: desired and observed state are data, `plan.ts` compares, `apply.ts` executes.
 */
import type { IpFamily } from "../lib/ip-address.ts";

/** A VIP on an interface, always a single host (/32 or /128) and marked as ours. */
export interface DesiredAddress {
  readonly address: string;
  readonly family: IpFamily;
  /** Interface name: the LAN side on a director, `lo` or `tunl0` on a real server. */
  readonly interfaceName: string;
  /**
   * Director: ask the network first whether somebody else has the address, and announce it after
   * (gratuitous ARP, unsolicited neighbour advertisement). Real servers must stay silent.
   */
  readonly exclusive: boolean;
}

/**
 * A kernel setting, by the place it lives.
 * `vs`: net.ipv4.vs.NAME of the network namespace. `ipv4`: net.ipv4.NAME (`ip_forward`).
 * `conf`: net.ipv4.conf.INTERFACE.NAME, written by rtnetlink where possible.
 * A name of kind `ipv4` or `ipv6` may be a path below that directory (`conf/all/forwarding`).
 */
export type SysctlKey =
  | { readonly kind: "vs" | "ipv4" | "ipv6"; readonly name: string }
  | { readonly kind: "conf"; readonly interfaceName: string; readonly name: string };

/**
 * A setting as the kernel prints it: one number, or several as text with single spaces between
 * them (`sync_threshold` is `"3 50"`). One number is never text, so `===` compares values.
 */
export type SysctlValue = number | string;

export interface DesiredSysctl {
  readonly key: SysctlKey;
  readonly value: SysctlValue;
  /** A missing file is normal (the kernel is older or newer): skip it silently. */
  readonly optional: boolean;
}

/** A device that must exist and be up (`tunl0`). Ours to bring down again only if we brought it up. */
export interface DesiredLink {
  readonly name: string;
  /** Kind to create when it is missing; undefined = it must exist. */
  readonly kind: "ipip" | "ip6tnl" | "sit" | "gre" | undefined;
}

/** Everything around IPVS that a node needs. */
export interface DesiredHost {
  readonly addresses: readonly DesiredAddress[];
  readonly sysctls: readonly DesiredSysctl[];
  readonly links: readonly DesiredLink[];
}

/** A network interface as rtnetlink reports it. */
export interface ObservedLink {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Link-layer address, `aa:bb:cc:dd:ee:ff`; undefined for devices without one. */
  readonly macAddress: string | undefined;
  readonly loopback: boolean;
  /** `bridge`, `veth`, `ipip`…; undefined for plain devices. */
  readonly kind: string | undefined;
  /** Speaks neither ARP nor neighbour discovery (IFF_NOARP): tunnels, dummies. */
  readonly noArp?: boolean;
}

export interface ObservedAddress {
  readonly address: string;
  readonly family: IpFamily;
  readonly prefixLength: number;
  readonly interfaceName: string;
  /** Carries our IFA_PROTO mark (kernel 5.18 and newer). */
  readonly ours: boolean;
  /** Whose mark it is; the two agents of a node never take each other's addresses away. */
  readonly markedBy?: HostOwner | undefined;
}

/** Who changed something on a node: the two agents may run side by side. */
export type HostOwner = "director" | "realserver";

/** Both of them, in the order in which a clean-up goes. */
export const HOST_OWNERS: readonly HostOwner[] = ["director", "realserver"];

export interface ObservedHost {
  readonly links: readonly ObservedLink[];
  readonly addresses: readonly ObservedAddress[];
  /** Current value of each sysctl that was asked for; undefined = no such setting here. */
  readonly sysctls: ReadonlyMap<SysctlId, SysctlValue | undefined>;
  /** The kernel keeps address marks, so an address without one is not ours. Undefined = false. */
  readonly addressMarks?: boolean;
}

/** Canonical text of a sysctl key: `vs/conntrack`, `ipv4/ip_forward`, `conf/eth0/arp_ignore`. */
export type SysctlId = string;

export function sysctlId(key: SysctlKey): SysctlId {
  return key.kind === "conf" ? `conf/${key.interfaceName}/${key.name}` : `${key.kind}/${key.name}`;
}

/** How the node's own routing would reach an address. */
export interface RouteFact {
  /** The address belongs to this node. */
  readonly local: boolean;
  /** Reached without a gateway. */
  readonly onLink: boolean;
  readonly interfaceName: string | undefined;
}

/** One step of a host plan. */
export type HostStep =
  | {
      readonly op: "set-sysctl" | "restore-sysctl";
      readonly key: SysctlKey;
      readonly value: SysctlValue;
    }
  | { readonly op: "link-up"; readonly link: DesiredLink }
  | { readonly op: "link-down"; readonly name: string; readonly remove: boolean }
  | { readonly op: "add-address"; readonly address: DesiredAddress; readonly owner: HostOwner }
  | { readonly op: "remove-address"; readonly address: ObservedAddress };
