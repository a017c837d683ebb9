/**
 * What the agents ask of a node around IPVS. `netlink-host.ts` is the kernel's; the fake in
 * `testing/` passes the same contract suite.
 */
import type {
  DesiredAddress,
  DesiredLink,
  HostOwner,
  ObservedAddress,
  ObservedHost,
  RouteFact,
  SysctlKey,
  SysctlValue,
} from "./model.ts";

/** A subscription; `close` ends it and is safe to call again. */
export interface HostWatch {
  close(): void;
}

export interface HostWatchHandler {
  /** A link or an address changed, or notifications were lost. Our own changes count too. */
  onChange(): void;
  /** There will be no more calls; open another watch, and read the state. */
  onEnd(error: Error): void;
}

/**
 * One node in one network namespace. Every write is one kernel command or one file; a refusal is
 * KernelRejectedError with the errno's name.
 */
export interface HostClient {
  /**
   * Reads links, addresses and the settings asked for. A setting that does not exist is undefined.
   * @throws NetlinkLostError, SocketError, AbortedError; KernelRejectedError for an unreadable file
   */
  observe(keys: readonly SysctlKey[], signal: AbortSignal): Promise<ObservedHost>;

  /**
   * How the node would reach each address; absent = no route, or one that refuses.
   * @throws NetlinkLostError, SocketError, AbortedError
   */
  lookUpRoutes(
    addresses: Iterable<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RouteFact>>;

  /**
   * Settings of an interface go by rtnetlink, which works where /proc/sys is read-only; `all` and
   * everything else by file.
   * @throws KernelRejectedError ENODEV or ENOENT when it does not exist, EROFS or EACCES when the
   *   file may not be written, EINVAL when the kernel does not take the value
   */
  setSysctl(key: SysctlKey, value: SysctlValue, signal: AbortSignal): Promise<void>;

  /**
   * Brings a device up; creates it first when it is missing and has a kind.
   * @throws KernelRejectedError ENODEV when it is missing and may not be created, EOPNOTSUPP when
   *   the kernel has no such kind
   */
  bringLinkUp(link: DesiredLink, signal: AbortSignal): Promise<void>;

  /** @param remove also delete it @throws KernelRejectedError ENODEV when it is missing */
  takeLinkDown(name: string, remove: boolean, signal: AbortSignal): Promise<void>;

  /**
   * Adds a single host address with the owner's mark, without a prefix route and without duplicate
   * address detection.
   * @throws KernelRejectedError EEXIST when it is there, ENODEV without the interface
   */
  addAddress(address: DesiredAddress, owner: HostOwner, signal: AbortSignal): Promise<void>;

  /** @throws KernelRejectedError EADDRNOTAVAIL when it is not there, ENODEV without the interface */
  removeAddress(address: ObservedAddress, signal: AbortSignal): Promise<void>;

  /** @throws SocketError, NativeMissingError */
  watch(handler: HostWatchHandler): HostWatch;

  /** Ends watches and pending calls; safe to call again. */
  close(): void;
}
