import { describe, expect, it } from "vitest";
import { ERRNO } from "../netlink/errno.ts";
import { MessageWriter } from "../netlink/writer.ts";
import {
  ScriptedTransport,
  ack,
  data,
  done,
  type Reply,
  type ScriptedRequest,
} from "../netlink/testing/scripted-transport.ts";
import type { IpvsClient } from "./client.ts";
import type { Destination, Service } from "./model.ts";
import { serviceKey } from "./model.ts";
import { openIpvsClient } from "./netlink-client.ts";
import { aDestination, anIdentity, aService } from "./testing/builders.ts";
import { IPVS_CMD } from "./uapi.ts";
import { DEST_CONFIG_MESSAGE, SERVICE_CONFIG_MESSAGE } from "./wire.ts";
import { destinationToAttrs } from "./wire-destination.ts";
import { serviceToAttrs } from "./wire-service.ts";

const CONTROLLER = 16;
const signal = AbortSignal.timeout(20_000);

/** A kernel of scripted answers: the family has an id, IPVS commands go to the handler. */
interface Kernel {
  familyId: number | undefined;
  answer: (command: number, request: ScriptedRequest) => readonly Reply[];
}

function clientOf(kernel: Kernel): { client: IpvsClient; transport: ScriptedTransport } {
  const transport = new ScriptedTransport((requests) =>
    requests.flatMap((request) => answer(kernel, request)),
  );
  return { client: openIpvsClient({ transport }), transport };
}

function answer(kernel: Kernel, request: ScriptedRequest): readonly Reply[] {
  if (request.type === CONTROLLER) {
    if (kernel.familyId === undefined) return [ack(request, ERRNO.ENOENT)];
    return [data(request, family(kernel.familyId), { flags: 0 }), ack(request)];
  }
  if (request.type !== kernel.familyId) return [ack(request, ERRNO.ENOENT)];
  return kernel.answer(request.payload[0] ?? 0, request);
}

function payload(command: number, write: (writer: MessageWriter) => void): Uint8Array {
  const writer = new MessageWriter(256);
  writer.u8(command);
  writer.u8(1);
  writer.u16(0);
  write(writer);
  return writer.toBytes();
}

function family(id: number): Uint8Array {
  return payload(1, (writer) => {
    writer.attrU16(1, id);
    writer.attrString(2, "IPVS");
  });
}

function serviceData(request: ScriptedRequest, service: Service, over: object = {}): Uint8Array {
  const SERVICE = { ...serviceToAttrs(service), ...over };
  return data(
    request,
    payload(1, (w) => SERVICE_CONFIG_MESSAGE.encode(w, { SERVICE })),
  );
}

function destinationData(request: ScriptedRequest, destination: Destination): Uint8Array {
  const DEST = destinationToAttrs(destination);
  return data(
    request,
    payload(5, (w) => DEST_CONFIG_MESSAGE.encode(w, { DEST })),
  );
}

const CREATE = { op: "create-service", service: aService() } as const;
const success = (_command: number, request: ScriptedRequest): readonly Reply[] =>
  (request.flags & 4) === 0 ? [] : [ack(request)];

describe("the netlink client", () => {
  it("looks the family up again when its number went stale, and repeats the commands", async () => {
    const kernel: Kernel = { familyId: 34, answer: success };
    const { client } = clientOf(kernel);
    await client.execute([CREATE], signal);
    kernel.familyId = 35;
    expect(await client.execute([CREATE, CREATE], signal)).toEqual({ sent: 2, failures: [] });
  });

  it("takes ENOENT under a number that still holds for the command's own", async () => {
    const kernel: Kernel = { familyId: 34, answer: (_, r) => [ack(r, ERRNO.ENOENT)] };
    const { client } = clientOf(kernel);
    const { failures } = await client.execute([CREATE], signal);
    expect(failures).toEqual([{ index: 0, command: CREATE, errno: "ENOENT" }]);
  });

  it("says that the kernel has no IPVS", async () => {
    const { client } = clientOf({ familyId: undefined, answer: success });
    const missing = { code: "LVS_KERNEL_UNAVAILABLE", reason: "NoModule" };
    await expect(client.info(signal)).rejects.toMatchObject(missing);
    await expect(client.execute([CREATE], signal)).rejects.toMatchObject(missing);
  });

  it.each([
    ["EPERM", "NoPermission"],
    ["ENOPROTOOPT", "Unloading"],
  ] as const)("turns %s into an unavailable kernel", async (errno, reason) => {
    const { client } = clientOf({ familyId: 34, answer: (_, r) => [ack(r, ERRNO[errno])] });
    const unavailable = { code: "LVS_KERNEL_UNAVAILABLE", reason, errno };
    await expect(client.info(signal)).rejects.toMatchObject(unavailable);
    await expect(client.readTable(signal)).rejects.toMatchObject(unavailable);
    await expect(client.execute([CREATE], signal)).rejects.toMatchObject(unavailable);
  });

  it("reports lost answers", async () => {
    const { client } = clientOf({ familyId: 34, answer: () => [{ errno: ERRNO.ENOBUFS }] });
    await expect(client.execute([CREATE], signal)).rejects.toMatchObject({
      code: "LVS_NETLINK_LOST",
    });
  });

  it("asks for an ack on the last command of a send only", async () => {
    const { client, transport } = clientOf({ familyId: 34, answer: success });
    await client.execute(
      Array.from({ length: 300 }, () => CREATE),
      signal,
    );
    const sends = transport.sockets[0]?.sends.slice(1) ?? [];
    expect(sends.map((s) => s.length).reduce((a, b) => a + b)).toBe(300);
    for (const send of sends) {
      expect(send.length).toBeLessThanOrEqual(120);
      expect(send.map(({ flags }) => flags & 4)).toEqual(
        send.map((_, i) => (i === send.length - 1 ? 4 : 0)),
      );
    }
  });

  it("counts an entry once that a dump shows twice, and leaves out what it cannot name", async () => {
    const destination = aDestination();
    const { client } = clientOf({
      familyId: 34,
      answer: (command, request) =>
        command === IPVS_CMD.GET_SERVICE
          ? [
              serviceData(request, aService()),
              serviceData(request, aService(), { PROTOCOL: 47, PORT: 9 }),
              serviceData(request, aService()),
              done(request),
            ]
          : [
              destinationData(request, destination),
              destinationData(request, destination),
              done(request),
            ],
    });
    const { services } = await client.readTable(signal);
    expect([...services.keys()]).toEqual([serviceKey(anIdentity())]);
    expect(services.get(serviceKey(anIdentity()))?.destinations).toHaveLength(1);
  });

  it("leaves out a service that went away between the two dumps", async () => {
    let alive = true;
    const { client } = clientOf({
      familyId: 34,
      answer: (command, request) => {
        if (command === IPVS_CMD.GET_DEST) {
          alive = false;
          return [done(request)];
        }
        return alive
          ? [serviceData(request, aService()), done(request)]
          : [ack(request, ERRNO.ESRCH)];
      },
    });
    expect((await client.readTable(signal)).services.size).toBe(0);
  });

  it("keeps dumps and commands on sockets of their own, and closes both", async () => {
    const { client, transport } = clientOf({
      familyId: 34,
      answer: (command, request) =>
        command === IPVS_CMD.GET_SERVICE ? [done(request)] : success(command, request),
    });
    await client.readTable(signal);
    await client.execute([CREATE], signal);
    expect(transport.sockets).toHaveLength(2);
    client.close();
    expect(transport.openSockets).toBe(0);
    await expect(client.info(signal)).rejects.toMatchObject({ code: "LVS_SOCKET" });
  });
});
