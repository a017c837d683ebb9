/** Reads a node's links, addresses and settings: one dump of each kind, and the files. */
import type { NetlinkConnection } from "../netlink/connection.ts";
import { decodeAddress } from "./address-wire.ts";
import {
  type ObservedAddress,
  type ObservedHost,
  type SysctlId,
  type SysctlKey,
  type SysctlValue,
  sysctlId,
} from "./model.ts";
import type { SysctlFiles } from "./sysctl-files.ts";
import {
  IFADDRMSG_BYTES,
  IFINFOMSG_BYTES,
  IPV4_DEVCONF,
  RTM_GETADDR,
  RTM_GETLINK,
} from "./uapi.ts";
import { type WireLink, decodeLink } from "./wire.ts";

/** The first kernel that keeps IFA_PROTO: 5.18. */
const MARKS_SINCE = { major: 5, minor: 18 };

export interface KernelReaderOptions {
  /** Carries dumps and nothing else. */
  readonly dumps: NetlinkConnection;
  readonly files: SysctlFiles;
  readonly kernelRelease: string;
}

export class KernelReader {
  readonly #options: KernelReaderOptions;
  readonly #marks: boolean;

  constructor(options: KernelReaderOptions) {
    this.#options = options;
    this.#marks = keepsAddressMarks(options.kernelRelease);
  }

  /** @throws as HostClient.observe */
  async observe(keys: readonly SysctlKey[], signal: AbortSignal): Promise<ObservedHost> {
    const links = await this.links(signal);
    const { addresses, anyProtocol } = await this.#addresses(links, signal);
    const values = await Promise.all(keys.map((key) => this.#setting(key, links)));
    const sysctls = new Map<SysctlId, SysctlValue | undefined>();
    for (const [index, key] of keys.entries()) sysctls.set(sysctlId(key), values[index]);
    return {
      links: links.map(({ link }) => link),
      addresses,
      sysctls,
      addressMarks: this.#marks || anyProtocol,
    };
  }

  links(signal: AbortSignal): Promise<readonly WireLink[]> {
    return this.#options.dumps.dump(
      { name: "list links", type: RTM_GETLINK, write: (w) => w.zeros(IFINFOMSG_BYTES) },
      ({ payload }) => decodeLink(payload),
      signal,
    );
  }

  async #addresses(
    links: readonly WireLink[],
    signal: AbortSignal,
  ): Promise<{ addresses: readonly ObservedAddress[]; anyProtocol: boolean }> {
    const names = new Map(links.map(({ link }) => [link.index, link.name]));
    const found = await this.#options.dumps.dump(
      { name: "list addresses", type: RTM_GETADDR, write: (w) => w.zeros(IFADDRMSG_BYTES) },
      ({ payload }) => decodeAddress(payload),
      signal,
    );
    const addresses = new Map<string, ObservedAddress>();
    for (const wire of found) {
      const interfaceName = wire === undefined ? undefined : names.get(wire.interfaceIndex);
      // A device that came after the list of links: the next look sees it.
      if (wire === undefined || interfaceName === undefined) continue;
      const { address, prefixLength } = wire.address;
      // A dump that was going on while the list changed may name one twice.
      const key = `${address}/${prefixLength} ${interfaceName}`;
      addresses.set(key, { ...wire.address, interfaceName });
    }
    const anyProtocol = found.some((wire) => wire?.hasProtocol === true);
    return { addresses: [...addresses.values()], anyProtocol };
  }

  #setting(key: SysctlKey, links: readonly WireLink[]): Promise<SysctlValue | undefined> {
    const setting = deviceSetting(key);
    if (setting === undefined) return this.#options.files.read(key);
    // From the namespace that a write would go to, and without a file for each device.
    const wire = links.find(({ link }) => link.name === setting.interfaceName);
    return Promise.resolve(wire?.settings.get(key.name));
  }
}

/** A setting of one IPv4 interface by the number that rtnetlink has for it. */
export interface DeviceSetting {
  readonly interfaceName: string;
  readonly setting: number;
}

/** Settings of single IPv4 interfaces, which rtnetlink knows; `all` and `default` it does not. */
export function deviceSetting(key: SysctlKey): DeviceSetting | undefined {
  if (key.kind !== "conf" || ["all", "default"].includes(key.interfaceName)) return undefined;
  const setting = IPV4_DEVCONF.get(key.name);
  return setting === undefined ? undefined : { interfaceName: key.interfaceName, setting };
}

/**
 * Whether a kernel of this release keeps address marks. Distributions that brought them to older
 * kernels are told by the addresses themselves: the kernel marks some of its own.
 */
export function keepsAddressMarks(kernelRelease: string): boolean {
  const [major = 0, minor = 0] = kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  return major > MARKS_SINCE.major || (major === MARKS_SINCE.major && minor >= MARKS_SINCE.minor);
}
