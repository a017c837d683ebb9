import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ERRNO } from "./errno.ts";
import { SocketError } from "./errors.ts";
import { Notifications } from "./notifications.ts";
import { ScriptedTransport, data } from "./testing/scripted-transport.ts";

function notice(value: number): Uint8Array {
  const request = { type: 20, flags: 0, sequence: 0, portId: 0, payload: new Uint8Array(0) };
  return data(request, Uint8Array.of(value, 0, 0, 0), { flags: 0 });
}

function subscribe(transport: ScriptedTransport): { log: string[]; notifications: Notifications } {
  const log: string[] = [];
  const notifications = new Notifications({
    transport,
    protocol: 0,
    groups: [5, 9],
    onMessage: ({ payload }) => log.push(`message ${payload[0] ?? -1}`),
    onLost: () => log.push("lost"),
    onFailed: (error) => log.push(`failed ${error.message}`),
  });
  return { log, notifications };
}

describe("Notifications", () => {
  it("joins the groups with a large buffer and delivers what comes", async () => {
    const transport = new ScriptedTransport(() => []);
    const { log, notifications } = subscribe(transport);
    const [socket] = transport.sockets;
    expect(socket?.options).toEqual([
      { level: 1, name: 33, value: 8 * 1024 * 1024 },
      { level: 270, name: 1, value: 5 },
      { level: 270, name: 1, value: 9 },
    ]);
    socket?.push(notice(1), notice(2));
    await delay(5);
    expect(log).toEqual(["message 1", "message 2"]);
    notifications.close();
    expect(transport.openSockets).toBe(0);
  });

  it("delivers what survived an overrun, then says that some is lost", async () => {
    const transport = new ScriptedTransport(() => []);
    const { log } = subscribe(transport);
    transport.sockets[0]?.push(notice(1), { errno: ERRNO.ENOBUFS }, notice(2));
    await delay(5);
    expect(log).toEqual(["message 1", "message 2", "lost"]);
  });

  it("counts a truncated notice as lost", async () => {
    const transport = new ScriptedTransport(() => []);
    const { log } = subscribe(transport);
    transport.sockets[0]?.push({ truncated: notice(1) }, notice(2));
    await delay(5);
    expect(log).toEqual(["message 2", "lost"]);
  });

  it("reports a loss also when the queue ran dry exactly at the end of its turn", async () => {
    const transport = new ScriptedTransport(() => []);
    const { log } = subscribe(transport);
    transport.sockets[0]?.push(...Array.from({ length: 8 }, () => ({ errno: ERRNO.ENOBUFS })));
    await delay(5);
    expect(log).toEqual(["lost"]);
  });

  it("fails once, and closes, when the socket is broken", async () => {
    const transport = new ScriptedTransport(() => []);
    const { log } = subscribe(transport);
    transport.sockets[0]?.push({ errno: ERRNO.EIO });
    await delay(5);
    expect(log).toEqual(["failed receive notification: EIO"]);
    expect(transport.openSockets).toBe(0);
  });

  it("closes the socket when it may not join", () => {
    const transport = new ScriptedTransport(() => []);
    transport.optionResults.set(1, -ERRNO.EPERM);
    expect(() => subscribe(transport)).toThrow(SocketError);
    expect(transport.openSockets).toBe(0);
  });
});
