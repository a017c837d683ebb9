import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aVirtualService, servers } from "../../compile/testing/builders.ts";
import type { VirtualService } from "../../api/v1alpha1/virtual-service.ts";
import { KernelUnavailableError } from "../../ipvs/errors.ts";
import { anIdentity, aDestination, aService } from "../../ipvs/testing/builders.ts";
import { KernelRejectedError, NetlinkLostError } from "../../netlink/errors.ts";
import { AUDIT_MS, DirectorFixture } from "../testing/director-fixture.ts";

const VIP = "192.0.2.10";
const WEB = `TCP ${VIP}:80`;
const A = "192.0.2.21";
const B = "192.0.2.22";
const RIVAL = "02:00:00:00:00:99";

const weighted = (a: number, b: number): object =>
  servers({ address: A, weight: a }, { address: B, weight: b });
const web = (a = 1, b = 1, spec: object = {}): VirtualService =>
  aVirtualService({}, { backends: [weighted(a, b)], ...spec });

let world: DirectorFixture;
beforeEach(() => {
  world = new DirectorFixture();
});
afterEach(() => world[Symbol.dispose]());

const lost = (): Error => new NetlinkLostError("write the IPVS table", "truncated");

describe("a director from nothing", () => {
  it("programs the table, and binds and announces the VIP after a silent probe", async () => {
    const answer = Promise.withResolvers<undefined>();
    world.answered = answer.promise;
    world.wish([web()]);
    await world.pass("start");
    expect(world.table).toEqual({ [WEB]: [`${A}:80 1`, `${B}:80 1`] });
    expect(world.node.vips).toEqual([]);
    expect(world.condition("Programmed")).toMatchObject({ status: "Unknown", reason: "Pending" });
    answer.resolve(undefined);
    await world.probesEnd();
    await world.pass("probe");
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
    expect(world).toMatchObject({ asked: [VIP], announced: [VIP], agent: { settled: true } });
    expect(world.condition("Programmed")).toMatchObject({ status: "True", reason: "Programmed" });
  });

  it("does nothing while the source has no objects", async () => {
    await world.converge("start");
    expect(world.client.counters).toEqual({ commands: 0, batches: 0, reads: 0 });
    expect(world.node.host.looks).toBe(0);
  });

  it("says in the journal what will be its own before the first command", async () => {
    world.kernel.failWhen(() => {
      throw new Error("killed here");
    });
    world.wish([web()]);
    await expect(world.pass("start")).rejects.toThrow("killed here");
    expect((await world.node.journal()).services).toEqual({ [WEB]: "VirtualService shop/web" });
    expect(world.table).toEqual({});
  });
});

describe("a change", () => {
  it("of one weight is one command, without a read, a look at the node or a journal write", async () => {
    await world.apply([web()]);
    await world.pass("host");
    const before = { ...world.client.counters };
    const { looks, routeLookUps } = world.node.host;
    const stamp = await world.node.journalStamp();
    world.wish([web(5)]);
    await world.pass("objects");
    expect(world.table[WEB]).toEqual([`${A}:80 5`, `${B}:80 1`]);
    expect(world.client.counters).toEqual({
      commands: before.commands + 1,
      batches: before.batches + 1,
      reads: before.reads,
    });
    expect(world.node.host).toMatchObject({ looks, routeLookUps });
    expect(await world.node.journalStamp()).toBe(stamp);
  });

  it("is not lost when the pass that heard of it failed before the table", async () => {
    await world.apply([web()]);
    world.node.host.failures.push(new Error("no look"));
    world.wish([web(5)]);
    await expect(world.pass("objects", "host")).rejects.toThrow("no look");
    world.node.host.failures.push(new Error("no look"));
    await expect(world.pass("retry", "host")).rejects.toThrow("no look");
    expect(world.condition("Programmed")).toMatchObject({ status: "Unknown" });
    await world.pass("retry");
    expect(world.table[WEB]).toEqual([`${A}:80 5`, `${B}:80 1`]);
    expect(world.agent.counters.driftRepaired).toBe(0);
  });

  it("of the owner is in the journal although no command was needed", async () => {
    await world.apply([web()]);
    await world.apply([aVirtualService({ name: "shop" }, { backends: [weighted(1, 1)] })]);
    expect((await world.node.journal()).services).toEqual({ [WEB]: "VirtualService shop/shop" });
  });

  it("that removes an object takes the VIP off before the service", async () => {
    await world.apply([web()]);
    const seen: (readonly string[])[] = [];
    world.kernel.failWhen(() => void seen.push(world.node.vips));
    await world.apply([]);
    expect(seen).toEqual([[]]);
    expect(world.table).toEqual({});
    expect(world.node.host.world.state().sysctls).toMatchObject({ "vs/expire_nodest_conn": 0 });
  });

  it("that only hides objects removes nothing", async () => {
    await world.apply([web()]);
    const { commands } = world.client.counters;
    await world.apply([], { complete: false });
    await world.audit();
    world.source.set(undefined);
    await world.pass("objects");
    expect(world.client.counters.commands).toBe(commands);
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
  });

  it("of the VIP's interface leaves it bound until the network was asked there", async () => {
    await world.apply([web()]);
    const answer = Promise.withResolvers<undefined>();
    world.answered = answer.promise;
    await world.node.host.change((node) => {
      node.addForeign({
        address: "192.0.2.9",
        family: "IPv4",
        prefixLength: 28,
        interfaceName: "eth1",
        ours: false,
      });
    });
    await world.pass("host");
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
    answer.resolve(undefined);
    await world.probesEnd();
    await world.pass("probe");
    expect(world.node.vips).toEqual([`${VIP} eth1`]);
    expect(world.asked).toEqual([VIP, VIP]);
  });
});

describe("a restart", () => {
  it("without a change writes nothing and asks nobody", async () => {
    await world.apply([web()]);
    const stamp = await world.node.journalStamp();
    world.restart();
    await world.converge("start");
    expect(world.client.counters.commands).toBe(0);
    expect(world.asked).toEqual([VIP]);
    expect(await world.node.journalStamp()).toBe(stamp);
    expect(world.agent.settled).toBe(true);
  });

  it("removes what was dropped while the agent was away", async () => {
    await world.apply([web(), aVirtualService({ name: "db" }, { ports: [{ port: 5432 }] })]);
    world.restart();
    await world.apply([web()]);
    expect(Object.keys(world.table)).toEqual([WEB]);
  });
});

describe("services of others", () => {
  it("are never touched", async () => {
    const foreign = aService({ identity: anIdentity("192.0.2.200", 443) });
    world.kernel.execute({ op: "create-service", service: foreign });
    await world.apply([web()]);
    await world.apply([]);
    expect(Object.keys(world.table)).toEqual(["TCP 192.0.2.200:443"]);
  });

  it("on a VIP of ours are removed: they would answer for us", async () => {
    await world.apply([web()]);
    const foreign = aService({ identity: anIdentity(VIP, 22) });
    world.kernel.execute({ op: "create-service", service: foreign });
    await world.audit();
    expect(Object.keys(world.table)).toEqual([WEB]);
  });
});

describe("trouble with the kernel", () => {
  it("lost answers: the table is read again, and no drift is claimed", async () => {
    await world.apply([web()]);
    const { reads } = world.client.counters;
    world.kernel.loseAnswers(1, lost);
    await world.apply([web(7, 8)]);
    expect(world.table[WEB]).toEqual([`${A}:80 7`, `${B}:80 8`]);
    expect(world.client.counters.reads).toBe(reads + 1);
    expect(world.agent.counters.driftRepaired).toBe(0);
  });

  it.each([
    {
      name: "a service that is gone",
      act: () => world.kernel.execute({ op: "delete-service", identity: anIdentity() }),
    },
    {
      name: "a destination that is gone",
      act: () =>
        world.kernel.execute({
          op: "delete-destination",
          identity: anIdentity(),
          destination: aDestination({ address: A }),
        }),
    },
  ])("$name: the next pass follows at once and repairs it", async ({ act }) => {
    await world.apply([web()]);
    expect(act()).toBeUndefined();
    world.wish([web(5, 6)]);
    const { recheckAfterMs } = await world.pass("objects");
    expect(recheckAfterMs).toBeLessThanOrEqual(100);
    await world.pass("timer");
    expect(new Set(world.table[WEB])).toEqual(new Set([`${A}:80 5`, `${B}:80 6`]));
  });

  it("a service that was there already: it is taken over", async () => {
    await world.apply([web()]);
    const db = aVirtualService({ name: "db" }, { ports: [{ port: 5432 }] });
    const identity = anIdentity(VIP, 5432);
    world.kernel.execute({
      op: "create-service",
      service: aService({ identity, scheduler: "rr" }),
    });
    world.wish([web(), db]);
    await world.pass("objects");
    await world.pass("timer");
    expect(world.kernel.service(identity)).toMatchObject({ service: { scheduler: "wlc" } });
    expect(world.table[`TCP ${VIP}:5432`]).toEqual([`${A}:5432 1`, `${B}:5432 1`]);
  });

  it("a fight with somebody else does not become a busy loop", async () => {
    await world.apply([web()]);
    let recheckMs = 0;
    for (let weight = 2; weight < 12; weight++) {
      world.kernel.execute({ op: "delete-service", identity: anIdentity() });
      world.wish([web(weight)]);
      recheckMs = (await world.pass("objects")).recheckAfterMs;
      if (recheckMs > 100) break;
    }
    expect(recheckMs).toBeGreaterThan(100);
  });

  it("an error on every command of a service: its VIP stays unbound, a condition tells, others serve", async () => {
    const other = aVirtualService(
      { name: "other" },
      { addresses: [{ ip: "192.0.2.11" }], backends: [weighted(1, 1)] },
    );
    world.kernel.failWhen((command) =>
      command.op === "create-service" && JSON.stringify(command).includes(VIP)
        ? "ENOMEM"
        : undefined,
    );
    await world.apply([web(), other]);
    expect(world.table).toEqual({ "TCP 192.0.2.11:80": [`${A}:80 1`, `${B}:80 1`] });
    expect(world.node.vips).toEqual(["192.0.2.11 eth0"]);
    expect(world.condition("Programmed")).toMatchObject({
      status: "False",
      reason: "KernelRejected",
    });
    expect(world.condition("Programmed")?.message).toContain(`create-service ${WEB}: ENOMEM`);
    expect(world.agent).toMatchObject({ settled: false, stuck: true });
    world.kernel.failWhen(() => undefined);
    world.clock.advance(20_000);
    await world.converge("timer");
    expect(world.node.vips).toEqual([`${VIP} eth0`, "192.0.2.11 eth0"].sort());
    expect(world.condition("Programmed")).toMatchObject({ status: "True" });
    expect(world.agent.counters.driftRepaired).toBe(0);
  });

  it("the module is unloaded: nothing is claimed, and all is programmed when it is back", async () => {
    await world.apply([web()]);
    const gone = (): Promise<never> =>
      Promise.reject(new KernelUnavailableError("NoModule", "ENOENT"));
    const { readTable } = world.client;
    world.client.readTable = gone;
    world.kernel.execute({ op: "delete-service", identity: anIdentity() });
    world.clock.advance(AUDIT_MS);
    await expect(world.pass("timer")).rejects.toThrow("no IPVS");
    expect(world.condition("Programmed")).toMatchObject({ status: "Unknown" });
    world.client.readTable = readTable;
    await world.converge("retry");
    expect(Object.keys(world.table)).toEqual([WEB]);
    expect(world.condition("Programmed")).toMatchObject({ status: "True" });
  });

  it("a removal that is refused is in the log once", async () => {
    await world.apply([web()]);
    world.kernel.failWhen(({ op }) => (op === "delete-service" ? "EBUSY" : undefined));
    await world.apply([]);
    const told = world.node.lines.filter((line) => line.includes("EBUSY"));
    expect(told).toHaveLength(1);
    world.kernel.failWhen(() => undefined);
    await world.pass("retry");
    expect(world.table).toEqual({});
  });

  it("an IPv6 VIP that the interface does not take concerns no other", async () => {
    const address = "2001:db8::10";
    await world.node.host.change((node) =>
      node.addForeign({
        address: "2001:db8::1",
        family: "IPv6",
        prefixLength: 64,
        interfaceName: "eth0",
        ours: false,
      }),
    );
    const add = world.node.host.addAddress.bind(world.node.host);
    world.node.host.addAddress = (wanted, owner, signal) =>
      wanted.address === address
        ? Promise.reject(new KernelRejectedError("add", "EACCES", "IPv6 is off"))
        : add(wanted, owner, signal);
    const six = aVirtualService(
      { name: "six" },
      { addresses: [{ ip: address }], backends: [servers("2001:db8::21")] },
    );
    await world.apply([web(), six]);
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
    expect(world.condition("Programmed", "VirtualService shop/six")).toMatchObject({
      status: "False",
      reason: "AddressNotUsable",
    });
    expect(world.condition("Programmed")).toMatchObject({ status: "True" });
  });
});

describe("a scheduler that the kernel has not", () => {
  const SCHEDULERS = ["rr", "wlc"];

  it("refuses that object with the module's name; the others are programmed; tried again later", async () => {
    world[Symbol.dispose]();
    world = new DirectorFixture({ schedulers: SCHEDULERS });
    const bad = web(1, 1, { scheduler: "sed" });
    const good = aVirtualService({ name: "good" }, { addresses: [{ ip: "192.0.2.11" }] });
    await world.apply([bad, good]);
    expect(Object.keys(world.table)).toEqual(["TCP 192.0.2.11:80"]);
    expect(world.node.vips).toEqual(["192.0.2.11 eth0"]);
    expect(world.condition("Accepted")).toMatchObject({
      status: "False",
      reason: "KernelFeatureMissing",
      message: expect.stringContaining("ip_vs_sed"),
    });
    const { recheckAfterMs } = await world.pass("timer");
    expect(recheckAfterMs).toBeLessThanOrEqual(60_000);
    const told = world.node.lines.length;
    const { commands } = world.client.counters;
    world.clock.advance(60_001);
    await world.converge("timer");
    expect(world.client.counters.commands).toBeGreaterThan(commands);
    // Still missing, which is no news.
    expect(world.node.lines.slice(told).filter((line) => line.includes("object"))).toEqual([]);
  });
});

describe("enforcement", () => {
  it.each(["DryRun", "Paused"])("%s holds every step back and shows it", async (enforcement) => {
    await world.apply([web(1, 1, { enforcement })]);
    expect(world.table).toEqual({});
    expect(world.node.vips).toEqual([]);
    expect(world.agent.withheld).toHaveLength(3);
    expect(world.agent.settled).toBe(true);
    expect(world.agent.conditions.hasRefusals).toBe(false);
    const other = aVirtualService({ name: "other" }, { addresses: [{ ip: "192.0.2.11" }] });
    await world.apply([web(1, 1, { enforcement }), other]);
    expect(world.agent.withheld).toHaveLength(3);
    await world.apply([other]);
    expect(world.agent.withheld).toEqual([]);
  });

  it("Paused keeps what was programmed, whatever the object says now", async () => {
    await world.apply([web()]);
    await world.apply([web(9, 9, { enforcement: "Paused" })]);
    await world.audit();
    expect(world.table[WEB]).toEqual([`${A}:80 1`, `${B}:80 1`]);
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
  });
});

describe("a drain", () => {
  const onlyA = (spec: object = {}): VirtualService =>
    aVirtualService({}, { backends: [servers(A)], drain: { timeoutSeconds: 300 }, ...spec });
  const busy = (active: number): void =>
    world.kernel.setConnections(anIdentity(), { address: B, port: 80 }, { active });

  beforeEach(async () => {
    await world.apply([web(1, 1, { drain: { timeoutSeconds: 300 } })]);
    busy(3);
    await world.apply([onlyA()]);
    await world.pass("timer");
  });

  it("ends when the kernel counts no connection", async () => {
    expect(world.table[WEB]).toEqual([`${A}:80 1`, `${B}:80 0`]);
    world.clock.advance(1_000);
    busy(0);
    await world.pass("timer");
    expect(world.table[WEB]).toEqual([`${A}:80 1`]);
    expect((await world.node.journal()).drains).toEqual({});
    expect(world.agent.counters.driftRepaired).toBe(0);
  });

  it("ends at the deadline, which a restart does not move", async () => {
    world.clock.advance(200_000);
    world.restart();
    await world.converge("start");
    expect(world.table[WEB]).toHaveLength(2);
    world.clock.advance(99_000);
    await world.pass("timer");
    expect(world.table[WEB]).toHaveLength(2);
    world.clock.advance(1_001);
    await world.pass("timer");
    expect(world.table[WEB]).toEqual([`${A}:80 1`]);
  });

  it("is not cut short when somebody sets the clock", async () => {
    world.clock.stepWall(86_400_000);
    await world.pass("timer");
    expect(world.table[WEB]).toHaveLength(2);
    world.clock.advance(301_000);
    await world.pass("timer");
    expect(world.table[WEB]).toEqual([`${A}:80 1`]);
  });

  it("ends in an audit without being taken for drift", async () => {
    busy(0);
    await world.audit();
    expect(world.table[WEB]).toEqual([`${A}:80 1`]);
    expect(world.agent.counters.driftRepaired).toBe(0);
  });

  it("is called off when the server is wanted again", async () => {
    await world.apply([web(1, 1, { drain: { timeoutSeconds: 300 } })]);
    expect(world.table[WEB]).toEqual([`${A}:80 1`, `${B}:80 1`]);
    expect((await world.node.journal()).drains).toEqual({});
  });
});

describe("an address that another machine has", () => {
  it("is not bound, the condition names the machine, and it is bound once it is free", async () => {
    world.neighbours.set(VIP, RIVAL);
    await world.apply([web()]);
    expect(world.node.vips).toEqual([]);
    expect(Object.keys(world.table)).toEqual([WEB]);
    expect(world.condition("Programmed")).toMatchObject({
      status: "False",
      reason: "AddressNotUsable",
      message: expect.stringContaining(RIVAL),
    });
    const { recheckAfterMs } = await world.pass("timer");
    expect(recheckAfterMs).toBeLessThanOrEqual(15_000);
    world.neighbours.delete(VIP);
    world.clock.advance(15_001);
    await world.pass("timer");
    await world.probesEnd();
    await world.converge("probe");
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
    expect(world.condition("Programmed")).toMatchObject({ status: "True" });
  });

  it("is said once while it lasts", async () => {
    world.neighbours.set(VIP, RIVAL);
    await world.apply([web()]);
    for (let round = 0; round < 3; round++) {
      world.clock.advance(15_001);
      await world.converge("timer");
    }
    expect(world.asked).toHaveLength(4);
    expect(world.node.lines.filter((line) => line.includes("another machine"))).toHaveLength(2);
  });

  it("cannot be known when the probe fails: the VIP stays off and the condition says why", async () => {
    world.neighbours.set(VIP, new Error("ENETDOWN"));
    await world.apply([web()]);
    expect(world.node.vips).toEqual([]);
    expect(world.condition("Programmed")).toMatchObject({
      status: "False",
      message: expect.stringContaining("ENETDOWN"),
    });
    expect(world.agent.stuck).toBe(true);
  });
});

describe("drift", () => {
  it("is repaired and counted: weights, the whole table, the VIP, a setting", async () => {
    await world.apply([web()]);
    world.kernel.execute({
      op: "update-destination",
      identity: anIdentity(),
      destination: aDestination({ address: A, method: "DR", weight: 50 }),
    });
    await world.audit();
    expect(world.agent.counters.driftRepaired).toBe(1);
    world.kernel.execute({ op: "delete-service", identity: anIdentity() });
    await world.audit();
    expect(world.agent.counters.driftRepaired).toBe(4);
    expect(world.table).toEqual({ [WEB]: [`${A}:80 1`, `${B}:80 1`] });
    await world.node.host.change((node) => {
      const vip = node.observe([]).addresses.find(({ address }) => address === VIP);
      if (vip !== undefined) node.removeAddress(vip);
      node.setSysctl({ kind: "vs", name: "conn_reuse_mode" }, 0);
    });
    await world.converge("host");
    expect(world.node.vips).toEqual([`${VIP} eth0`]);
    expect(world.agent.hostRepaired).toBe(2);
    expect(world.node.host.world.state().sysctls).toMatchObject({ "vs/conn_reuse_mode": 1 });
  });

  it("is found by the audit only when it is due", async () => {
    await world.apply([web()]);
    world.kernel.execute({ op: "delete-service", identity: anIdentity() });
    await world.pass("timer");
    expect(world.table).toEqual({});
    await world.audit();
    expect(Object.keys(world.table)).toEqual([WEB]);
  });

  it("reports that stand are told once, also when objects change between audits", async () => {
    await world.node.host.change((node) =>
      node.setSysctl({ kind: "vs", name: "conn_reuse_mode" }, 1),
    );
    await world.node.host.change((node) =>
      node.addForeign({
        address: VIP,
        family: "IPv4",
        prefixLength: 32,
        interfaceName: "eth0",
        ours: false,
      }),
    );
    await world.apply([web()]);
    for (let weight = 2; weight < 5; weight++) {
      await world.apply([web(weight)]);
      await world.audit();
    }
    expect(world.node.lines.filter((line) => line.includes("was there before"))).toHaveLength(1);
  });
});
