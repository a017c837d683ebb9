import { describe, expect, it } from "vitest";
import type { Clock } from "../lib/clock.ts";
import { AbortedError } from "../lib/errors.ts";
import { ERRNO } from "../netlink/errno.ts";
import type { LinkFrame } from "../netlink/transport.ts";
import { ownMacsOf, probeAddress, type ProbeOptions, type ProbeVerdict } from "./address-probe.ts";
import { announceAddresses } from "./announce.ts";
import { arpAnnouncement, arpProbe, decodeArp, encodeArp } from "./arp-wire.ts";
import { decodeNeighbourMessage, encodeAnnouncement, encodeProbe } from "./nd-wire.ts";
import { aLink } from "./testing/builders.ts";
import { FakeLink, type Neighbour } from "./testing/fake-link.ts";
import { parseMac } from "./wire.ts";

const VIP = "192.0.2.1";
const VIP6 = "2001:db8::1";
const THEIRS = "02:00:00:00:00:99";
const OTHER_OF_OURS = "02:00:00:00:00:03";
const links = [aLink("lo"), aLink("eth0"), aLink("eth1", { index: 3 })];

/** Sleeps take no time and are added up. */
class SkippingClock implements Clock {
  now = 0;
  monotonicMs(): number {
    return this.now;
  }
  wallMs(): number {
    return this.now;
  }
  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(new AbortedError("sleep aborted"));
    // Answers that are on their way come first.
    return new Promise((resolve) => {
      setImmediate(() =>
        setImmediate(() => {
          if (!signal.aborted) this.now += milliseconds;
          resolve();
        }),
      );
    });
  }
}

interface Outcome {
  readonly verdict: ProbeVerdict;
  readonly wire: FakeLink;
  readonly tookMs: number;
}

async function probe(
  address: string,
  neighbour: Neighbour,
  overrides: Partial<ProbeOptions> = {},
): Promise<Outcome> {
  const wire = new FakeLink(neighbour);
  const clock = new SkippingClock();
  const options = {
    transport: wire,
    address,
    link: aLink("eth0"),
    ownMacs: ownMacsOf(links),
    clock,
    ...overrides,
  };
  const verdict = await probeAddress(options, AbortSignal.timeout(10_000));
  expect(wire.openSockets).toBe(0);
  return { verdict, wire, tookMs: clock.now };
}

function arpReply(mac: string, address = VIP): Partial<LinkFrame> {
  const packet = arpAnnouncement(parseMac(mac), address, "reply");
  return { payload: encodeArp(packet), source: parseMac(mac) };
}

describe("probeAddress", () => {
  it.each([VIP, VIP6])(
    "asks three times for %s within a second and believes silence",
    async (ip) => {
      const { verdict, wire, tookMs } = await probe(ip, () => null);
      expect(verdict).toEqual({ kind: "free" });
      expect(wire.sent).toHaveLength(3);
      expect(tookMs).toBe(1000);
    },
  );

  it("asks without claiming anything", async () => {
    const { wire } = await probe(VIP, () => null);
    expect(decodeArp(wire.sent[0]?.payload ?? new Uint8Array())).toMatchObject({
      operation: "request",
      senderIp: "0.0.0.0",
      targetIp: VIP,
    });
    const nd = await probe(VIP6, () => null);
    expect(decodeNeighbourMessage(nd.wire.sent[0]?.payload ?? new Uint8Array())).toMatchObject({
      kind: "solicitation",
      source: "::",
      target: VIP6,
    });
  });

  it.each<{ name: string; address: string; frame: Partial<LinkFrame> }>([
    { name: "an ARP reply", address: VIP, frame: arpReply(THEIRS) },
    {
      name: "an ARP probe of somebody else",
      address: VIP,
      frame: {
        payload: encodeArp(arpProbe(parseMac(THEIRS), VIP)),
        source: parseMac(THEIRS),
      },
    },
    {
      name: "a neighbour advertisement",
      address: VIP6,
      frame: { payload: encodeAnnouncement(parseMac(THEIRS), VIP6, false).payload },
    },
    {
      name: "a neighbour solicitation from ::",
      address: VIP6,
      frame: { payload: encodeProbe(VIP6).payload, source: parseMac(THEIRS) },
    },
  ])("takes $name for an owner and asks no more", async ({ address, frame }) => {
    const { verdict, wire } = await probe(address, () => frame);
    expect(verdict).toEqual({ kind: "occupied", macAddress: THEIRS });
    expect(wire.sent).toHaveLength(1);
  });

  it("hears an owner that answers only the last question", async () => {
    const answer: Neighbour = (_frame, number) => (number === 3 ? arpReply(THEIRS) : null);
    expect((await probe(VIP, answer)).verdict).toEqual({ kind: "occupied", macAddress: THEIRS });
  });

  it.each<{ name: string; address: string; frame: Partial<LinkFrame> }>([
    { name: "an answer of our other interface", address: VIP, frame: arpReply(OTHER_OF_OURS) },
    {
      name: "our own frame on its way out",
      address: VIP,
      frame: { ...arpReply(THEIRS), delivery: "outgoing" },
    },
    { name: "an answer about another address", address: VIP, frame: arpReply(THEIRS, "192.0.2.2") },
    { name: "bytes that are nothing", address: VIP, frame: { payload: new Uint8Array(28) } },
    {
      name: "an advertisement of another address",
      address: VIP6,
      frame: { payload: encodeAnnouncement(parseMac(THEIRS), "2001:db8::2", false).payload },
    },
  ])("is not misled by $name", async ({ address, frame }) => {
    expect((await probe(address, () => frame)).verdict).toEqual({ kind: "free" });
  });

  it.each([
    { name: "lo", link: aLink("lo") },
    { name: "a tunnel", link: aLink("tunl0", { noArp: true, macAddress: undefined }) },
    { name: "a dummy", link: aLink("dummy0", { noArp: true }) },
  ])("sends nothing on $name, where nobody else can be", async ({ link }) => {
    const { verdict, wire } = await probe(VIP, () => arpReply(THEIRS), { link });
    expect(verdict).toEqual({ kind: "free" });
    expect(wire.sent).toEqual([]);
  });

  it("says why when it cannot ask, and closes its socket", async () => {
    const wire = new FakeLink();
    wire.sendError = -ERRNO.ENETDOWN;
    const link = aLink("eth0");
    const asked = probeAddress(
      { transport: wire, address: VIP, link, ownMacs: new Set() },
      AbortSignal.timeout(1000),
    );
    await expect(asked).rejects.toMatchObject({ code: "LVS_SOCKET", errno: "ENETDOWN" });
    expect(wire.openSockets).toBe(0);
  });

  it("stops when the signal fires", async () => {
    const wire = new FakeLink();
    const stop = new AbortController();
    const options = {
      transport: wire,
      address: VIP,
      link: aLink("eth0"),
      ownMacs: new Set<string>(),
    };
    const asked = probeAddress(options, stop.signal);
    stop.abort();
    await expect(asked).rejects.toThrow(AbortedError);
    expect(wire.openSockets).toBe(0);
  });
});

describe("announceAddresses", () => {
  async function announce(addresses: readonly string[], link = aLink("eth0")): Promise<Outcome> {
    const wire = new FakeLink();
    const clock = new SkippingClock();
    const options = { transport: wire, link, addresses, clock };
    await announceAddresses(options, AbortSignal.timeout(10_000));
    expect(wire.openSockets).toBe(0);
    return { verdict: { kind: "free" }, wire, tookMs: clock.now };
  }

  it("tells each address by request and reply, or by advertisement, in three rounds", async () => {
    const { wire, tookMs } = await announce([VIP, VIP6, "192.0.2.2"]);
    const round = wire.sent.slice(0, 5).map(({ payload }) => {
      const arp = decodeArp(payload);
      if (arp !== undefined) return `${arp.operation} ${arp.senderIp} ${arp.targetIp}`;
      const nd = decodeNeighbourMessage(payload);
      return `${nd?.kind ?? "?"} ${nd?.target ?? "?"}`;
    });
    expect(round).toEqual([
      `request ${VIP} ${VIP}`,
      `reply ${VIP} ${VIP}`,
      "request 192.0.2.2 192.0.2.2",
      "reply 192.0.2.2 192.0.2.2",
      `advertisement ${VIP6}`,
    ]);
    expect(wire.sent).toHaveLength(15);
    expect(tookMs).toBe(1000);
  });

  it("is silent on lo", async () => {
    expect((await announce([VIP], aLink("lo"))).wire.sent).toEqual([]);
  });
});
