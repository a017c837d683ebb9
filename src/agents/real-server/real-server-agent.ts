/**
 * The real server's pass: ARP silenced, devices up, VIPs on; and off again only when nobody needs
 * them any more. Programs no IPVS.
 */
import type {
  CompileRealServer,
  NodeFacts,
  ObjectConditions,
  Retention,
} from "../../compile/model.ts";
import { addressesToLookUp } from "../../compile/look-ups.ts";
import { describeStep } from "../../host/apply.ts";
import type { NodeJournal } from "../../host/journal.ts";
import type { ObservedAddress } from "../../host/model.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { ObjectSet, ObjectSource } from "../../source/source.ts";
import { ConditionLog } from "../condition-log.ts";
import { unboundAfter, type HostChanges, type HostKeeper } from "../host-keeper.ts";
import type { PassOutcome } from "../loop.ts";
import { notUsable, pending, programmed, withProgrammed } from "../programmed.ts";
import { ReportLog } from "../report-log.ts";
import { steadyWall } from "../steady-wall.ts";
import { decideHoldDown, DEFAULT_HOLD_DOWN, type HeldAddress } from "./hold-down.ts";

/** Time to the next look when the source has nothing yet, milliseconds. */
const NO_OBJECTS_MS = 1_000;
/** So many passes without progress, and none is to be expected. */
const FRUITLESS_PASSES = 2;
/** While a VIP is held, its connections are counted this often, milliseconds. */
const HOLD_CHECK_MS = 1_000;

export interface RealServerOptions {
  readonly source: ObjectSource;
  readonly compile: CompileRealServer;
  readonly host: HostKeeper;
  /** Open connections per local address. */
  readonly countConnections: () => Promise<ReadonlyMap<string, number>>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly groupName: string;
  readonly interfaceName: string | undefined;
  readonly auditMs: number;
}

export class RealServerAgent {
  readonly #options: RealServerOptions;
  readonly #reports: ReportLog;
  readonly conditions: ConditionLog;
  #longestDrainMs = DEFAULT_HOLD_DOWN.maximumMs;
  readonly #nowMs: () => number;
  #settled = false;
  #fruitless = 0;
  #interrupted = false;
  #prepared = false;
  /** VIPs of the last pass, and those of them that are not bound. */
  #vips: ReadonlySet<string> = new Set();
  #unbound: ReadonlySet<string> = new Set();

  constructor(options: RealServerOptions) {
    this.#options = options;
    this.#nowMs = steadyWall(options.clock);
    this.conditions = new ConditionLog(options.log);
    this.#reports = new ReportLog(options.log);
  }

  /** Whether the last pass left nothing to do. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether what is left to do was refused again and again, and waits for somebody else. */
  get stuck(): boolean {
    return this.#fruitless >= FRUITLESS_PASSES;
  }

  /** Whether the node was brought to a complete desired state at least once. */
  get prepared(): boolean {
    return this.#prepared;
  }

  /** Settings, devices and addresses repaired since the start. */
  get repaired(): number {
    return this.#reports.repaired;
  }

  /** The conditions of all objects, with what only this agent knows. For `/status`. */
  objectConditions(): ObjectConditions {
    const { objects } = this.#options.source.current();
    return withProgrammed(this.conditions.current, objects, ({ spec }) => {
      const vips = spec.addresses.map(({ ip }) => ip).filter((ip) => this.#vips.has(ip));
      if (vips.length === 0) return undefined;
      if (this.#interrupted) return pending("the last pass did not end; what it did is in place");
      const missing = vips.filter((vip) => this.#unbound.has(vip));
      if (missing.length === 0)
        return programmed(`this server takes packets to ${vips.join(", ")}`);
      return notUsable(`not bound on this server: ${missing.join(", ")}; see its log`);
    });
  }

  async pass(signal: AbortSignal): Promise<PassOutcome> {
    const { source, host, compile, auditMs } = this.#options;
    this.#settled = false;
    const { objects } = source.current();
    if (objects === undefined) return { recheckAfterMs: NO_OBJECTS_MS };
    this.#interrupted = true;
    host.invalidate();
    const state = compile(objects, await this.#facts(objects, signal));
    this.conditions.note(state.conditions);
    this.#learnDrainTimes(objects);
    this.#vips = new Set(state.host.addresses.map(({ address }) => address));
    const held = await this.#hold(state.retained, signal);
    const retained = withHeld(state.retained, held);
    const changes = await host.after({ desired: state.host, retained }, () => true, signal);
    this.#note(changes);
    this.#unbound = unboundAfter(changes);
    this.#settled = changes.failures.length + this.#unbound.size + held.length === 0;
    const hopeful = this.#settled || held.length > 0 || changes.executed.length > 0;
    this.#fruitless = hopeful ? 0 : this.#fruitless + 1;
    this.#interrupted = false;
    this.#prepared = true;
    return { recheckAfterMs: held.length > 0 ? Math.min(HOLD_CHECK_MS, auditMs) : auditMs };
  }

  async #facts(objects: ObjectSet, signal: AbortSignal): Promise<NodeFacts> {
    const { host, nodeName, groupName, interfaceName } = this.#options;
    const all = addressesToLookUp(objects);
    const { links, addresses } = await host.view(signal);
    return {
      nodeName,
      groupName,
      interfaceName,
      links,
      addresses,
      routes: await host.routes({ all, added: all }, signal),
      missingSchedulers: new Set(),
      occupiedAddresses: new Map(),
    };
  }

  /** Decides which VIPs that are no longer wanted stay a while, and writes it down. */
  async #hold(retained: Retention, signal: AbortSignal): Promise<readonly HeldAddress[]> {
    // Nothing leaves now in any case, and a hold that runs goes on running.
    if (retained.everything) return [];
    const { host, log, countConnections } = this.#options;
    const journal = await host.journal(signal);
    const { addresses } = await host.view(signal);
    const bound = ownAddresses(journal, addresses);
    // What is retained is not about to leave: its hold begins when it is.
    const staying = new Set([...this.#vips, ...retained.addresses]);
    if (bound.every((address) => staying.has(address))) {
      if (Object.keys(journal.holds).length > 0) await this.#rememberHolds([], signal);
      return [];
    }
    const connections = await countConnections();
    const { keep, release } = decideHoldDown({
      bound,
      wanted: staying,
      held: Object.entries(journal.holds).map(([address, hold]) => ({ address, ...hold })),
      connectionsOf: (address) => connections.get(address) ?? 0,
      nowWallMs: this.#nowMs(),
      limits: { ...DEFAULT_HOLD_DOWN, maximumMs: this.#longestDrainMs },
    });
    for (const address of release) log.info({ address }, "vip is no longer wanted and leaves");
    await this.#rememberHolds(keep, signal);
    return keep;
  }

  #rememberHolds(held: readonly HeldAddress[], signal: AbortSignal): Promise<void> {
    const holds: NodeJournal["holds"] = Object.fromEntries(
      held.map(({ address, ...hold }) => [address, hold]),
    );
    return this.#options.host.updateJournal((journal) => ({ ...journal, holds }), signal);
  }

  /** A VIP that goes away takes its drain time with it, so the longest one seen counts. */
  #learnDrainTimes({ virtualServices }: ObjectSet): void {
    for (const { spec } of virtualServices) {
      this.#longestDrainMs = Math.max(this.#longestDrainMs, spec.drain.timeoutSeconds * 1000);
    }
  }

  #note({ executed, failures, reports }: HostChanges): void {
    const { log } = this.#options;
    for (const step of executed) log.info({ step: describeStep(step) }, "node changed");
    for (const { detail } of failures) log.error({ detail }, "node could not be changed");
    this.#reports.note(reports);
  }
}

/** VIPs that this agent put here: by its journal, and by its mark where the journal was lost. */
function ownAddresses(
  journal: NodeJournal,
  observed: readonly ObservedAddress[],
): readonly string[] {
  const recorded = journal.addresses.filter(({ owners }) => owners.includes("realserver"));
  const marked = observed.filter(({ markedBy }) => markedBy === "realserver");
  return [...new Set([...recorded, ...marked].map(({ address }) => address))];
}

function withHeld(retained: Retention, held: readonly HeldAddress[]): Retention {
  if (held.length === 0) return retained;
  const addresses = new Set([...retained.addresses, ...held.map(({ address }) => address)]);
  return { ...retained, addresses };
}
