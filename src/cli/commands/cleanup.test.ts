import { rm, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostKeeper } from "../../agents/host-keeper.ts";
import { DirectorFixture } from "../../agents/testing/director-fixture.ts";
import { aVirtualService } from "../../compile/testing/builders.ts";
import { aHost, aSysctl, aVip } from "../../host/testing/builders.ts";
import { KernelUnavailableError } from "../../ipvs/errors.ts";
import { aService, anIdentity } from "../../ipvs/testing/builders.ts";
import {
  cleanUp,
  previewCleanup,
  renderCleanup,
  type CleanupOutcome,
  type CleanupPorts,
} from "./cleanup.ts";

const signal = AbortSignal.timeout(20_000);
const WEB = "TCP 192.0.2.10:80";

let world: DirectorFixture;
let before: unknown;
beforeEach(async () => {
  world = new DirectorFixture();
  before = world.node.host.world.state();
  await world.apply([aVirtualService({}, { forwarding: { method: "NAT" } })]);
  expect(world.node.vips).toEqual(["192.0.2.10 eth0"]);
});
afterEach(() => world[Symbol.dispose]());

function ports(): CleanupPorts {
  const { host: client, locks } = world.node;
  return { client, locks, store: world.node.openJournal(), ipvs: world.kernel.open() };
}

const run = (): Promise<CleanupOutcome> => cleanUp(ports(), signal);

describe("cleanup", () => {
  it("takes everything back: VIP, table, settings, in this order", async () => {
    const { steps, kept, incomplete } = await run();
    expect(world.node.host.world.state()).toEqual(before);
    expect(world.table).toEqual({});
    expect({ kept, incomplete }).toEqual({ kept: [], incomplete: false });
    expect(steps[0]).toBe("remove-address 192.0.2.10 eth0");
    expect(steps[1]).toBe(`delete-service ${WEB}`);
    expect(steps.slice(2).every((step) => step.startsWith("restore-sysctl"))).toBe(true);
    expect((await world.node.journal()).services).toEqual({});
  });

  it("finds nothing the second time", async () => {
    await run();
    const outcome = await run();
    expect(outcome).toMatchObject({ steps: [], kept: [], incomplete: false });
    expect(renderCleanup(outcome, false)).toBe("Nothing of ours is on this node.\n");
  });

  it("says the same as a dry run, which writes nothing", async () => {
    const stamp = await world.node.journalStamp();
    const state = world.node.host.world.state();
    const preview = await previewCleanup(ports(), signal);
    expect(await world.node.journalStamp()).toBe(stamp);
    expect(world.node.host.world.state()).toEqual(state);
    expect(Object.keys(world.table)).toEqual([WEB]);
    expect(renderCleanup(preview, true)).toMatch(/^Would be taken back:\n {2}remove-address/);
    expect((await run()).steps).toEqual(preview.steps);
  });

  it("also gives back what both agents needed, in the dry run too", async () => {
    const { host: client, locks, log } = world.node;
    const store = world.node.openJournal();
    const realServer = new HostKeeper({ owner: "realserver", client, store, locks, log });
    const desired = aHost({
      addresses: [aVip("192.0.2.30", "lo")],
      sysctls: [aSysctl("vs/conn_reuse_mode", 1)],
    });
    const retained = { everything: false, addresses: new Set<string>(), settings: false };
    await realServer.after({ desired, retained }, () => true, signal);
    const preview = await previewCleanup(ports(), signal);
    expect(preview.steps).toContain("restore-sysctl vs/conn_reuse_mode 0");
    const { steps } = await run();
    expect([...steps].sort()).toEqual([...preview.steps].sort());
    expect(world.node.host.world.state()).toEqual(before);
  });

  it("leaves services of others, and values that somebody else changed since", async () => {
    world.kernel.execute({
      op: "create-service",
      service: aService({ identity: anIdentity("192.0.2.200", 443) }),
    });
    world.node.host.world.setSysctl({ kind: "vs", name: "sync_threshold" }, "7 70");
    const { kept, incomplete } = await run();
    expect(Object.keys(world.table)).toEqual(["TCP 192.0.2.200:443"]);
    expect(world.node.host.world.state().sysctls).toMatchObject({ "vs/sync_threshold": "7 70" });
    expect(kept).toEqual([expect.stringContaining("vs/sync_threshold is 7 70")]);
    expect(incomplete).toBe(false);
  });

  it("is incomplete when the kernel refuses, names the command, and ends it later", async () => {
    world.kernel.failWhen(({ op }) => (op === "delete-service" ? "EBUSY" : undefined));
    const refused = await run();
    expect(refused.incomplete).toBe(true);
    expect(refused.steps).not.toContain(`delete-service ${WEB}`);
    expect(refused.kept).toEqual([`delete-service ${WEB}: EBUSY: the kernel is busy`]);
    expect((await world.node.journal()).services).not.toEqual({});
    world.kernel.failWhen(() => undefined);
    expect(await run()).toMatchObject({ steps: [`delete-service ${WEB}`], incomplete: false });
  });

  it("counts a service as removed that somebody removes at the same time", async () => {
    let removed = false;
    world.kernel.failWhen(({ op }) => {
      if (op !== "delete-service" || removed) return undefined;
      removed = true;
      world.kernel.execute({ op: "delete-service", identity: anIdentity() });
      return "ESRCH";
    });
    expect(await run()).toMatchObject({ kept: [], incomplete: false });
  });

  it("gives the settings back although the module is gone, and the services with it", async () => {
    const gone = ports();
    gone.ipvs.readTable = () => Promise.reject(new KernelUnavailableError("NoModule", "ENOENT"));
    expect(await cleanUp(gone, signal)).toMatchObject({ incomplete: false });
    expect(world.node.host.world.state()).toEqual(before);
  });

  it("does not pass for done without the right to look", async () => {
    const forbidden = ports();
    forbidden.ipvs.readTable = () =>
      Promise.reject(new KernelUnavailableError("NoPermission", "EPERM"));
    await expect(cleanUp(forbidden, signal)).rejects.toThrow(KernelUnavailableError);
  });

  it("takes back by the kernel's marks what it can when the journal is broken, and says so", async () => {
    await writeFile(world.node.journalPath, "{");
    const { kept, incomplete } = await run();
    expect(world.node.vips).toEqual([]);
    expect(incomplete).toBe(true);
    expect(kept).toEqual([expect.stringContaining("journal.json.broken")]);
  });

  it("asks a node without a journal nothing about IPVS", async () => {
    await rm(world.node.journalPath);
    const never = ports();
    never.ipvs.readTable = () => Promise.reject(new Error("asked"));
    expect(await cleanUp(never, signal)).toMatchObject({
      steps: ["remove-address 192.0.2.10 eth0"],
      incomplete: false,
    });
  });
});
