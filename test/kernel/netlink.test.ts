/**
 * What the netlink layer relies on, from a kernel that has IPVS; each test has a network namespace
 * of its own.
 */
import { execFileSync } from "node:child_process";
import { afterEach, describe, expect, it } from "vitest";
import { NetlinkConnection } from "../../src/netlink/connection.ts";
import { GenericFamily, findFamily } from "../../src/netlink/genetlink.ts";
import { NETLINK_GENERIC } from "../../src/netlink/messages.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";
import { MessageWriter } from "../../src/netlink/writer.ts";

const NEVER = new AbortController().signal;
const NEW_SERVICE = 1;
const GET_SERVICE = 4;
const GET_DEST = 8;
const SERVICE = 1;

// One write function for all tests: a TCP service 192.0.2.1:port with scheduler rr.
function writeService(writer: MessageWriter, port: number): void {
  const service = writer.nest(SERVICE);
  writer.attrU16(1, 2);
  writer.attrU16(2, 6);
  writer.attrBytes(3, Uint8Array.of(192, 0, 2, 1));
  writer.attrU16be(4, port);
  writer.attrString(6, "rr");
  writer.attrBytes(7, Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255));
  writer.attrU32(8, 0);
  writer.attrU32be(9, 0xffffffff);
  writer.endNest(service);
}

const create = { command: () => NEW_SERVICE, write: writeService };
const ports = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

let namespaces = 0;
const clean: (() => void)[] = [];

function inNewNamespace(receiveBufferBytes?: number): {
  name: string;
  path: string;
  connection: NetlinkConnection;
  ipvs: GenericFamily;
} {
  namespaces += 1;
  const name = `netlink-${process.pid}-${namespaces}`;
  execFileSync("ip", ["netns", "add", name]);
  const path = `/run/netns/${name}`;
  const connection = new NetlinkConnection({
    transport: nativeTransport,
    protocol: NETLINK_GENERIC,
    netnsPath: path,
    receiveBufferBytes,
  });
  clean.push(() => {
    connection.close();
    execFileSync("ip", ["netns", "delete", name]);
  });
  return {
    name,
    path,
    connection,
    ipvs: new GenericFamily(connection, { name: "IPVS", version: 1 }),
  };
}

function listServices(ipvs: GenericFamily): Promise<readonly number[]> {
  return ipvs.dump({ name: "list", command: GET_SERVICE }, ({ command }) => command, NEVER);
}

afterEach(() => {
  for (const undo of clean.splice(0)) undo();
});

describe("generic netlink of the running kernel", { timeout: 30_000 }, () => {
  it("knows the family IPVS, which has no notifications", async () => {
    const { connection } = inNewNamespace();
    const family = await findFamily(connection, "IPVS", NEVER);
    expect(family).toMatchObject({ name: "IPVS", version: 1 });
    expect(family?.id).toBeGreaterThan(16);
    expect(family?.groups.size).toBe(0);
  });

  it("executes everything around a message that fails", async () => {
    const { ipvs } = inNewNamespace();
    const report = await ipvs.batch("create", [1, 2, 3, 4, 5, 1, 7, 8, 9, 10], create, NEVER);
    expect(report).toEqual({
      sent: 10,
      failures: [{ index: 5, errno: "EEXIST", detail: undefined }],
    });
    await expect(listServices(ipvs)).resolves.toHaveLength(9);
  });

  it("answers each of 600 messages that all fail", async () => {
    const { ipvs } = inNewNamespace();
    await ipvs.batch("create", ports(600), create, NEVER);
    const report = await ipvs.batch("create again", ports(600), create, NEVER);
    expect(report.sent).toBe(600);
    expect(report.failures.map(({ index }) => index)).toEqual(ports(600).map((port) => port - 1));
  });

  it("loses answers, and we notice, when the receive buffer is too small for a batch", async () => {
    const { ipvs } = inNewNamespace(2048);
    await ipvs.batch("create", ports(120), create, NEVER);
    const lost = ipvs.batch("create again", ports(120), create, NEVER);
    await expect(lost).rejects.toMatchObject({ code: "LVS_NETLINK_LOST", reason: "overrun" });
    // The next use opens another socket and finds nothing of the old answers in it.
    await expect(listServices(ipvs)).resolves.toHaveLength(120);
  });

  it("has every answer queued when send returns", async () => {
    const { path, ipvs } = inNewNamespace();
    let empty = 0;
    const counting = {
      open(protocol: number): ReturnType<typeof nativeTransport.open> {
        const socket = nativeTransport.open(protocol, path);
        const receive = socket.receive.bind(socket);
        socket.receive = () => {
          const received = receive();
          if (received === -11) empty += 1;
          return received;
        };
        return socket;
      },
    };
    const counted = new NetlinkConnection({ transport: counting, protocol: NETLINK_GENERIC });
    const family = new GenericFamily(counted, { name: "IPVS", version: 1 });
    await family.batch("create", ports(2000), create, NEVER);
    await listServices(family);
    expect(empty).toBe(0);
    counted.close();
    expect(await listServices(ipvs)).toHaveLength(2000);
  });

  it("keeps each namespace to itself", async () => {
    const one = inNewNamespace();
    const other = inNewNamespace();
    await one.ipvs.batch("create", ports(3), create, NEVER);
    await expect(listServices(one.ipvs)).resolves.toHaveLength(3);
    await expect(listServices(other.ipvs)).resolves.toHaveLength(0);
  });

  it("answers an unknown family number with ENOENT and a missing service's dump with nothing", async () => {
    const { connection, ipvs } = inNewNamespace();
    const request = { name: "stale", type: 0x3fe, write: (w: MessageWriter) => w.u32(1) };
    const stale = connection.request(request, () => 0, NEVER);
    await expect(stale).rejects.toMatchObject({ errno: "ENOENT" });
    const destinations = ipvs.dump(
      { name: "destinations", command: GET_DEST, write: (w) => writeService(w, 80) },
      () => 0,
      NEVER,
    );
    await expect(destinations).resolves.toEqual([]);
  });

  it("never sends a wrong length, for which the kernel would drop the rest in silence", async () => {
    const { path, ipvs } = inNewNamespace();
    const socket = nativeTransport.open(NETLINK_GENERIC, path);
    const writer = new MessageWriter();
    const id = await ipvs.id(NEVER);
    for (const port of [1, 2, 3]) {
      writer.begin(id, 5, port);
      writer.raw(Uint8Array.of(NEW_SERVICE, 1, 0, 0));
      writeService(writer, port);
      writer.end();
    }
    const bytes = writer.toBytes();
    const second = new DataView(bytes.buffer).getUint32(0, true);
    new DataView(bytes.buffer).setUint32(second, 7, true);
    expect(socket.send(bytes, bytes.length)).toBe(-22);
    socket.close();
    await expect(listServices(ipvs)).resolves.toHaveLength(0);
  });
});
