import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp } from "../lib/ip-address.ts";
import {
  decodeNeighbourMessage,
  encodeAnnouncement,
  encodeProbe,
  solicitedNodeMac,
} from "./nd-wire.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const VIP = "2001:db8::1:2:3";
const anIpv6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .filter((bytes) => bytes[0] !== 0)
  .map(formatIp);

describe("encodeProbe", () => {
  it("asks from :: at the solicited-node address", () => {
    const { payload, destinationMac } = encodeProbe(VIP);
    expect(destinationMac).toEqual(solicitedNodeMac(VIP));
    expect(Buffer.from(destinationMac).toString("hex")).toBe("3333ff020003");
    expect(formatIp(payload.slice(24, 40))).toBe("ff02::1:ff02:3");
    expect(decodeNeighbourMessage(payload)).toEqual({
      kind: "solicitation",
      source: "::",
      target: VIP,
    });
  });
});

describe("encodeAnnouncement", () => {
  it("is an override for all nodes, with the link-layer address", () => {
    fc.assert(
      fc.property(anIpv6, fc.boolean(), (address, router) => {
        const { payload, destinationMac } = encodeAnnouncement(MAC, address, router);
        expect(Buffer.from(destinationMac).toString("hex")).toBe("333300000001");
        expect(decodeNeighbourMessage(payload)).toEqual({
          kind: "advertisement",
          source: address,
          target: address,
          targetMac: MAC,
          router,
          solicited: false,
          override: true,
        });
      }),
    );
  });
});

describe("decodeNeighbourMessage", () => {
  it("reads any bytes as a message or as none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void decodeNeighbourMessage(bytes)),
    );
  });

  it("reads none with any one byte changed: the checksum or a rule is broken", () => {
    const { payload } = encodeAnnouncement(MAC, VIP, false);
    // Version, class and label are not under the checksum, and say nothing.
    for (let at = 4; at < payload.length; at++) {
      const changed = payload.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      expect(decodeNeighbourMessage(changed)).toBeUndefined();
    }
  });

  it("ends at an option that says it has no length", () => {
    const { payload } = encodeAnnouncement(MAC, VIP, false);
    const view = new DataView(payload.buffer);
    payload[65] = 0;
    // One less in this byte is one more in the checksum.
    view.setUint16(42, view.getUint16(42) + 1);
    expect(decodeNeighbourMessage(payload)).toMatchObject({ targetMac: undefined });
  });
});
