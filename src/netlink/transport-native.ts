/** Sockets of the running kernel, by the addon in `native/`. The only file that loads native code. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { HOST_LITTLE_ENDIAN, viewOf } from "./byte-order.ts";
import { ERRNO } from "./errno.ts";
import { NativeMissingError, SocketError } from "./errors.ts";
import type {
  Datagram,
  LinkBinding,
  LinkFrame,
  LinkSocket,
  LinkTransport,
  NetlinkSocket,
  NetlinkTransport,
} from "./transport.ts";

/** A socket inside the addon; it can only be handed back. Garbage collection closes it. */
interface Handle {
  readonly opaque: never;
}

/** The addon's exports, see native/addon.c. Numbers below zero are -errno. */
export interface SocketAddon {
  open(domain: number, type: number, protocol: number, netnsPath?: string): Handle | number;
  send(handle: Handle, bytes: Uint8Array, length: number): number;
  sendLink(
    handle: Handle,
    payload: Uint8Array,
    interfaceIndex: number,
    etherType: number,
    address: Uint8Array,
  ): number;
  receive(
    handle: Handle,
    buffer: Uint8Array,
    slotBytes: number,
    lengths: Uint32Array,
    addresses?: Uint8Array,
  ): number;
  setOption(handle: Handle, level: number, name: number, value: number): number;
  getOption(handle: Handle, level: number, name: number): number;
  bindLink(handle: Handle, interfaceIndex: number, etherType: number): number;
  attachFilter(handle: Handle, filter: number): number;
  joinMulticast(handle: Handle, interfaceIndex: number, address: Uint8Array): number;
  watch(handle: Handle, onReadable: (() => void) | null): number;
  portId(handle: Handle): number;
  close(handle: Handle): void;
}

const AF_NETLINK = 16;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const FILTER_NEIGHBOUR_DISCOVERY = 1;
const TRUNCATED = 0x80000000;

// Dumps come in datagrams of up to 32 KiB, and never more than the largest slot ever offered.
const NETLINK_SLOT_BYTES = 64 * 1024;
const NETLINK_SLOTS = 16;
// Larger than any neighbour message on any MTU that carries one.
const LINK_SLOT_BYTES = 2048;
const LINK_SLOTS = 16;
const ADDRESS_BYTES = 32;
const DELIVERY = ["host", "broadcast", "multicast", "other-host", "outgoing"] as const;

let loaded: SocketAddon | undefined;

/**
 * The addon, loaded once per thread.
 * @throws NativeMissingError
 */
export function loadAddon(): SocketAddon {
  loaded ??= load();
  return loaded;
}

function load(): SocketAddon {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL("../../", import.meta.url));
  try {
    // node-gyp-build has no types: it is a function from a directory to the addon's exports, and
    // those are written down above and tested against the addon.
    const find = require("node-gyp-build") as (directory: string) => SocketAddon;
    return find(root);
  } catch (error) {
    throw new NativeMissingError(
      `the socket addon does not load on ${process.platform}-${process.arch}; ` +
        "build it with: node scripts/build-addon.mjs",
      { cause: error },
    );
  }
}

/** Netlink and packet sockets of this machine. */
export const nativeTransport: NetlinkTransport & LinkTransport = {
  open(protocol, netnsPath) {
    const addon = loadAddon();
    return new NativeNetlinkSocket(addon, open(addon, [AF_NETLINK, SOCK_RAW, protocol], netnsPath));
  },
  openLink(binding) {
    const addon = loadAddon();
    const handle = open(addon, [AF_PACKET, SOCK_DGRAM, 0], binding.netnsPath);
    try {
      bind(addon, handle, binding);
    } catch (error) {
      addon.close(handle);
      throw error;
    }
    return new NativeLinkSocket(addon, handle, binding);
  },
};

/** Arguments of socket(2); the addon refuses what is not on its list. */
type Kind = readonly [domain: number, type: number, protocol: number];

function open(addon: SocketAddon, kind: Kind, netnsPath: string | undefined): Handle {
  const result = netnsPath === undefined ? addon.open(...kind) : addon.open(...kind, netnsPath);
  if (typeof result !== "number") return result;
  throw new SocketError("open socket", -result, netnsPath ?? "");
}

function bind(addon: SocketAddon, handle: Handle, binding: LinkBinding): void {
  const { interfaceIndex, etherType, filter } = binding;
  // The filter first, so that nothing else is queued between the two calls.
  if (filter === "neighbour-discovery") {
    const attached = addon.attachFilter(handle, FILTER_NEIGHBOUR_DISCOVERY);
    if (attached < 0) throw new SocketError("attach filter", -attached);
  }
  const bound = addon.bindLink(handle, interfaceIndex, etherType);
  if (bound < 0) throw new SocketError(`bind to interface ${interfaceIndex}`, -bound);
}

class NativeNetlinkSocket implements NetlinkSocket {
  readonly portId: number;
  readonly #addon: SocketAddon;
  readonly #handle: Handle;
  // Zeroed lazily by the system: a page costs memory only once a datagram reaches it.
  readonly #buffer = new Uint8Array(NETLINK_SLOT_BYTES * NETLINK_SLOTS);
  readonly #lengths = new Uint32Array(NETLINK_SLOTS);

  constructor(addon: SocketAddon, handle: Handle) {
    this.#addon = addon;
    this.#handle = handle;
    this.portId = addon.portId(handle);
  }

  send(buffer: Uint8Array, length: number): number {
    return this.#addon.send(this.#handle, buffer, length);
  }

  receive(): readonly Datagram[] | number {
    const count = this.#addon.receive(
      this.#handle,
      this.#buffer,
      NETLINK_SLOT_BYTES,
      this.#lengths,
    );
    if (count < 0) return count;
    const datagrams: Datagram[] = [];
    for (let slot = 0; slot < count; slot++) {
      const length = this.#lengths[slot] ?? 0;
      // 0: not from the kernel.
      if (length !== 0) datagrams.push(this.#datagram(slot, length));
    }
    return datagrams;
  }

  setOption(level: number, name: number, value: number): number {
    return this.#addon.setOption(this.#handle, level, name, value);
  }

  watch(onReadable: (() => void) | null): void {
    startWatch(this.#addon, this.#handle, onReadable);
  }

  close(): void {
    this.#addon.close(this.#handle);
  }

  #datagram(slot: number, length: number): Datagram {
    const start = slot * NETLINK_SLOT_BYTES;
    const size = length & ~TRUNCATED;
    return {
      bytes: this.#buffer.subarray(start, start + size),
      truncated: length >= TRUNCATED,
    };
  }
}

class NativeLinkSocket implements LinkSocket {
  readonly #addon: SocketAddon;
  readonly #handle: Handle;
  readonly #binding: LinkBinding;
  readonly #buffer = new Uint8Array(LINK_SLOT_BYTES * LINK_SLOTS);
  readonly #lengths = new Uint32Array(LINK_SLOTS);
  readonly #addresses = new Uint8Array(ADDRESS_BYTES * LINK_SLOTS);

  constructor(addon: SocketAddon, handle: Handle, binding: LinkBinding) {
    this.#addon = addon;
    this.#handle = handle;
    this.#binding = binding;
  }

  send(payload: Uint8Array, destination: Uint8Array): number {
    const { interfaceIndex, etherType } = this.#binding;
    return this.#addon.sendLink(this.#handle, payload, interfaceIndex, etherType, destination);
  }

  receive(): readonly LinkFrame[] | number {
    const count = this.#addon.receive(
      this.#handle,
      this.#buffer,
      LINK_SLOT_BYTES,
      this.#lengths,
      this.#addresses,
    );
    if (count < 0) return count;
    return Array.from({ length: count }, (_, slot) => this.#frame(slot));
  }

  joinMulticast(address: Uint8Array): number {
    return this.#addon.joinMulticast(this.#handle, this.#binding.interfaceIndex, address);
  }

  watch(onReadable: (() => void) | null): void {
    startWatch(this.#addon, this.#handle, onReadable);
  }

  close(): void {
    this.#addon.close(this.#handle);
  }

  #frame(slot: number): LinkFrame {
    const length = this.#lengths[slot] ?? 0;
    const start = slot * LINK_SLOT_BYTES;
    // struct sockaddr_ll: family u16, protocol be16, index i32, device type u16, packet type u8,
    // address length u8, address.
    const at = slot * ADDRESS_BYTES;
    const view = viewOf(this.#addresses);
    const addressLength = Math.min(view.getUint8(at + 11), 8);
    return {
      payload: this.#buffer.subarray(start, start + (length & ~TRUNCATED)),
      truncated: length >= TRUNCATED,
      interfaceIndex: view.getInt32(at + 4, HOST_LITTLE_ENDIAN),
      etherType: view.getUint16(at + 2, false),
      delivery: DELIVERY[view.getUint8(at + 10)] ?? "unknown",
      source: this.#addresses.slice(at + 12, at + 12 + addressLength),
    };
  }
}

/** A closed socket has nothing to watch; whoever waits learns it from the next receive. */
function startWatch(addon: SocketAddon, handle: Handle, onReadable: (() => void) | null): void {
  const result = addon.watch(handle, onReadable);
  if (result < 0 && result !== -ERRNO.EBADF) throw new SocketError("watch", -result);
}
