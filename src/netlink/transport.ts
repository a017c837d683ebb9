/**
 * The narrow waist between TypeScript and a netlink socket: bytes out, datagrams in. The native
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
  /** All datagrams queued now (at least one), or -errno (-EAGAIN when none). Never blocks. */
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
   */
  open(protocol: number, netnsPath?: string): NetlinkSocket;
}
