import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KernelRejectedError } from "../netlink/errors.ts";
import {
  type HostChange,
  type HostChangeOptions,
  applySteps,
  changeHost,
  describeStep,
  updateJournal,
} from "./apply.ts";
import { EMPTY_JOURNAL } from "./journal.ts";
import { JournalStore } from "./journal-store.ts";
import { NodeLocks } from "./lock.ts";
import type { HostStep, SysctlKey, SysctlValue } from "./model.ts";
import { NOTHING_DESIRED } from "./plan.ts";
import { aHost, aKey, aLink, aSysctl, aVip, anAddress } from "./testing/builders.ts";
import { FakeHost } from "./testing/fake-host.ts";
import { HostWorld } from "./testing/host-world.ts";

const signal = AbortSignal.timeout(20_000);
const world = { bootId: "b", networkNamespace: "n" };
const desired = aHost({
  addresses: [aVip("192.0.2.1", "lo")],
  sysctls: [aSysctl("conf/eth0/arp_ignore", 1), aSysctl("vs/expire_nodest_conn", 1)],
});

/** A node whose /proc/sys is read-only, or that fails otherwise. */
class StubbornHost extends FakeHost {
  readonly refusals = new Map<string, string>();
  readonly done: string[] = [];

  override setSysctl(key: SysctlKey, value: SysctlValue, stop: AbortSignal): Promise<void> {
    const errno = this.refusals.get(key.name);
    if (errno !== undefined) return Promise.reject(new KernelRejectedError("set", errno, ""));
    this.done.push(key.name);
    return super.setSysctl(key, value, stop);
  }
}

let directory: string;
let host: StubbornHost;
let options: Omit<HostChangeOptions, "desired">;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "apply-"));
  host = new StubbornHost(
    new HostWorld({
      links: [aLink("lo"), aLink("eth0")],
      sysctls: {
        "conf/all/arp_ignore": 0,
        "conf/all/send_redirects": 1,
        "conf/eth0/arp_ignore": 0,
        "vs/expire_nodest_conn": 0,
      },
    }),
  );
  options = {
    client: host,
    store: new JournalStore(directory, world),
    locks: new NodeLocks({ namespace: `test-${randomUUID()}` }),
    owner: "realserver",
  };
});
afterEach(() => rm(directory, { recursive: true }));

const change = (wanted = desired): Promise<HostChange> =>
  changeHost({ ...options, desired: wanted }, signal);

describe("changeHost", () => {
  it("makes the node as desired, and as it was again", async () => {
    const before = host.world.state();
    const made = await change();
    expect(made.executed).toHaveLength(3);
    expect(host.world.state().addresses).toEqual(["192.0.2.1/32 lo realserver"]);
    expect((await change()).executed).toEqual([]);
    await change(NOTHING_DESIRED);
    expect(host.world.state()).toEqual(before);
    expect((await options.store.load()).journal).toEqual(EMPTY_JOURNAL);
  });

  it("has the old values on disk before the first step", async () => {
    host.refusals.set("arp_ignore", "EIO");
    await expect(change()).rejects.toMatchObject({ errno: "EIO" });
    const { journal } = await new JournalStore(directory, world).load();
    expect(journal.sysctls).toHaveLength(2);
    expect(journal.addresses).toHaveLength(1);
  });

  it("does not bind a VIP when its ARP settings were refused", async () => {
    host.refusals.set("arp_ignore", "EPERM");
    await expect(change()).rejects.toThrow(KernelRejectedError);
    expect(host.world.state().addresses).toEqual([]);
  });

  it("goes on without a setting that only improves the node, and reports it", async () => {
    host.refusals.set("expire_nodest_conn", "EROFS");
    const made = await change();
    expect(made.failures).toMatchObject([{ error: { errno: "EROFS" } }]);
    expect(host.world.state().addresses).toHaveLength(1);
    const again = await change();
    expect(again.plan.reports).toEqual([]);
    expect(again.failures).toHaveLength(1);
  });

  it("goes on without a setting of `all`, which only a file has", async () => {
    host.refusals.set("send_redirects", "EROFS");
    const redirects = aHost({ sysctls: [aSysctl("conf/all/send_redirects", 0)] });
    const made = await change({ ...desired, sysctls: [...desired.sysctls, ...redirects.sysctls] });
    expect(made.failures).toHaveLength(1);
    expect(host.world.state().addresses).toHaveLength(1);
  });

  it("changes nothing when the journal cannot be written", async () => {
    await writeFile(join(directory, "file"), "");
    const store = new JournalStore(join(directory, "file"), world);
    const refused = changeHost({ ...options, store, desired }, signal);
    await expect(refused).rejects.toMatchObject({ code: "LVS_JOURNAL" });
    expect(host.done).toEqual([]);
    expect(host.world.state().addresses).toEqual([]);
  });

  it("goes on by the kernel's marks when the journal is broken, and keeps it", async () => {
    await change();
    await writeFile(join(directory, "journal.json"), "garbage");
    const cleaned = await change(NOTHING_DESIRED);
    expect(cleaned.journalDefect).toMatchObject({ reason: "syntax" });
    expect(await readFile(cleaned.setAside ?? "", "utf8")).toBe("garbage");
    expect(host.world.state().addresses).toEqual([]);
  });

  it("works one after the other for two agents of one node", async () => {
    const wish = aHost({ sysctls: [aSysctl("conf/eth0/arp_ignore", 1)] });
    const both = (["director", "realserver"] as const).map((owner) => {
      const store = new JournalStore(directory, world);
      return changeHost({ ...options, store, owner, desired: wish }, signal);
    });
    await Promise.all(both);
    const { journal } = await options.store.load();
    expect(journal.sysctls).toMatchObject([
      { original: 0, wishes: { director: 1, realserver: 1 } },
    ]);
  });
});

describe("updateJournal", () => {
  it("keeps what a host change wrote, and is kept by the next one", async () => {
    await change();
    const edited = await updateJournal(options, (j) => ({ ...j, services: { s: "o" } }), signal);
    expect(edited.addresses).toHaveLength(1);
    await change(NOTHING_DESIRED);
    expect((await options.store.load()).journal).toEqual({
      ...EMPTY_JOURNAL,
      services: { s: "o" },
    });
  });
});

describe("applySteps", () => {
  it.each<{ name: string; step: HostStep }>([
    {
      name: "an address that is gone",
      step: { op: "remove-address", address: anAddress("192.0.2.9", "lo") },
    },
    {
      name: "an address of a device that is gone",
      step: { op: "remove-address", address: anAddress("192.0.2.9", "gone0") },
    },
    { name: "a device that is gone", step: { op: "link-down", name: "gone0", remove: true } },
    {
      name: "a setting of a device that is gone",
      step: { op: "restore-sysctl", key: aKey("conf/gone0/arp_ignore"), value: 0 },
    },
  ])("counts the removal of $name as done", async ({ step }) => {
    const { executed, failures } = await applySteps(host, [step], signal);
    expect({ executed, failures }).toEqual({ executed: [step], failures: [] });
  });

  const add = (address: string, interfaceName: string): HostStep => ({
    op: "add-address",
    address: aVip(address, interfaceName),
    owner: "realserver",
  });

  it("reports an address that is there, which may be somebody else's, and adds the others", async () => {
    await host.change((node) => node.addForeign(anAddress("192.0.2.1", "lo")));
    const steps = [add("192.0.2.1", "lo"), add("192.0.2.2", "lo")];
    const { executed, failures } = await applySteps(host, steps, signal);
    expect(executed).toEqual([steps[1]]);
    expect(failures).toMatchObject([{ step: steps[0], error: { errno: "EEXIST" } }]);
  });

  it("leaves an address that could not move where it is, and the device too", async () => {
    const there = anAddress("192.0.2.1", "eth0");
    await host.change((node) => node.addForeign(there));
    const steps: HostStep[] = [
      add("192.0.2.1", "gone0"),
      { op: "remove-address", address: there },
      { op: "link-down", name: "eth0", remove: false },
    ];
    const { failures } = await applySteps(host, steps, signal);
    expect(failures).toHaveLength(1);
    expect(host.world.state()).toMatchObject({
      addresses: ["192.0.2.1/32 eth0 -"],
      links: ["eth0 up", "lo up"],
    });
  });
});

describe("describeStep", () => {
  it.each<[HostStep, string]>([
    [{ op: "set-sysctl", key: aKey("vs/conntrack"), value: 1 }, "set-sysctl vs/conntrack 1"],
    [{ op: "link-up", link: { name: "tunl0", kind: "ipip" } }, "link-up tunl0"],
    [{ op: "link-down", name: "tunl0", remove: true }, "link-down tunl0 and remove"],
    [
      { op: "add-address", address: aVip("192.0.2.1", "lo"), owner: "director" },
      "add-address 192.0.2.1 lo",
    ],
  ])("says %j as %s", (step, text) => {
    expect(describeStep(step)).toBe(text);
  });
});
