import { writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HostOwner } from "../host/model.ts";
import { NOTHING_DESIRED } from "../host/plan.ts";
import { aHost, aSysctl, aVip } from "../host/testing/builders.ts";
import { HostKeeper, type HostWish } from "./host-keeper.ts";
import { NodeFixture } from "./testing/node-fixture.ts";

const signal = AbortSignal.timeout(20_000);
const NOTHING_RETAINED = { everything: false, addresses: new Set<string>(), settings: false };
const VIP = "192.0.2.10";
const wish: HostWish = {
  desired: aHost({
    addresses: [aVip(VIP, "eth0")],
    sysctls: [aSysctl("vs/conn_reuse_mode", 1)],
  }),
  retained: NOTHING_RETAINED,
};
const nothing: HostWish = { desired: NOTHING_DESIRED, retained: NOTHING_RETAINED };

let node: NodeFixture;
beforeEach(() => {
  node = new NodeFixture();
});
afterEach(() => node[Symbol.dispose]());

function keeper(owner: HostOwner = "director"): HostKeeper {
  const { host: client, locks, log } = node;
  return new HostKeeper({ owner, client, store: node.openJournal(), locks, log });
}

describe("HostKeeper", () => {
  it("sets settings first and binds only what may be bound", async () => {
    const host = keeper();
    const before = await host.before(wish, signal);
    expect(before.executed).toMatchObject([{ op: "set-sysctl" }]);
    expect(before.missing).toEqual(wish.desired.addresses);
    expect((await host.after(wish, () => false, signal)).executed).toEqual([]);
    expect((await host.after(wish, () => true, signal)).executed).toMatchObject([
      { op: "add-address" },
    ]);
    expect(node.vips).toEqual([`${VIP} eth0`]);
  });

  it("pays nothing for a wish that it knows to be fulfilled, until a hint", async () => {
    const host = keeper();
    await host.after(wish, () => true, signal);
    await host.after(wish, () => true, signal);
    const { looks } = node.host;
    expect(await host.after(wish, () => true, signal)).toMatchObject({ looked: false });
    expect(await host.before({ ...wish }, signal)).toMatchObject({ looked: false });
    expect(node.host.looks).toBe(looks);
    host.invalidate();
    expect(await host.after(wish, () => true, signal)).toMatchObject({ looked: true });
  });

  it("looks again for a wish that retains something else", async () => {
    const host = keeper();
    await host.after(wish, () => true, signal);
    await host.after(wish, () => true, signal);
    const retained = { ...NOTHING_RETAINED, addresses: new Set([VIP]) };
    expect(await host.after({ ...wish, retained }, () => true, signal)).toMatchObject({
      looked: true,
    });
  });

  it("takes addresses off first, and restores settings last", async () => {
    const host = keeper();
    await host.after(wish, () => true, signal);
    expect((await host.before(nothing, signal)).executed).toMatchObject([{ op: "remove-address" }]);
    expect((await host.after(nothing, () => true, signal)).executed).toMatchObject([
      { op: "restore-sysctl" },
    ]);
  });

  it("does not take a look from before a hint for one from after it", async () => {
    const host = keeper();
    const early = host.view(signal);
    host.invalidate();
    await early;
    await node.host.change((world) => world.takeLinkDown("eth1", true));
    expect((await host.view(signal)).links.map(({ name }) => name)).toEqual(["lo", "eth0"]);
  });

  it("looks up routes once, and only new addresses later", async () => {
    const host = keeper();
    const first = await host.routes({ all: new Set(["192.0.2.21"]), added: new Set() }, signal);
    const added = new Set(["192.0.2.21"]);
    expect(await host.routes({ all: added, added }, signal)).toBe(first);
    expect(node.host.routeLookUps).toBe(1);
    const more = new Set(["192.0.2.21", "192.0.2.22"]);
    expect((await host.routes({ all: more, added: more }, signal)).size).toBe(2);
  });

  it("sets a broken journal aside, says so, and goes on with the kernel's marks", async () => {
    await keeper().after(wish, () => true, signal);
    await writeFile(node.journalPath, "{ cut off");
    await keeper().after(nothing, () => true, signal);
    expect(node.vips).toEqual([]);
    expect(node.lines).toContain("error journal cannot be used, set aside");
  });

  it("keeps what the other agent of the node needs", async () => {
    const other: HostWish = {
      desired: aHost({
        addresses: [aVip("192.0.2.30", "lo")],
        sysctls: [aSysctl("vs/conn_reuse_mode", 1)],
      }),
      retained: NOTHING_RETAINED,
    };
    await keeper("director").after(wish, () => true, signal);
    await keeper("realserver").after(other, () => true, signal);
    await keeper("director").after(nothing, () => true, signal);
    expect(node.vips).toEqual(["192.0.2.30 lo"]);
    expect(node.host.world.state().sysctls).toMatchObject({ "vs/conn_reuse_mode": 1 });
    await keeper("realserver").after(nothing, () => true, signal);
    expect(node.host.world.state().sysctls).toMatchObject({ "vs/conn_reuse_mode": 0 });
  });
});
