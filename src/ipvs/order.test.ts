import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareIp } from "../lib/ip-address.ts";
import { compareDestinations, compareServices, inCanonicalOrder } from "./order.ts";
import { aDestination, aMark, anIdentity } from "./testing/builders.ts";
import { addresses, destinations, identities } from "./testing/arbitraries.ts";
import { serviceKey } from "./model.ts";

describe("compareDestinations", () => {
  it("orders by family, address as a number, and port", () => {
    const sorted = [
      aDestination({ address: "9.0.0.1", port: 9000 }),
      aDestination({ address: "10.0.0.1", port: 80 }),
      aDestination({ address: "10.0.0.1", port: 443 }),
      aDestination({ address: "::1" }),
      aDestination({ address: "2001:db8::1" }),
    ];
    expect(sorted.toReversed().toSorted(compareDestinations)).toEqual(sorted);
  });

  it("agrees with the order of addresses", () => {
    const pairs = fc.oneof(
      fc.tuple(addresses("IPv4"), addresses("IPv4")),
      fc.tuple(addresses("IPv6"), addresses("IPv4")),
      fc.tuple(addresses("IPv6"), addresses("IPv6")),
    );
    fc.assert(
      fc.property(pairs, ([a, b]) => {
        const ours = compareDestinations({ address: a, port: 1 }, { address: b, port: 1 });
        expect(Math.sign(ours)).toBe(Math.sign(compareIp(a, b)));
      }),
    );
  });
});

describe("compareServices", () => {
  it("orders addresses before marks, and is zero only for the same identity", () => {
    const tcp = anIdentity("192.0.2.10", 53, "TCP");
    const udp = anIdentity("192.0.2.10", 53, "UDP");
    const sorted = [tcp, udp, anIdentity("192.0.2.10", 80), aMark(1), aMark(2), aMark(1, "IPv6")];
    expect(sorted.toReversed().toSorted(compareServices)).toEqual(sorted);
    fc.assert(
      fc.property(identities, identities, (a, b) => {
        expect(compareServices(a, b) === 0).toBe(serviceKey(a) === serviceKey(b));
        expect(Math.sign(compareServices(a, b)) + Math.sign(compareServices(b, a))).toBe(0);
      }),
    );
  });
});

describe("inCanonicalOrder", () => {
  it("sorts, and gives back the same list when it is sorted", () => {
    fc.assert(
      fc.property(fc.array(destinations, { maxLength: 8 }), (list) => {
        const sorted = inCanonicalOrder(list);
        expect(sorted).toEqual(list.toSorted(compareDestinations));
        expect(inCanonicalOrder(sorted)).toBe(sorted);
      }),
    );
  });
});
