/**
 * What a HostClient does, whatever is behind it. Runs on the node in memory (`npm test`) and on a
 * real kernel (`test/kernel/host-client.test.ts`).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AbortedError } from "../../lib/errors.ts";
import type { HostClient } from "../client.ts";
import type { ObservedAddress, ObservedHost, ObservedLink, SysctlValue } from "../model.ts";
import { aKey, aVip, anAddress } from "./builders.ts";

/**
 * The node that every subject starts as: `lo` up, `eth0` up with 10.0.0.1/24 and
 * 2001:db8:1::1/64 (no link-local address counts), `spare0` down and without addresses; routes to
 * 172.16.0.0/12 by 10.0.0.254 and to 2001:db8:2::/48 by 2001:db8:1::fe; none to anything else. No
 * tunnel devices.
 */
export interface HostContractSubject {
  readonly client: HostClient;
  /** Adds an address as a person would, without our mark. */
  addForeign(address: ObservedAddress): Promise<void>;
  dispose(): void | Promise<void>;
}

const VIP = aVip("192.0.2.10", "lo");
const VIP6 = aVip("2001:db8::10", "lo");
const ETH_VIP = aVip("10.0.0.10", "eth0");

export function describeHostClient(name: string, open: () => Promise<HostContractSubject>): void {
  describe(name, () => {
    let subject: HostContractSubject;
    let client: HostClient;
    const signal = AbortSignal.timeout(300_000);

    beforeEach(async () => {
      subject = await open();
      ({ client } = subject);
    });
    afterEach(async () => {
      client.close();
      await subject.dispose();
    });

    const observe = (...ids: string[]): Promise<ObservedHost> =>
      client.observe(ids.map(aKey), signal);
    async function link(linkName: string): Promise<ObservedLink | undefined> {
      return (await observe()).links.find((l) => l.name === linkName);
    }
    async function addressesOf(device: string): Promise<readonly string[]> {
      const { addresses } = await observe();
      const those = addresses.filter((a) => a.interfaceName === device);
      return those
        .map((a) => `${a.address}/${a.prefixLength}`)
        .filter((a) => !a.startsWith("fe80"));
    }
    async function value(id: string): Promise<SysctlValue | undefined> {
      return (await observe(id)).sysctls.get(id);
    }
    const set = (id: string, to: SysctlValue): Promise<void> =>
      client.setSysctl(aKey(id), to, signal);

    describe("links", () => {
      it("tells loopback, a device with neighbours and one that is down apart", async () => {
        expect(await link("lo")).toMatchObject({ index: 1, up: true, loopback: true });
        const eth0 = await link("eth0");
        expect(eth0).toMatchObject({ up: true, loopback: false, noArp: false });
        expect(eth0?.macAddress).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
        expect(await link("spare0")).toMatchObject({ up: false });
        expect((await link("lo"))?.macAddress).toBeUndefined();
      });

      it("brings a device up and takes it down again", async () => {
        await client.bringLinkUp({ name: "spare0", kind: undefined }, signal);
        expect(await link("spare0")).toMatchObject({ up: true });
        await client.takeLinkDown("spare0", false, signal);
        expect(await link("spare0")).toMatchObject({ up: false });
      });

      it("creates a missing device of a kind and removes it", async () => {
        await client.bringLinkUp({ name: "tunl0", kind: "ipip" }, signal);
        expect(await link("tunl0")).toMatchObject({ up: true, kind: "ipip", noArp: true });
        await client.takeLinkDown("tunl0", true, signal);
        expect(await link("tunl0")).toBeUndefined();
      });

      it("refuses a missing device with ENODEV", async () => {
        const up = client.bringLinkUp({ name: "none0", kind: undefined }, signal);
        await expect(up).rejects.toMatchObject({ code: "LVS_KERNEL_REJECTED", errno: "ENODEV" });
        const down = client.takeLinkDown("none0", true, signal);
        await expect(down).rejects.toMatchObject({ errno: "ENODEV" });
      });
    });

    describe("addresses", () => {
      it.each([VIP, VIP6, ETH_VIP])("adds $address as a single host of ours", async (vip) => {
        await client.addAddress(vip, "realserver", signal);
        const { addresses } = await observe();
        const found = addresses.find((a) => a.address === vip.address);
        expect(found).toMatchObject({
          family: vip.family,
          prefixLength: vip.family === "IPv4" ? 32 : 128,
          interfaceName: vip.interfaceName,
          ours: true,
          markedBy: "realserver",
        });
      });

      it("tells the marks of the two agents apart, and foreign addresses from both", async () => {
        await client.addAddress(VIP, "director", signal);
        await client.addAddress(VIP6, "realserver", signal);
        await subject.addForeign(anAddress("192.0.2.77", "lo"));
        const { addresses, addressMarks } = await observe();
        const marks = new Map(addresses.map((a) => [a.address, a.markedBy]));
        expect(marks.get(VIP.address)).toBe("director");
        expect(marks.get(VIP6.address)).toBe("realserver");
        expect(addresses.find((a) => a.address === "192.0.2.77")).toMatchObject({ ours: false });
        expect(addressMarks).toBe(true);
      });

      it("refuses an address that is there with EEXIST", async () => {
        await client.addAddress(VIP, "director", signal);
        const again = client.addAddress(VIP, "director", signal);
        await expect(again).rejects.toMatchObject({ errno: "EEXIST" });
      });

      it("has the same address on two devices", async () => {
        await client.addAddress(VIP, "director", signal);
        await client.addAddress({ ...VIP, interfaceName: "eth0" }, "director", signal);
        expect(await addressesOf("eth0")).toContain("192.0.2.10/32");
        expect(await addressesOf("lo")).toContain("192.0.2.10/32");
      });

      it("adds to a device that is down", async () => {
        await client.addAddress({ ...VIP, interfaceName: "spare0" }, "director", signal);
        expect(await addressesOf("spare0")).toEqual(["192.0.2.10/32"]);
      });

      it.each([VIP, VIP6])("removes $address and nothing else", async (vip) => {
        await client.addAddress(vip, "director", signal);
        await client.addAddress(ETH_VIP, "director", signal);
        const { addresses } = await observe();
        const there = addresses.find((a) => a.address === vip.address);
        if (there === undefined) throw new Error("not added");
        await client.removeAddress(there, signal);
        const left = (await observe()).addresses.map((a) => a.address);
        expect(left).not.toContain(vip.address);
        expect(left).toContain(ETH_VIP.address);
        expect(left).toContain("10.0.0.1");
        expect(left).toContain("2001:db8:1::1");
      });

      it("refuses to remove what is not there with EADDRNOTAVAIL", async () => {
        const removed = client.removeAddress(anAddress("192.0.2.99", "lo"), signal);
        await expect(removed).rejects.toMatchObject({ errno: "EADDRNOTAVAIL" });
        const removed6 = client.removeAddress(anAddress("2001:db8::99", "lo"), signal);
        await expect(removed6).rejects.toMatchObject({ errno: "EADDRNOTAVAIL" });
      });

      it("refuses an unknown device with ENODEV", async () => {
        const added = client.addAddress(aVip("192.0.2.1", "none0"), "director", signal);
        await expect(added).rejects.toMatchObject({ errno: "ENODEV" });
        const removed = client.removeAddress(anAddress("192.0.2.1", "none0"), signal);
        await expect(removed).rejects.toMatchObject({ errno: "ENODEV" });
      });

      it("loses the IPv6 addresses of a device that goes down, and keeps the IPv4 ones", async () => {
        await client.takeLinkDown("eth0", false, signal);
        expect(await addressesOf("eth0")).toEqual(["10.0.0.1/24"]);
      });
    });

    describe("settings", () => {
      it.each([
        ["conf/eth0/arp_ignore", 1],
        ["conf/eth0/arp_announce", 2],
        ["conf/eth0/rp_filter", 2],
        ["conf/eth0/send_redirects", 0],
        ["conf/eth0/accept_local", 1],
        ["conf/eth0/forwarding", 1],
        ["conf/spare0/arp_ignore", 2],
      ])("sets %s to %i and no other device's", async (id, wanted) => {
        const lo = id.replace(/eth0|spare0/, "lo");
        const before = await value(lo);
        await set(id, wanted);
        expect(await value(id)).toBe(wanted);
        expect(await value(lo)).toBe(before);
      });

      it("reads `all`, which decides together with the device", async () => {
        expect(typeof (await value("conf/all/arp_ignore"))).toBe("number");
      });

      it("sets a setting of the namespace", async () => {
        const before = await value("ipv4/ip_forward");
        await set("ipv4/ip_forward", before === 0 ? 1 : 0);
        expect(await value("ipv4/ip_forward")).toBe(before === 0 ? 1 : 0);
        await set("ipv4/ip_forward", before ?? 0);
      });

      it("knows no setting of a device or a name that is not there", async () => {
        const ids = ["conf/none0/arp_ignore", "ipv4/no_such_setting", "vs/no_such_setting"];
        const { sysctls } = await observe(...ids);
        for (const id of ids) {
          expect(sysctls.has(id)).toBe(true);
          expect(sysctls.get(id)).toBeUndefined();
        }
        await expect(set("conf/none0/arp_ignore", 1)).rejects.toMatchObject({ errno: "ENODEV" });
        await expect(set("ipv4/no_such_setting", 1)).rejects.toMatchObject({ errno: "ENOENT" });
      });
    });

    describe("routes", () => {
      it("tells local, on-link, behind a router and unreachable apart", async () => {
        const routes = await client.lookUpRoutes(
          ["10.0.0.1", "10.0.0.2", "172.16.5.5", "203.0.113.1"],
          signal,
        );
        expect(routes.get("10.0.0.1")).toMatchObject({ local: true });
        expect(routes.get("10.0.0.2")).toEqual({
          local: false,
          onLink: true,
          interfaceName: "eth0",
        });
        expect(routes.get("172.16.5.5")).toEqual({
          local: false,
          onLink: false,
          interfaceName: "eth0",
        });
        expect(routes.has("203.0.113.1")).toBe(false);
      });

      it("does the same for IPv6", async () => {
        const routes = await client.lookUpRoutes(
          ["2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::5", "2001:db8:9::9"],
          signal,
        );
        expect(routes.get("2001:db8:1::1")).toMatchObject({ local: true });
        expect(routes.get("2001:db8:1::2")).toMatchObject({ onLink: true, interfaceName: "eth0" });
        expect(routes.get("2001:db8:2::5")).toMatchObject({ onLink: false, local: false });
        expect(routes.has("2001:db8:9::9")).toBe(false);
      });

      it("answers for many at once, whatever each answer is", async () => {
        const wanted = Array.from({ length: 450 }, (_, i) =>
          i % 3 === 0 ? `10.0.0.${(i % 250) + 2}` : `203.0.${i % 200}.${(i % 250) + 1}`,
        );
        const routes = await client.lookUpRoutes(wanted, signal);
        const onLink = new Set(wanted.filter((a) => a.startsWith("10.")));
        expect(new Set(routes.keys())).toEqual(onLink);
      });

      it("answers for none with none", async () => {
        expect((await client.lookUpRoutes([], signal)).size).toBe(0);
      });
    });

    describe("watching", () => {
      it("tells of an address that comes and of a link that changes", async () => {
        const onChange = vi.fn<() => void>();
        const watch = client.watch({ onChange, onEnd: () => undefined });
        await subject.addForeign(anAddress("192.0.2.88", "lo"));
        await vi.waitFor(() => expect(onChange).toHaveBeenCalled());
        onChange.mockClear();
        await client.bringLinkUp({ name: "spare0", kind: undefined }, signal);
        await vi.waitFor(() => expect(onChange).toHaveBeenCalled());
        watch.close();
        watch.close();
      });

      it("tells nothing after it was closed", async () => {
        const onChange = vi.fn<() => void>();
        const watch = client.watch({ onChange, onEnd: () => undefined });
        watch.close();
        await client.addAddress(VIP, "director", signal);
        await observe();
        expect(onChange).not.toHaveBeenCalled();
      });
    });

    describe("stopping", () => {
      it("does nothing once the signal has fired", async () => {
        const aborted = AbortSignal.abort();
        await expect(client.addAddress(VIP, "director", aborted)).rejects.toThrow(AbortedError);
        await expect(client.observe([], aborted)).rejects.toThrow(AbortedError);
        expect(await addressesOf("lo")).not.toContain("192.0.2.10/32");
      });

      it("refuses everything after it was closed", async () => {
        client.close();
        client.close();
        await expect(observe()).rejects.toMatchObject({ code: "LVS_SOCKET", errno: "EBADF" });
        const lookUp = client.lookUpRoutes(["10.0.0.2"], signal);
        await expect(lookUp).rejects.toMatchObject({ errno: "EBADF" });
      });
    });
  });
}
