/** The kernel behind HostClient: rtnetlink on sockets of its own, and sysctl files. */
import { release } from "node:os";
import { NetlinkConnection, type NetlinkRequest } from "../netlink/connection.ts";
import { KernelRejectedError } from "../netlink/errors.ts";
import {
  NETLINK_ROUTE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type NetlinkMessage,
} from "../netlink/messages.ts";
import { Notifications } from "../netlink/notifications.ts";
import type { NetlinkTransport } from "../netlink/transport.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import type { HostClient, HostWatch, HostWatchHandler } from "./client.ts";
import {
  type DesiredAddress,
  type DesiredLink,
  type HostOwner,
  type ObservedAddress,
  type ObservedHost,
  type RouteFact,
  type SysctlKey,
  type SysctlValue,
  sysctlId,
} from "./model.ts";
import { encodeAddressRemoval, encodeNewAddress } from "./address-wire.ts";
import { KernelReader, deviceSetting } from "./kernel-reader.ts";
import { RouteLookup } from "./route-lookup.ts";
import { type SysctlFileOptions, SysctlFiles } from "./sysctl-files.ts";
import {
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_SETLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
} from "./uapi.ts";
import {
  decodeLink,
  encodeLinkName,
  encodeLinkSetting,
  encodeLinkState,
  encodeNewLink,
} from "./wire.ts";

export interface NetlinkHostOptions {
  readonly transport: NetlinkTransport;
  /**
   * Where the sockets are, for example `/run/netns/director`. Sysctl files are those of the
   * process's own namespace, so only look at, and probe, another one.
   */
  readonly netnsPath?: string | undefined;
  readonly sysctls?: SysctlFileOptions | undefined;
  /** Release of the kernel, for example `6.1.0-18-amd64`. */
  readonly kernelRelease?: string | undefined;
}

export class NetlinkHost implements HostClient {
  readonly #options: NetlinkHostOptions;
  readonly #commands: NetlinkConnection;
  readonly #dumps: NetlinkConnection;
  readonly #routes: RouteLookup;
  readonly #files: SysctlFiles;
  readonly #reader: KernelReader;
  readonly #watches = new Set<HostWatch>();

  /** Opens its sockets at their first use. */
  constructor(options: NetlinkHostOptions) {
    const { transport, netnsPath } = options;
    const connection = { transport, netnsPath, protocol: NETLINK_ROUTE };
    this.#options = options;
    this.#commands = new NetlinkConnection(connection);
    this.#dumps = new NetlinkConnection(connection);
    this.#routes = new RouteLookup(connection);
    this.#files = new SysctlFiles(options.sysctls);
    this.#reader = new KernelReader({
      dumps: this.#dumps,
      files: this.#files,
      kernelRelease: options.kernelRelease ?? release(),
    });
  }

  observe(keys: readonly SysctlKey[], signal: AbortSignal): Promise<ObservedHost> {
    return this.#reader.observe(keys, signal);
  }

  async lookUpRoutes(
    addresses: Iterable<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RouteFact>> {
    const facts = new Map<string, RouteFact>();
    const routes = await this.#routes.lookUp([...new Set(addresses)], signal);
    if (routes.size === 0) return facts;
    const links = await this.#reader.links(signal);
    const names = new Map(links.map(({ link }) => [link.index, link.name]));
    for (const [address, { local, onLink, interfaceIndex }] of routes) {
      const interfaceName = interfaceIndex === undefined ? undefined : names.get(interfaceIndex);
      facts.set(address, { local, onLink, interfaceName });
    }
    return facts;
  }

  async setSysctl(key: SysctlKey, value: SysctlValue, signal: AbortSignal): Promise<void> {
    const setting = deviceSetting(key);
    if (setting === undefined || typeof value !== "number") {
      await this.#files.write(key, value);
      return;
    }
    await this.#command(
      {
        name: `set ${sysctlId(key)} to ${value}`,
        type: RTM_SETLINK,
        write: (w) => encodeLinkSetting(w, { ...setting, value }),
      },
      signal,
    );
  }

  async bringLinkUp(link: DesiredLink, signal: AbortSignal): Promise<void> {
    const { name, kind } = link;
    const up = (w: MessageWriter): void => encodeLinkState(w, name, true);
    const bringUp = { name: `bring ${name} up`, type: RTM_SETLINK, write: up };
    try {
      await this.#command(bringUp, signal);
    } catch (error) {
      if (kind === undefined || !hasErrno(error, "ENODEV")) throw error;
      await this.#create(link, bringUp, signal);
    }
  }

  async takeLinkDown(name: string, remove: boolean, signal: AbortSignal): Promise<void> {
    const down = (w: MessageWriter): void => encodeLinkState(w, name, false);
    await this.#command({ name: `take ${name} down`, type: RTM_SETLINK, write: down }, signal);
    if (!remove) return;
    const write = (w: MessageWriter): void => encodeLinkName(w, name);
    await this.#command({ name: `delete ${name}`, type: RTM_DELLINK, write }, signal);
  }

  async addAddress(address: DesiredAddress, owner: HostOwner, signal: AbortSignal): Promise<void> {
    const name = `add ${address.address} to ${address.interfaceName}`;
    const interfaceIndex = await this.#indexOf(address.interfaceName, name, signal);
    await this.#command(
      {
        name,
        type: RTM_NEWADDR,
        flags: NLM_F_CREATE | NLM_F_EXCL,
        write: (w) => encodeNewAddress(w, address, { interfaceIndex, owner }),
      },
      signal,
    );
  }

  async removeAddress(
    { address, prefixLength, interfaceName }: ObservedAddress,
    signal: AbortSignal,
  ): Promise<void> {
    const name = `remove ${address} from ${interfaceName}`;
    const interfaceIndex = await this.#indexOf(interfaceName, name, signal);
    const write = (w: MessageWriter): void =>
      encodeAddressRemoval(w, { address, prefixLength, interfaceIndex });
    await this.#command({ name, type: RTM_DELADDR, write }, signal);
  }

  watch(handler: HostWatchHandler): HostWatch {
    const { transport, netnsPath } = this.#options;
    const watch: HostWatch = new Notifications({
      transport,
      netnsPath,
      protocol: NETLINK_ROUTE,
      groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
      onMessage: () => handler.onChange(),
      onLost: () => handler.onChange(),
      onFailed: (error) => handler.onEnd(error),
    });
    this.#watches.add(watch);
    return {
      close: () => {
        this.#watches.delete(watch);
        watch.close();
      },
    };
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    this.#commands.close();
    this.#dumps.close();
    this.#routes.close();
  }

  async #command(request: NetlinkRequest, signal: AbortSignal): Promise<void> {
    await this.#commands.request(request, () => undefined, signal);
  }

  async #create(link: DesiredLink, bringUp: NetlinkRequest, signal: AbortSignal): Promise<void> {
    try {
      await this.#command(
        {
          name: `create ${link.name}`,
          type: RTM_NEWLINK,
          flags: NLM_F_CREATE | NLM_F_EXCL,
          write: (w) => encodeNewLink(w, link),
        },
        signal,
      );
    } catch (refused) {
      if (!hasErrno(refused, "EEXIST")) throw refused;
      // The first device of a kind loads its module, and that makes a device of this very name.
      // Otherwise one of another name is in the way, and the refusal is what a person must know.
      await this.#command(bringUp, signal).catch(() => {
        throw refused;
      });
    }
  }

  async #indexOf(name: string, command: string, signal: AbortSignal): Promise<number> {
    const request = {
      name: command,
      type: RTM_GETLINK,
      write: (w: MessageWriter): void => encodeLinkName(w, name),
    };
    const decode = ({ payload }: NetlinkMessage): number => decodeLink(payload).link.index;
    const [index] = await this.#commands.request(request, decode, signal);
    if (index === undefined) throw new KernelRejectedError(command, "ENODEV", "");
    return index;
  }
}

function hasErrno(error: unknown, errno: string): boolean {
  return error instanceof KernelRejectedError && error.errno === errno;
}
