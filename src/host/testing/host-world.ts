/**
 * A node in memory: links, addresses and sysctls as plain state, with the kernel's refusals. The
 * fake client and the property tests stand on it.
 */
import { HOST_PREFIX_LENGTH, ipFamily } from "../../lib/ip-address.ts";
import { KernelRejectedError } from "../../netlink/errors.ts";
import {
  type DesiredAddress,
  type DesiredLink,
  type HostOwner,
  type HostStep,
  type ObservedAddress,
  type ObservedHost,
  type ObservedLink,
  type SysctlId,
  type SysctlKey,
  type SysctlValue,
  sysctlId,
} from "../model.ts";

export interface HostWorldOptions {
  readonly links: readonly ObservedLink[];
  readonly addresses?: readonly ObservedAddress[];
  /** Every setting that exists, by id; those of interfaces too. */
  readonly sysctls: Readonly<Record<SysctlId, SysctlValue>>;
  /** Settings that a new device gets, by name. */
  readonly newDeviceSettings?: Readonly<Record<string, SysctlValue>>;
  /** Whether the kernel keeps address marks (5.18 and newer). */
  readonly marks?: boolean;
}

/** Everything of a world that can be compared. */
export interface HostWorldState {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly sysctls: Readonly<Record<SysctlId, SysctlValue>>;
}

export class HostWorld {
  readonly #links = new Map<string, ObservedLink>();
  readonly #sysctls: Map<SysctlId, SysctlValue>;
  readonly #newDeviceSettings: Readonly<Record<string, SysctlValue>>;
  readonly #marks: boolean;
  #addresses: ObservedAddress[];
  #nextIndex = 100;

  constructor(options: HostWorldOptions) {
    for (const link of options.links) this.#links.set(link.name, link);
    this.#addresses = [...(options.addresses ?? [])];
    this.#sysctls = new Map(Object.entries(options.sysctls));
    this.#newDeviceSettings = options.newDeviceSettings ?? {};
    this.#marks = options.marks ?? true;
  }

  observe(keys: readonly SysctlKey[]): ObservedHost {
    return {
      links: [...this.#links.values()],
      addresses: [...this.#addresses],
      sysctls: new Map(keys.map((key) => [sysctlId(key), this.#sysctls.get(sysctlId(key))])),
      addressMarks: this.#marks,
    };
  }

  /** The whole state in a form that `toEqual` compares, in no particular order of events. */
  state(): HostWorldState {
    const links = [...this.#links.values()].map((l) => `${l.name} ${l.up ? "up" : "down"}`);
    const addresses = this.#addresses.map(
      (a) => `${a.address}/${a.prefixLength} ${a.interfaceName} ${a.markedBy ?? "-"}`,
    );
    return {
      links: links.sort(),
      addresses: addresses.sort(),
      sysctls: Object.fromEntries([...this.#sysctls].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }

  setSysctl(key: SysctlKey, value: SysctlValue): void {
    const id = sysctlId(key);
    if (!this.#sysctls.has(id)) {
      const device = key.kind === "conf" && key.interfaceName !== "all";
      throw refused(`set ${id}`, device ? "ENODEV" : "ENOENT");
    }
    this.#sysctls.set(id, value);
  }

  bringLinkUp({ name, kind }: DesiredLink): void {
    const link = this.#links.get(name);
    if (link !== undefined) {
      this.#links.set(name, { ...link, up: true });
      return;
    }
    if (kind === undefined) throw refused(`bring ${name} up`, "ENODEV");
    this.#create(name, kind);
  }

  takeLinkDown(name: string, remove: boolean): void {
    const link = this.#links.get(name);
    if (link === undefined) throw refused(`take ${name} down`, "ENODEV");
    // The kernel drops the IPv6 addresses of a device that goes down, and keeps the IPv4 ones.
    this.#addresses = this.#addresses.filter(
      (a) => a.interfaceName !== name || (!remove && a.family === "IPv4"),
    );
    if (remove) this.#remove(name);
    else this.#links.set(name, { ...link, up: false });
  }

  addAddress({ address, interfaceName }: DesiredAddress, owner: HostOwner): void {
    const family = ipFamily(address);
    const mark = this.#marks ? { ours: true, markedBy: owner } : { ours: false };
    const prefixLength = HOST_PREFIX_LENGTH[family];
    this.addForeign({ address, family, interfaceName, prefixLength, ...mark });
  }

  removeAddress(address: ObservedAddress): void {
    if (!this.#links.has(address.interfaceName)) throw refused("remove address", "ENODEV");
    const kept = this.#addresses.filter((a) => !samePlace(a, address));
    if (kept.length === this.#addresses.length) throw refused("remove address", "EADDRNOTAVAIL");
    this.#addresses = kept;
  }

  /** As the kernel does it for anybody. */
  addForeign(address: ObservedAddress): void {
    const { interfaceName } = address;
    if (!this.#links.has(interfaceName)) throw refused("add address", "ENODEV");
    // An IPv6 address exists once on a device, whatever its prefix length.
    const there = (a: ObservedAddress): boolean =>
      a.address === address.address &&
      a.interfaceName === interfaceName &&
      (a.family === "IPv6" || a.prefixLength === address.prefixLength);
    if (this.#addresses.some(there)) throw refused("add address", "EEXIST");
    this.#addresses.push(address);
  }

  execute(step: HostStep): void {
    switch (step.op) {
      case "set-sysctl":
      case "restore-sysctl":
        return this.setSysctl(step.key, step.value);
      case "link-up":
        return this.bringLinkUp(step.link);
      case "link-down":
        return this.takeLinkDown(step.name, step.remove);
      case "add-address":
        return this.addAddress(step.address, step.owner);
      case "remove-address":
        return this.removeAddress(step.address);
    }
  }

  #create(name: string, kind: string): void {
    this.#nextIndex += 1;
    this.#links.set(name, {
      index: this.#nextIndex,
      name,
      up: true,
      mtu: 1480,
      macAddress: undefined,
      loopback: false,
      kind,
      noArp: true,
    });
    for (const [setting, value] of Object.entries(this.#newDeviceSettings)) {
      this.#sysctls.set(`conf/${name}/${setting}`, value);
    }
  }

  #remove(name: string): void {
    this.#links.delete(name);
    for (const id of this.#sysctls.keys()) {
      if (id.startsWith(`conf/${name}/`)) this.#sysctls.delete(id);
    }
  }
}

function samePlace(a: ObservedAddress, b: ObservedAddress): boolean {
  return (
    a.address === b.address &&
    a.interfaceName === b.interfaceName &&
    a.prefixLength === b.prefixLength
  );
}

function refused(command: string, errno: string): KernelRejectedError {
  return new KernelRejectedError(command, errno, "");
}
