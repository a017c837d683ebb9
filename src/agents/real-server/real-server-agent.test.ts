import { rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VirtualService } from "../../api/v1alpha1/virtual-service.ts";
import { compileRealServer } from "../../compile/real-server.ts";
import { aVirtualService, objectsOf, servers } from "../../compile/testing/builders.ts";
import { KernelRejectedError } from "../../netlink/errors.ts";
import type { ObjectSet } from "../../source/source.ts";
import { HostKeeper } from "../host-keeper.ts";
import type { PassOutcome } from "../loop.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { MemorySource } from "../testing/memory-source.ts";
import { NodeFixture } from "../testing/node-fixture.ts";
import { RealServerAgent } from "./real-server-agent.ts";

const VIP = "192.0.2.10";
const HERE = "192.0.2.1";
const web = (spec: object = {}): VirtualService =>
  aVirtualService({}, { backends: [servers(HERE, "192.0.2.22")], ...spec });
const SILENT = { "conf/eth0/arp_ignore": 1, "conf/eth0/arp_announce": 2 };
const LOUD = { "conf/eth0/arp_ignore": 0, "conf/eth0/arp_announce": 0 };

let node: NodeFixture;
let clock: ManualClock;
let source: MemorySource;
let connections: Map<string, number>;
let agent: RealServerAgent;
beforeEach(() => {
  node = new NodeFixture();
  clock = new ManualClock();
  source = new MemorySource();
  connections = new Map();
  agent = createAgent();
});
afterEach(() => node[Symbol.dispose]());

function createAgent(): RealServerAgent {
  const { host: client, locks, log } = node;
  const host = new HostKeeper({
    owner: "realserver",
    client,
    store: node.openJournal(),
    locks,
    log,
  });
  return new RealServerAgent({
    source,
    compile: compileRealServer,
    host,
    countConnections: () => Promise.resolve(connections),
    clock,
    log,
    nodeName: "rs1",
    groupName: "default",
    interfaceName: undefined,
    auditMs: 5_000,
  });
}

const pass = (): Promise<PassOutcome> => agent.pass(AbortSignal.timeout(20_000));

function apply(
  objects: readonly VirtualService[],
  rest: Partial<ObjectSet> = {},
): Promise<PassOutcome> {
  source.set(objectsOf(objects, rest));
  return pass();
}

const sysctls = (): unknown => node.host.world.state().sysctls;

describe("a real server", () => {
  it("silences ARP before the VIP comes", async () => {
    const seen: unknown[] = [];
    const add = node.host.addAddress.bind(node.host);
    node.host.addAddress = (...args) => {
      seen.push(sysctls());
      return add(...args);
    };
    await apply([web()]);
    expect(seen).toMatchObject([SILENT]);
    expect(node.vips).toEqual([`${VIP} lo`]);
    expect(agent).toMatchObject({ settled: true, prepared: true });
    expect(agent.objectConditions().get("VirtualService shop/web")?.at(-1)).toMatchObject({
      type: "Programmed",
      status: "True",
    });
  });

  it("does nothing where it is not among the servers, or NAT brings the packets", async () => {
    await apply([
      aVirtualService({ name: "other" }, { backends: [servers("192.0.2.22")] }),
      web({ addresses: [{ ip: "192.0.2.11" }], forwarding: { method: "NAT" } }),
    ]);
    expect(node.vips).toEqual([]);
    expect(sysctls()).toMatchObject(LOUD);
  });

  it("changes nothing without objects, and takes nothing away with incomplete ones", async () => {
    await pass();
    expect(node.host.looks).toBe(0);
    await apply([web()]);
    await apply([], { complete: false });
    clock.advance(400_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
    expect(node.lines.filter((line) => line.includes("leaves"))).toEqual([]);
  });

  it("repairs what others changed, and counts it", async () => {
    await apply([web()]);
    await node.host.change((world) => {
      world.setSysctl({ kind: "conf", interfaceName: "eth0", name: "arp_ignore" }, 0);
    });
    await pass();
    expect(sysctls()).toMatchObject(SILENT);
    expect(agent.repaired).toBe(1);
  });

  it("does not bind the VIP where ARP cannot be silenced", async () => {
    node.host.setSysctl = () => Promise.reject(new KernelRejectedError("set", "EPERM", ""));
    await expect(apply([web()])).rejects.toThrow("EPERM");
    expect(node.vips).toEqual([]);
    expect(agent.prepared).toBe(false);
  });

  it("tells of a VIP that the kernel does not take", async () => {
    node.host.addAddress = () => Promise.reject(new KernelRejectedError("add", "EACCES", ""));
    await apply([web()]);
    await pass();
    await pass();
    expect([agent.settled, agent.stuck]).toEqual([false, true]);
    expect(agent.objectConditions().get("VirtualService shop/web")?.at(-1)).toMatchObject({
      type: "Programmed",
      status: "False",
      message: expect.stringContaining(VIP),
    });
  });
});

describe("a VIP that is no longer wanted", () => {
  beforeEach(async () => {
    await apply([web({ drain: { timeoutSeconds: 300 } })]);
    connections.set(VIP, 2);
  });

  it("stays while connections use it, then leaves before ARP speaks again", async () => {
    expect(await apply([])).toMatchObject({ recheckAfterMs: 1_000 });
    clock.advance(60_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
    expect(sysctls()).toMatchObject(SILENT);
    connections.clear();
    const seen: unknown[] = [];
    const remove = node.host.removeAddress.bind(node.host);
    node.host.removeAddress = (...args) => {
      seen.push(sysctls());
      return remove(...args);
    };
    await pass();
    expect(seen).toMatchObject([SILENT]);
    expect(node.vips).toEqual([]);
    expect(sysctls()).toMatchObject(LOUD);
    expect(agent.settled).toBe(true);
  });

  it("leaves after the drain time, which a restart in the middle does not prolong", async () => {
    await apply([]);
    clock.advance(200_000);
    agent = createAgent();
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
    clock.advance(100_000);
    await pass();
    expect(node.vips).toEqual([]);
  });

  it("has the drain time of its object, which only the journal still knows after a restart", async () => {
    await apply([web({ drain: { timeoutSeconds: 900 } })]);
    await apply([]);
    agent = createAgent();
    clock.advance(899_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
    clock.advance(1_000);
    await pass();
    expect(node.vips).toEqual([]);
  });

  it("does not leave early because somebody set the clock", async () => {
    await apply([]);
    clock.stepWall(86_400_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
  });

  it("is held as well when the journal was lost: its mark says whose it is", async () => {
    await rm(node.journalPath);
    agent = createAgent();
    await apply([]);
    expect(node.vips).toEqual([`${VIP} lo`]);
    clock.advance(300_000);
    await pass();
    expect(node.vips).toEqual([]);
  });

  it("starts anew when it was wanted in between", async () => {
    await apply([]);
    clock.advance(299_000);
    await apply([web()]);
    await apply([]);
    clock.advance(2_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
  });

  it("that its object holds back is not about to leave", async () => {
    const { recheckAfterMs } = await apply([web({ enforcement: "Paused" })]);
    expect(recheckAfterMs).toBe(5_000);
    expect(agent.settled).toBe(true);
    clock.advance(400_000);
    await pass();
    expect(node.vips).toEqual([`${VIP} lo`]);
    expect((await node.journal()).holds).toEqual({});
    expect(node.lines.filter((line) => line.includes("leaves"))).toEqual([]);
  });
});
