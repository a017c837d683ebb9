/** A director agent on a node and a kernel in memory, with neighbours that answer. */
import { setImmediate as nextLoopTurn } from "node:timers/promises";
import type { Condition } from "../../api/conditions.ts";
import { createDirectorCompiler } from "../../compile/director.ts";
import { objectsOf } from "../../compile/testing/builders.ts";
import type { IpvsClient } from "../../ipvs/client.ts";
import { formatEndpoint } from "../../ipvs/model.ts";
import { FakeKernel, type FakeKernelOptions } from "../../ipvs/testing/fake-kernel.ts";
import type { ObjectSet } from "../../source/source.ts";
import { DirectorAgent } from "../director/director-agent.ts";
import { TableKeeper } from "../director/table-keeper.ts";
import { VipWatch } from "../director/vip-watch.ts";
import { HostKeeper } from "../host-keeper.ts";
import type { PassOutcome, WakeReason } from "../loop.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemorySource } from "./memory-source.ts";
import { NodeFixture } from "./node-fixture.ts";

export const AUDIT_MS = 60_000;
const MAX_PASSES = 12;

export type Objects = Parameters<typeof objectsOf>[0];

export class DirectorFixture implements Disposable {
  readonly node = new NodeFixture();
  readonly clock = new ManualClock();
  readonly source = new MemorySource();
  readonly kernel: FakeKernel;
  /** Who answers for an address: a MAC address, or an error of the probe itself. */
  readonly neighbours = new Map<string, string | Error>();
  readonly asked: string[] = [];
  /** Neighbours are heard from no sooner. */
  answered: Promise<void> = Promise.resolve();
  readonly announced: string[] = [];
  client: IpvsClient;
  agent: DirectorAgent;
  #stop = new AbortController();

  constructor(options: FakeKernelOptions = {}) {
    this.kernel = new FakeKernel(options);
    this.client = this.kernel.open();
    this.agent = this.#createAgent();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.node[Symbol.dispose]();
  }

  /** The process dies and another one takes its place. */
  restart(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.client = this.kernel.open();
    this.agent = this.#createAgent();
  }

  wish(objects: Objects, rest: Partial<ObjectSet> = {}): void {
    this.source.set(objectsOf(objects, rest));
  }

  pass(...reasons: WakeReason[]): Promise<PassOutcome> {
    const { signal: stop } = this.#stop;
    return this.agent.pass(new Set(reasons), { stop, hurry: new AbortController().signal });
  }

  /** Passes until the agent is settled or can do no more; failed ones are tried again. */
  async converge(...reasons: WakeReason[]): Promise<void> {
    for (let count = 0; count < MAX_PASSES; count++) {
      await this.pass(...reasons, ...(count === 0 ? [] : ["retry" as const])).catch(
        () => undefined,
      );
      await this.probesEnd();
      if (this.agent.settled || this.agent.stuck) return;
    }
  }

  /** Objects change and the agent follows. */
  async apply(objects: Objects, rest: Partial<ObjectSet> = {}): Promise<void> {
    this.wish(objects, rest);
    await this.converge("objects");
  }

  /** The audit finds what others changed. */
  async audit(): Promise<void> {
    this.clock.advance(AUDIT_MS);
    await this.converge("timer");
  }

  async probesEnd(): Promise<void> {
    await nextLoopTurn();
    await nextLoopTurn();
  }

  /** Services with their destinations as `192.0.2.21:80 1`. */
  get table(): Record<string, readonly string[]> {
    return Object.fromEntries(
      [...this.kernel.table().services].map(([key, { destinations }]) => [
        key,
        destinations.map(
          ({ destination: { address, port, weight } }) =>
            `${formatEndpoint(address, port)} ${weight}`,
        ),
      ]),
    );
  }

  condition(type: Condition["type"], object = "VirtualService shop/web"): Condition | undefined {
    return this.agent
      .objectConditions()
      .get(object)
      ?.find((condition) => condition.type === type);
  }

  #createAgent(): DirectorAgent {
    const { node, clock, source, client } = this;
    const host = new HostKeeper({
      owner: "director",
      client: node.host,
      store: node.openJournal(),
      locks: node.locks,
      log: node.log,
    });
    return new DirectorAgent({
      source,
      compiler: createDirectorCompiler(),
      table: new TableKeeper({ client, clock, auditMs: AUDIT_MS }),
      host,
      vips: new VipWatch({
        probe: async ({ address }) => {
          this.asked.push(address);
          await this.answered;
          const answer = this.neighbours.get(address);
          if (answer instanceof Error) throw answer;
          return answer === undefined ? { kind: "free" } : { kind: "occupied", macAddress: answer };
        },
        clock,
        log: node.log,
        onVerdict: () => undefined,
      }),
      announce: (bound) => this.announced.push(...bound.map(({ address }) => address)),
      clock,
      log: node.log,
      nodeName: "node1",
      groupName: "default",
      interfaceName: undefined,
    });
  }
}
