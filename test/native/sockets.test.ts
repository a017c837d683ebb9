/**
 * The addon and the layers on it against the kernel of this machine, in network namespaces of
 * their own. Needs root; IPVS is not needed.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NetlinkConnection } from "../../src/netlink/connection.ts";
import { ERRNO } from "../../src/netlink/errno.ts";
import { findFamily } from "../../src/netlink/genetlink.ts";
import { NETLINK_GENERIC, NETLINK_ROUTE } from "../../src/netlink/messages.ts";
import { Notifications } from "../../src/netlink/notifications.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV6, PacketSocket } from "../../src/netlink/packet-socket.ts";
import { loadAddon, nativeTransport } from "../../src/netlink/transport-native.ts";
import { MessageWriter } from "../../src/netlink/writer.ts";

const NEVER = new AbortController().signal;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const NLM_F_CREATE_EXCL = 0x600;

const left = `lvs-left-${process.pid}`;
const right = `lvs-right-${process.pid}`;
const path = (name: string): string => `/run/netns/${name}`;
const isRoot = process.getuid?.() === 0;

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

function mac(namespace: string): Uint8Array {
  const text = ip("netns", "exec", namespace, "cat", "/sys/class/net/veth0/address").trim();
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

function index(namespace: string): number {
  return Number(ip("netns", "exec", namespace, "cat", "/sys/class/net/veth0/ifindex"));
}

const address = {
  write(writer: MessageWriter, host: number): void {
    for (const byte of [2, 32, 0, 0]) writer.u8(byte);
    // lo is 1 in every namespace; 0 stands for an interface that does not exist.
    writer.u32(host < 0 ? 4242 : 1);
    writer.attrBytes(2, Uint8Array.of(10, 99, Math.abs(host) >> 8, Math.abs(host) & 0xff));
  },
};
const add = { ...address, type: () => RTM_NEWADDR, flags: () => NLM_F_CREATE_EXCL };
const remove = { ...address, type: () => RTM_DELADDR };
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe.skipIf(!isRoot)("sockets on this machine's kernel", { timeout: 20_000 }, () => {
  beforeAll(() => {
    for (const name of [left, right]) ip("netns", "add", name);
    ip("-n", left, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", right);
    for (const name of [left, right]) {
      ip("-n", name, "link", "set", "lo", "up");
      ip("-n", name, "link", "set", "veth0", "up");
    }
    ip("-n", right, "addr", "add", "192.0.2.2/24", "dev", "veth0");
    ip("-n", right, "addr", "add", "2001:db8::2/64", "dev", "veth0", "nodad");
  });

  afterAll(() => {
    for (const name of [left, right]) ip("netns", "del", name);
  });

  const route = (netns: string, options: object = {}): NetlinkConnection =>
    new NetlinkConnection({
      transport: nativeTransport,
      protocol: NETLINK_ROUTE,
      netnsPath: path(netns),
      ...options,
    });

  const list = (connection: NetlinkConnection, type: number): Promise<readonly number[]> =>
    connection.dump(
      { name: "list", type, write: (w) => w.zeros(16) },
      ({ payload }) => payload.length,
      NEVER,
    );

  it("open in the namespace of a path, and this process stays where it is", async () => {
    const own = readFileSync("/proc/self/net/dev", "utf8");
    const connection = route(left);
    await expect(list(connection, RTM_GETLINK)).resolves.toHaveLength(
      ip("-n", left, "-o", "link").trim().split("\n").length,
    );
    connection.close();
    expect(readFileSync("/proc/self/net/dev", "utf8").split("\n")).toHaveLength(
      own.split("\n").length,
    );
  });

  it.each([
    { netns: "/run/netns/nobody-has-this", errno: "ENOENT" },
    { netns: "/etc/passwd", errno: "EINVAL" },
    { netns: "", errno: "EINVAL" },
    { netns: "/a\0b", errno: "EINVAL" },
    { netns: `/${"x".repeat(5000)}`, errno: "ENAMETOOLONG" },
  ])("say $errno for a namespace that is none", ({ netns, errno }) => {
    expect(() => nativeTransport.open(NETLINK_ROUTE, netns)).toThrow(
      expect.objectContaining({ code: "LVS_SOCKET", errno }),
    );
  });

  it("execute a batch with refusals in the middle and name each with the kernel's text", async () => {
    const connection = route(left);
    const items = numbers(300).map((n) => (n === 6 || n === 200 ? -n : n));
    const report = await connection.batch("add addresses", items, add, NEVER);
    expect(report).toEqual({
      sent: 300,
      failures: [5, 199].map((i) => ({ index: i, errno: "ENODEV", detail: expect.any(String) })),
    });
    await expect(list(connection, RTM_GETADDR)).resolves.toSatisfy(
      (all: number[]) => all.length >= 298,
    );
    const again = await connection.batch("add addresses", numbers(3), add, NEVER);
    expect(again.failures.map(({ errno }) => errno)).toEqual(["EEXIST", "EEXIST", "EEXIST"]);
    const gone = await connection.batch("remove addresses", items, remove, NEVER);
    expect(gone.failures).toHaveLength(2);
    connection.close();
  });

  it("survive 1,000 refusals: every one is named", async () => {
    const connection = route(left);
    const report = await connection.batch("remove nothing", numbers(1000), remove, NEVER);
    expect(report.failures.map((failure) => failure.index)).toEqual(
      numbers(1000).map((n) => n - 1),
    );
    connection.close();
  });

  it("drop notices past their buffer and say so; with a large one nothing is lost", async () => {
    const log = { small: 0, large: 0, lost: 0 };
    const subscribe = (bytes: number, onMessage: () => void, onLost: () => void): Notifications =>
      new Notifications({
        transport: nativeTransport,
        protocol: NETLINK_ROUTE,
        netnsPath: path(left),
        groups: [5],
        receiveBufferBytes: bytes,
        onMessage,
        onLost,
        onFailed: (error) => expect.unreachable(error.message),
      });
    const small = subscribe(
      4096,
      () => (log.small += 1),
      () => (log.lost += 1),
    );
    const large = subscribe(
      8 << 20,
      () => (log.large += 1),
      () => expect.unreachable("lost"),
    );
    const connection = route(left);
    await connection.batch("add", numbers(500), add, NEVER);
    await connection.batch("remove", numbers(500), remove, NEVER);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(log.large).toBe(1000);
    expect(log.lost).toBeGreaterThan(0);
    expect(log.small).toBeLessThan(1000);
    for (const closable of [small, large, connection]) closable.close();
  });

  it("find generic netlink families and say which are missing", async () => {
    const connection = new NetlinkConnection({
      transport: nativeTransport,
      protocol: NETLINK_GENERIC,
    });
    await expect(findFamily(connection, "nlctrl", NEVER)).resolves.toMatchObject({ id: 16 });
    await expect(findFamily(connection, "NO_SUCH_FAMILY", NEVER)).resolves.toBeUndefined();
    connection.close();
  });

  it("refuse datagrams of other processes", async () => {
    const socket = nativeTransport.open(NETLINK_ROUTE);
    const program = `import socket,struct
s=socket.socket(16,3,0)
s.bind((0,0))
try: s.sendto(struct.pack("=IHHII",16,2,0,0,0),(${socket.portId},0)); print("sent")
except OSError as e: print(e.errno)`;
    const said = execFileSync("python3", ["-c", program], { encoding: "utf8" }).trim();
    expect(Number(said)).toBe(ERRNO.ECONNREFUSED);
    expect(socket.receive()).toBe(-ERRNO.EAGAIN);
    socket.close();
  });

  it("carry an ARP question and its answer", async () => {
    using socket = new PacketSocket(nativeTransport, {
      interfaceIndex: index(left),
      etherType: ETHERTYPE_ARP,
      netnsPath: path(left),
    });
    socket.send(arpProbe(mac(left), [192, 0, 2, 2]), new Uint8Array(6).fill(0xff));
    const answer = await socket.first(({ payload }) => payload[7] === 2, {
      waitMs: 2000,
      signal: NEVER,
    });
    expect(answer).toMatchObject({
      delivery: "host",
      interfaceIndex: index(left),
      etherType: ETHERTYPE_ARP,
      source: mac(right),
      truncated: false,
    });
    expect([...(answer?.payload.subarray(14, 18) ?? [])]).toEqual([192, 0, 2, 2]);
  });

  it("hear of IPv6 only neighbour discovery where the filter says so", async () => {
    const binding = {
      interfaceIndex: index(left),
      etherType: ETHERTYPE_IPV6,
      netnsPath: path(left),
    };
    using all = new PacketSocket(nativeTransport, binding);
    using some = new PacketSocket(nativeTransport, { ...binding, filter: "neighbour-discovery" });
    some.joinMulticast(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1));
    ip("-n", left, "addr", "add", "2001:db8::1/64", "dev", "veth0", "nodad");
    execFileSync("ip", ["netns", "exec", right, "bash", "-c", "echo x >/dev/udp/2001:db8::1/9"]);
    const udp = await all.first(({ payload }) => payload[6] === 17, {
      waitMs: 2000,
      signal: NEVER,
    });
    expect(udp).toBeDefined();
    const seen: number[] = [];
    const question = await some.first(
      ({ payload }) => {
        seen.push(payload[6] ?? -1);
        return payload[40] === 135;
      },
      { waitMs: 2000, signal: NEVER },
    );
    expect(question).toBeDefined();
    expect(new Set(seen)).toEqual(new Set([58]));
  });

  it("receive nothing on a packet socket that is bound to no interface", () => {
    const addon = loadAddon();
    const handle = addon.open(17, 2, 0);
    if (typeof handle === "number") throw new Error(String(handle));
    expect(addon.bindLink(handle, 0, ETHERTYPE_ARP)).toBe(-ERRNO.EINVAL);
    const lengths = new Uint32Array(1);
    expect(addon.receive(handle, new Uint8Array(64), 64, lengths)).toBe(-ERRNO.EAGAIN);
    addon.close(handle);
  });
});

describe("the addon's lists", () => {
  const addon = loadAddon();
  const open = (): Exclude<ReturnType<typeof addon.open>, number> => {
    const handle = addon.open(16, 3, NETLINK_ROUTE);
    if (typeof handle === "number") throw new Error(String(handle));
    return handle;
  };

  it.each([
    { what: "a TCP socket", kind: [2, 1, 6] },
    { what: "netfilter's netlink", kind: [16, 3, 12] },
    { what: "packets with a header of the sender's", kind: [17, 3, 0] },
    { what: "every protocol of every interface", kind: [17, 2, 0x0300] },
    { what: "a unix socket", kind: [1, 1, 0] },
  ])("do not have $what", ({ kind }) => {
    const [domain = 0, type = 0, protocol = 0] = kind;
    expect(addon.open(domain, type, protocol)).toBe(-ERRNO.EPROTONOSUPPORT);
  });

  it("do not have options that hide losses or reach beyond the socket", () => {
    const handle = open();
    const NETLINK_NO_ENOBUFS = 5;
    expect(addon.setOption(handle, 270, NETLINK_NO_ENOBUFS, 1)).toBe(-ERRNO.ENOPROTOOPT);
    expect(addon.setOption(handle, 1, 36, 1)).toBe(-ERRNO.ENOPROTOOPT);
    expect(addon.getOption(handle, 1, 17)).toBe(-ERRNO.ENOPROTOOPT);
    expect(addon.setOption(handle, 1, 8, 65_536)).toBe(0);
    expect(addon.getOption(handle, 1, 8)).toBe(131_072);
    addon.close(handle);
  });

  it("have no use for a packet call on a netlink socket, nor the reverse", () => {
    const handle = open();
    const bytes = new Uint8Array(6);
    expect(addon.bindLink(handle, 1, ETHERTYPE_ARP)).toBe(-ERRNO.EOPNOTSUPP);
    expect(addon.sendLink(handle, bytes, 1, ETHERTYPE_ARP, bytes)).toBe(-ERRNO.EOPNOTSUPP);
    expect(addon.joinMulticast(handle, 1, bytes)).toBe(-ERRNO.EOPNOTSUPP);
    expect(addon.attachFilter(handle, 1)).toBe(-ERRNO.EOPNOTSUPP);
    addon.close(handle);
  });

  it.each([
    { what: "a length of more than the buffer", bytes: message(), length: 36 },
    { what: "a length of zero", bytes: message(), length: 0 },
    { what: "a negative length", bytes: message(), length: -32 },
    { what: "half a message", bytes: message(), length: 20 },
    { what: "a message length below a header", bytes: message(15), length: 32 },
    { what: "a message length past the end", bytes: message(36), length: 32 },
    { what: "a message length off alignment", bytes: message(30), length: 30 },
  ])("refuse to send $what", ({ bytes, length }) => {
    const handle = open();
    expect(addon.send(handle, bytes, length)).toBe(-ERRNO.EINVAL);
    expect(addon.send(handle, message(), 32)).toBe(32);
    addon.close(handle);
  });

  it.each([
    { what: "slots that do not fit the buffer", slot: 64, buffer: 127, slots: 2 },
    { what: "a slot off alignment", slot: 100, buffer: 4096, slots: 2 },
    { what: "a tiny slot", slot: 8, buffer: 4096, slots: 2 },
    { what: "a negative slot", slot: -64, buffer: 4096, slots: 2 },
    { what: "no slots", slot: 64, buffer: 4096, slots: 0 },
    { what: "too many slots", slot: 64, buffer: 65_536, slots: 65 },
  ])("refuse to receive into $what", ({ slot, buffer, slots }) => {
    const handle = open();
    const result = addon.receive(handle, new Uint8Array(buffer), slot, new Uint32Array(slots));
    expect(result).toBe(-ERRNO.EINVAL);
    addon.close(handle);
  });

  it("mark an answer that is larger than its slot", () => {
    const handle = open();
    const lengths = new Uint32Array(4);
    expect(addon.send(handle, message(), 32)).toBe(32);
    expect(addon.receive(handle, new Uint8Array(512), 128, lengths)).toBeGreaterThan(0);
    expect((lengths[0] ?? 0) >>> 0).toBe((0x80000000 | 128) >>> 0);
    addon.close(handle);
  });

  it("answer EBADF for everything on a closed socket, and closing again is nothing", () => {
    const handle = open();
    addon.close(handle);
    addon.close(handle);
    const bytes = new Uint8Array(64);
    expect([
      addon.send(handle, message(), 32),
      addon.receive(handle, bytes, 64, new Uint32Array(1)),
      addon.setOption(handle, 1, 8, 1),
      addon.getOption(handle, 1, 8),
      addon.portId(handle),
      addon.watch(handle, () => undefined),
    ]).toEqual(Array.from({ length: 6 }, () => -ERRNO.EBADF));
    expect(addon.watch(handle, null)).toBe(0);
  });
});

/** An RTM_GETLINK dump, with another length in its header when one is given. */
function message(length = 32): Uint8Array {
  const writer = new MessageWriter(64);
  writer.begin(RTM_GETLINK, 0x301, 1);
  writer.zeros(16);
  writer.end();
  const bytes = writer.toBytes();
  new DataView(bytes.buffer).setUint32(0, length, true);
  return bytes;
}

function arpProbe(from: Uint8Array, target: number[]): Uint8Array {
  const fixed = [0, 1, 8, 0, 6, 4, 0, 1];
  return Uint8Array.from([...fixed, ...from, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...target]);
}
