/**
 * The director's pass: from objects and the node to kernel tables and VIPs. The order of its steps
 * is the order in which packets stay safe: settings, then VIPs that leave, then the table, then
 * VIPs that come.
 */
import type { DirectorCompiler, DirectorUpdate, NodeFacts } from "../../compile/model.ts";
import { describeStep } from "../../host/apply.ts";
import type { DesiredAddress } from "../../host/model.ts";
import type { ApplyResult } from "../../ipvs/apply.ts";
import type { IpvsStep } from "../../ipvs/steps.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { ObjectSource } from "../../source/source.ts";
import { ConditionLog } from "../condition-log.ts";
import type { HostChanges, HostKeeper, LookUps } from "../host-keeper.ts";
import { ReportLog } from "../report-log.ts";
import type { PassOutcome, PassSignals, WakeReason } from "../loop.ts";
import { sameFacts } from "../same-facts.ts";
import { emptyCounters, withRefusals, type DirectorCounters } from "./status.ts";
import type { TableKeeper } from "./table-keeper.ts";
import { TablePass, type TablePassResult } from "./table-pass.ts";
import type { VipWatch } from "./vip-watch.ts";

/** While destinations drain, their connections are counted this often, milliseconds. */
const DRAIN_CHECK_MS = 1_000;
/** Time to the next try after something was refused or could not be bound, milliseconds. */
const RETRY_MS = 5_000;
/** Time to the next look when the source has nothing yet, milliseconds. */
const NO_OBJECTS_MS = 1_000;

export interface DirectorOptions {
  readonly source: ObjectSource;
  readonly compiler: DirectorCompiler;
  readonly table: TableKeeper;
  readonly host: HostKeeper;
  readonly vips: VipWatch;
  /** Tells the network that these VIPs are here now; takes its time in the background. */
  readonly announce: (bound: readonly DesiredAddress[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly nodeName: string;
  readonly groupName: string;
  readonly interfaceName: string | undefined;
}

export class DirectorAgent {
  readonly #options: DirectorOptions;
  readonly #tablePass: TablePass;
  readonly conditions: ConditionLog;
  readonly counters: DirectorCounters = emptyCounters();
  readonly #reports: ReportLog;
  #facts: NodeFacts | undefined;
  #settled = false;
  #withheld: readonly IpvsStep[] = [];
  #programmed = false;

  constructor(options: DirectorOptions) {
    this.#options = options;
    this.#tablePass = new TablePass(options);
    this.conditions = new ConditionLog(options.log);
    this.#reports = new ReportLog(options.log);
  }

  /** Whether the last pass left nothing to do: no probe runs, nothing was refused. */
  get settled(): boolean {
    return this.#settled && this.#options.vips.pending === 0;
  }

  /** Whether the kernel was brought to a complete desired state at least once. */
  get programmed(): boolean {
    return this.#programmed;
  }

  /** Settings, devices and addresses repaired since the start. */
  get hostRepaired(): number {
    return this.#reports.repaired;
  }

  /** Steps that DryRun and Paused objects hold back. */
  get withheld(): readonly IpvsStep[] {
    return this.#withheld;
  }

  async pass(reasons: ReadonlySet<WakeReason>, signals: PassSignals): Promise<PassOutcome> {
    const { source, table, host, compiler, clock, vips } = this.#options;
    this.#settled = false;
    const { objects } = source.current();
    if (objects === undefined) return { recheckAfterMs: NO_OBJECTS_MS };
    const startedMs = clock.monotonicMs();
    const { stop: signal } = signals;
    const { model, fresh } = await table.model(signals);
    if (fresh || reasons.has("host")) host.invalidate();
    const facts = await this.#nodeFacts(compiler.lookUps(objects), signal);
    const state = compiler.compile(objects, facts);
    const wish = { desired: state.host, retained: state.retained };
    const before = await host.before(wish, signal);
    const exclusive = before.missing.filter((address) => address.exclusive);
    vips.want(exclusive, state.retained.addresses, signal);
    const countDrains = !reasons.has("objects");
    const result = await this.#tablePass.run({ state, model, fresh, countDrains }, signal);
    this.#noteTable(state, result, clock.monotonicMs() - startedMs, fresh);
    const unserved = refusedVips(result.applied);
    const mayBind = ({ address, exclusive }: DesiredAddress): boolean =>
      !unserved.has(address) && (!exclusive || vips.mayBind(address));
    const after = await host.after(wish, mayBind, signal);
    this.#announce(after);
    this.#noteHost([before, after]);
    const troubles = [...result.applied.refused, ...before.failures, ...after.failures];
    this.#settled = troubles.length === 0 && after.missing.every(mayBind);
    this.#programmed = true;
    return { recheckAfterMs: this.#recheckAfter(result, !this.#settled) };
  }

  /** Members keep their identity while nothing changed, so that the compiler can tell. */
  async #nodeFacts(lookUps: LookUps, signal: AbortSignal): Promise<NodeFacts> {
    const { host, table, vips, nodeName, groupName, interfaceName } = this.#options;
    const view = await host.view(signal);
    const next: NodeFacts = {
      nodeName,
      groupName,
      interfaceName,
      links: view.links,
      addresses: view.addresses,
      routes: await host.routes(lookUps, signal),
      missingSchedulers: table.missingSchedulers(),
      occupiedAddresses: vips.occupied(),
    };
    this.#facts = this.#facts === undefined ? next : sameFacts(this.#facts, next);
    return this.#facts;
  }

  #noteTable(
    state: DirectorUpdate,
    { plan, applied }: TablePassResult,
    durationMs: number,
    fresh: boolean,
  ): void {
    const { log } = this.#options;
    this.conditions.note(withRefusals(state, applied));
    this.#withheld = plan.withheld;
    if (plan.steps.length === 0) return;
    const { executed, refused, skipped } = applied;
    this.counters.tableChanges += 1;
    this.counters.lastChangeMs = durationMs;
    const fields = { executed, refused: refused.length, skipped: skipped.length, durationMs };
    const drift = fresh && this.#programmed && (state.changed?.size ?? 1) === 0;
    if (drift) {
      this.counters.driftRepaired += executed;
      log.warn(fields, "table was changed by somebody else and is repaired");
    } else {
      log.info(fields, "table changed");
    }
    for (const step of plan.steps) log.debug({ step }, "ipvs step");
  }

  #announce({ executed }: HostChanges): void {
    const bound = executed.flatMap((step) => (step.op === "add-address" ? [step.address] : []));
    const exclusive = bound.filter((address) => address.exclusive);
    if (exclusive.length > 0) this.#options.announce(exclusive);
  }

  #noteHost(changes: readonly HostChanges[]): void {
    const { log } = this.#options;
    for (const { executed, failures } of changes) {
      for (const step of executed) log.info({ step: describeStep(step) }, "node changed");
      for (const detail of failures) log.error({ detail }, "node could not be changed");
    }
    this.#reports.note(changes.flatMap(({ reports }) => reports));
  }

  #recheckAfter({ applied, plan }: TablePassResult, incomplete: boolean): number {
    const limits = [this.#options.table.auditInMs];
    if (incomplete) limits.push(RETRY_MS);
    if (applied.drains.size > 0) limits.push(DRAIN_CHECK_MS);
    if (plan.nextDeadlineMs !== undefined) {
      limits.push(Math.max(0, plan.nextDeadlineMs - this.#options.clock.wallMs()));
    }
    return Math.min(...limits);
  }
}

/**
 * VIPs of services that the kernel refused. They stay unbound: such a VIP would answer with whatever
 * the host itself listens on.
 */
function refusedVips({ refused }: ApplyResult): ReadonlySet<string> {
  const vips = new Set<string>();
  for (const { step } of refused) {
    if (step.command.op !== "create-service") continue;
    const { identity } = step.command.service;
    if (identity.kind === "address") vips.add(identity.address);
  }
  return vips;
}
