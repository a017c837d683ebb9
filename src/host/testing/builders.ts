/** Short ways to say what a test is about; everything else has a default. */
import { HOST_PREFIX_LENGTH, ipFamily } from "../../lib/ip-address.ts";
import { EMPTY_JOURNAL } from "../journal.ts";
import type {
  DesiredAddress,
  DesiredHost,
  DesiredSysctl,
  ObservedAddress,
  ObservedHost,
  ObservedLink,
  SysctlKey,
  SysctlValue,
} from "../model.ts";
import type { HostPlanInput } from "../plan.ts";

/** `aLink("eth0")`: up, with a MAC address made of its index. */
export function aLink(name: string, overrides: Partial<ObservedLink> = {}): ObservedLink {
  const index = overrides.index ?? (name === "lo" ? 1 : 2);
  return {
    index,
    name,
    up: true,
    mtu: 1500,
    macAddress: name === "lo" ? undefined : `02:00:00:00:00:0${index}`,
    loopback: name === "lo",
    kind: undefined,
    noArp: false,
    ...overrides,
  };
}

/** `aVip("192.0.2.1", "lo")`; exclusive unless on lo. */
export function aVip(
  address: string,
  interfaceName: string,
  overrides: Partial<DesiredAddress> = {},
): DesiredAddress {
  const exclusive = interfaceName !== "lo";
  return { address, family: ipFamily(address), interfaceName, exclusive, ...overrides };
}

/** An address as observed: foreign, single host. */
export function anAddress(
  address: string,
  interfaceName: string,
  overrides: Partial<ObservedAddress> = {},
): ObservedAddress {
  const family = ipFamily(address);
  const prefixLength = HOST_PREFIX_LENGTH[family];
  return { address, family, prefixLength, interfaceName, ours: false, ...overrides };
}

/** Reads `conf/eth0/arp_ignore`, `vs/conntrack`, `ipv4/ip_forward`. */
export function aKey(id: string): SysctlKey {
  const [kind = "", ...path] = id.split("/");
  if (kind === "conf") return { kind, interfaceName: path[0] ?? "", name: path[1] ?? "" };
  if (kind === "vs" || kind === "ipv4" || kind === "ipv6") return { kind, name: path.join("/") };
  throw new Error(`${id} is not a sysctl id`);
}

/** `aSysctl("vs/conntrack", 1)`: required. */
export function aSysctl(id: string, value: SysctlValue, optional = false): DesiredSysctl {
  return { key: aKey(id), value, optional };
}

export function aHost(overrides: Partial<DesiredHost> = {}): DesiredHost {
  return { addresses: [], sysctls: [], links: [], ...overrides };
}

export function anObservation(
  overrides: Partial<Omit<ObservedHost, "sysctls">> & {
    readonly sysctls?: Readonly<Record<string, SysctlValue>>;
  } = {},
): ObservedHost {
  return {
    links: [aLink("lo"), aLink("eth0")],
    addresses: [],
    addressMarks: true,
    ...overrides,
    sysctls: new Map(Object.entries(overrides.sysctls ?? {})),
  };
}

export function aPlanInput(overrides: Partial<HostPlanInput> = {}): HostPlanInput {
  return {
    owner: "realserver",
    desired: aHost(),
    observed: anObservation(),
    journal: EMPTY_JOURNAL,
    ...overrides,
  };
}
