import { describe, expect, it } from "vitest";
import { ERRNO } from "../netlink/errno.ts";
import {
  type Reply,
  type Script,
  type ScriptedRequest,
  ScriptedTransport,
  ack,
  data,
  done,
  withSequence,
} from "../netlink/testing/scripted-transport.ts";
import { keepsAddressMarks } from "./kernel-reader.ts";
import { NetlinkHost } from "./netlink-host.ts";
import { aVip } from "./testing/builders.ts";
import { RTM_GETLINK, RTM_GETROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWROUTE } from "./uapi.ts";

const signal = AbortSignal.timeout(20_000);
// ifinfomsg of interface 2, up; IFLA_IFNAME eth0.
const ETH0 = Buffer.from("00000100020000000100000000000000090003006574683000000000", "hex");
// rtmsg of a unicast route; RTA_OIF 2.
const ON_LINK = Buffer.from("0220000000000001000000000800040002000000", "hex");

function hostOf(script: Script): { host: NetlinkHost; transport: ScriptedTransport } {
  const transport = new ScriptedTransport(script);
  return { host: new NetlinkHost({ transport, kernelRelease: "6.1.0" }), transport };
}

const linkList = (request: ScriptedRequest | undefined): readonly Reply[] => [
  data(request, ETH0, { type: RTM_NEWLINK }),
  done(request),
];
const route = (request: ScriptedRequest | undefined): Uint8Array =>
  data(request, ON_LINK, { type: RTM_NEWROUTE, flags: 0 });

describe("lookUpRoutes", () => {
  const addresses = Array.from({ length: 250 }, (_, i) => `10.0.0.${i + 1}`);

  /** Every second address has no route. */
  const everySecond: Script = (requests) => {
    const [first] = requests;
    if (first?.type === RTM_GETLINK) return linkList(first);
    const last = requests.length - 1;
    return requests.flatMap((request, i) => {
      if (i % 2 === 1) return [ack(request, ERRNO.ENETUNREACH)];
      return i === last ? [route(request), ack(request)] : [route(request)];
    });
  };

  it("asks for a hundred at a time and tells answers from refusals", async () => {
    const { host, transport } = hostOf(everySecond);
    const routes = await host.lookUpRoutes(addresses, signal);
    expect(routes.size).toBe(125);
    expect(routes.get("10.0.0.1")).toEqual({ local: false, onLink: true, interfaceName: "eth0" });
    const sends = transport.sockets.flatMap(({ sends }) => sends);
    const lookUps = sends.filter(([first]) => first?.type === RTM_GETROUTE);
    expect(lookUps.map(({ length }) => length)).toEqual([100, 100, 50]);
  });

  it.each<{ name: string; broken: Script; reason: string }>([
    { name: "an answer is missing", broken: () => [], reason: "silence" },
    { name: "answers were dropped", broken: () => [{ errno: ERRNO.ENOBUFS }], reason: "overrun" },
    {
      name: "an answer is nobody's",
      broken: ([request]) => [withSequence(route(request), 9999)],
      reason: "confused",
    },
    {
      name: "an answer is cut off",
      broken: ([request]) => [{ truncated: route(request) }],
      reason: "truncated",
    },
  ])("throws when $name, and asks on a new socket the next time", async ({ broken, reason }) => {
    let failing = true;
    const { host, transport } = hostOf((requests, socket) =>
      failing ? broken(requests, socket) : everySecond(requests, socket),
    );
    const lost = host.lookUpRoutes(["10.0.0.1"], signal);
    await expect(lost).rejects.toMatchObject({ code: "LVS_NETLINK_LOST", reason });
    expect(transport.openSockets).toBe(0);
    failing = false;
    expect((await host.lookUpRoutes(["10.0.0.1"], signal)).size).toBe(1);
  });
});

describe("addAddress", () => {
  it("says what was refused, with the kernel's own words", async () => {
    const { host } = hostOf(([request]) =>
      request?.type === RTM_NEWADDR
        ? [ack(request, ERRNO.EINVAL, { text: "ipv4: Invalid mask" })]
        : [data(request, ETH0, { type: RTM_NEWLINK, flags: 0 }), ack(request)],
    );
    await expect(host.addAddress(aVip("192.0.2.1", "eth0"), "director", signal)).rejects.toThrow(
      "add 192.0.2.1 to eth0: EINVAL (ipv4: Invalid mask)",
    );
  });
});

describe("bringLinkUp", () => {
  it("reports the refusal of a device when one of another name is in the way", async () => {
    const { host } = hostOf(([request]) => [
      ack(request, request?.type === RTM_NEWLINK ? ERRNO.EEXIST : ERRNO.ENODEV),
    ]);
    const up = host.bringLinkUp({ name: "tunl0", kind: "ipip" }, signal);
    await expect(up).rejects.toMatchObject({ errno: "EEXIST" });
  });

  it("uses the device that the kernel made when it loaded the module", async () => {
    let loaded = false;
    const { host } = hostOf(([request]) => {
      if (request?.type !== RTM_NEWLINK) return [ack(request, loaded ? 0 : ERRNO.ENODEV)];
      loaded = true;
      return [ack(request, ERRNO.EEXIST)];
    });
    await host.bringLinkUp({ name: "tunl0", kind: "ipip" }, signal);
    expect(loaded).toBe(true);
  });
});

describe("keepsAddressMarks", () => {
  it.each([
    ["5.17.15", false],
    ["5.18.0", true],
    ["6.1.0-18-amd64", true],
    ["7.2.7", true],
    ["4.19.0", false],
    ["", false],
  ])("of %s is %s", (kernelRelease, keeps) => {
    expect(keepsAddressMarks(kernelRelease)).toBe(keeps);
  });
});
