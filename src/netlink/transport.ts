/**
 * The narrow waist between TypeScript and a socket: bytes out, datagrams in. The native
 * implementation is `transport-native.ts`; `testing/scripted-transport.ts` stands in for a kernel
 * where a fault must be injected.
 */

/** One datagram from the kernel. `bytes` is valid until the next `receive`. */
export interface Datagram {
  readonly bytes: Uint8Array;
  /** The buffer was too small and the rest is lost. */
  readonly truncated: boolean;
}

/** A netlink socket of one protocol in one network namespace. All errors are numbers: -errno. */
export interface NetlinkSocket {
  /** Port id the kernel chose. */
  readonly portId: number;
  /** Sends `length` bytes from the start of `buffer`. Returns bytes sent or -errno. */
  send(buffer: Uint8Array, length: number): number;
  /**
   * The datagrams queued now (some of them when there are many; call again until -EAGAIN), or
   * -errno. Datagrams that another process sent to our port are dropped, so the list may be empty.
   * Never blocks.
   */
  receive(): readonly Datagram[] | number;
  /** Returns 0 or -errno. */
  setOption(level: number, name: number, value: number): number;
  /** Calls back when something is readable; null stops. For notifications. */
  watch(onReadable: (() => void) | null): void;
  /** Closes the descriptor; safe to call again. */
  close(): void;
}

/** Opens sockets. */
export interface NetlinkTransport {
  /**
   * @param protocol NETLINK_GENERIC = 16, NETLINK_ROUTE = 0
   * @param netnsPath for example `/run/netns/director`; undefined = the process's own namespace
   * @throws SocketError with the errno name
   * @throws NativeMissingError when the addon is not built
   */
  open(protocol: number, netnsPath?: string): NetlinkSocket;
}

/** A frame received on a packet socket. `payload` is valid until the next `receive`. */
export interface LinkFrame {
  /** From the network header on: without the link-layer header. */
  readonly payload: Uint8Array;
  readonly truncated: boolean;
  readonly interfaceIndex: number;
  readonly etherType: number;
  /** Who the frame was sent to, as the kernel sees it. */
  readonly delivery: "host" | "broadcast" | "multicast" | "other-host" | "outgoing" | "unknown";
  /** Link-layer address of the sender. */
  readonly source: Uint8Array;
}

/** What a packet socket receives. */
export interface LinkBinding {
  readonly interfaceIndex: number;
  readonly etherType: number;
  /**
   * `neighbour-discovery`: of IPv6 only neighbour solicitations and advertisements, chosen by the
   * kernel, so that a busy interface does not fill the queue.
   */
  readonly filter?: "neighbour-discovery" | undefined;
  readonly netnsPath?: string | undefined;
}

/** A packet socket bound to one interface and one protocol. All errors are numbers: -errno. */
export interface LinkSocket {
  /** Sends one frame; the kernel puts the link-layer header before `payload`. */
  send(payload: Uint8Array, destination: Uint8Array): number;
  /** The frames queued now, or -errno (-EAGAIN when none). Never blocks. */
  receive(): readonly LinkFrame[] | number;
  /** Also receive frames for this multicast link-layer address. Returns 0 or -errno. */
  joinMulticast(address: Uint8Array): number;
  /** Calls back when something is readable; null stops. */
  watch(onReadable: (() => void) | null): void;
  /** Closes the descriptor; safe to call again. */
  close(): void;
}

/** Opens packet sockets. */
export interface LinkTransport {
  /** @throws SocketError EPERM without CAP_NET_RAW, ENODEV without such an interface */
  openLink(binding: LinkBinding): LinkSocket;
}
