import { describe, expect, it } from "vitest";
import { isFulfilled, parseSysctlValue, partnerOf, reconcileWishes } from "./sysctl-semantics.ts";
import { aKey, aSysctl } from "./testing/builders.ts";

describe("isFulfilled", () => {
  it.each([
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 0, all: 0, fulfilled: false },
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 0, all: 1, fulfilled: true },
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 2, all: 0, fulfilled: true },
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 8, all: 0, fulfilled: true },
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 1, all: 3, fulfilled: false },
    { id: "conf/eth0/arp_ignore", wanted: 1, device: 5, all: 0, fulfilled: false },
    { id: "conf/eth0/arp_ignore", wanted: 2, device: 1, all: 1, fulfilled: false },
    { id: "conf/eth0/arp_announce", wanted: 2, device: 1, all: 1, fulfilled: false },
    { id: "conf/eth0/arp_announce", wanted: 1, device: 0, all: 2, fulfilled: true },
    { id: "conf/eth0/arp_announce", wanted: 2, device: 2, all: 3, fulfilled: false },
    { id: "conf/eth0/rp_filter", wanted: 2, device: 0, all: 0, fulfilled: true },
    { id: "conf/eth0/rp_filter", wanted: 2, device: 0, all: 1, fulfilled: false },
    { id: "conf/eth0/rp_filter", wanted: 2, device: 2, all: 1, fulfilled: true },
    { id: "conf/eth0/rp_filter", wanted: 0, device: 0, all: 2, fulfilled: false },
    { id: "conf/eth0/accept_local", wanted: 1, device: 0, all: 1, fulfilled: true },
    { id: "conf/eth0/send_redirects", wanted: 0, device: 0, all: 1, fulfilled: true },
    { id: "conf/all/arp_ignore", wanted: 1, device: 2, all: 2, fulfilled: false },
    { id: "vs/conntrack", wanted: 1, device: 1, all: undefined, fulfilled: true },
    { id: "vs/conntrack", wanted: 1, device: 2, all: undefined, fulfilled: false },
  ])("of $id = $wanted with $device on it and $all on `all` is $fulfilled", (row) => {
    expect(isFulfilled(aSysctl(row.id, row.wanted), row.device, row.all)).toBe(row.fulfilled);
  });

  it("compares several numbers as a whole", () => {
    expect(isFulfilled(aSysctl("vs/sync_threshold", "2 50"), "2 50", undefined)).toBe(true);
    expect(isFulfilled(aSysctl("vs/sync_threshold", "2 50"), "3 50", undefined)).toBe(false);
    expect(isFulfilled(aSysctl("vs/sync_threshold", "2 50"), 2, undefined)).toBe(false);
  });
});

describe("partnerOf", () => {
  it.each([
    ["conf/eth0/arp_ignore", { kind: "conf", interfaceName: "all", name: "arp_ignore" }],
    ["conf/eth0/send_redirects", undefined],
    ["conf/all/arp_ignore", undefined],
    ["vs/arp_ignore", undefined],
  ])("of %s is %j", (id, partner) => {
    expect(partnerOf(aKey(id))).toEqual(partner);
  });
});

describe("reconcileWishes", () => {
  it.each([
    ["conf/eth0/arp_ignore", [1, 2], 2],
    ["conf/eth0/arp_announce", [2, 1, 2], 2],
    ["conf/eth0/rp_filter", [2, 0], 0],
    ["vs/sync_threshold", ["3 50", "2 50"], "3 50"],
    ["vs/conntrack", [1], 1],
  ])("of %s and %j is %j, in whatever order they come", (id, wishes, value) => {
    expect(reconcileWishes(aKey(id), wishes)).toBe(value);
    expect(reconcileWishes(aKey(id), wishes.toReversed())).toBe(value);
  });
});

describe("parseSysctlValue", () => {
  it.each([
    ["1\n", 1],
    ["0\n", 0],
    ["-4\n", -4],
    ["3\t50\n", "3 50"],
    ["0-3\n", "0-3"],
    ["007\n", "007"],
    ["18446744073709551615\n", "18446744073709551615"],
    ["\n", ""],
  ])("reads %j as %j", (text, value) => {
    expect(parseSysctlValue(text)).toBe(value);
  });
});
