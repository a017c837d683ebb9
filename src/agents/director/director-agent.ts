/**
 * The director's pass: from objects and the node to kernel tables and VIPs. The order of its steps
 * is the order in which packets stay safe: settings, then VIPs that leave, then the table, then
 * VIPs that come.
 */
import type { ObjectKey } from "../../api/conditions.ts";
import type {
  DirectorCompiler,
  DirectorUpdate,
  NodeFacts,
  ObjectConditions,
} from "../../compile/model.ts";
import { describeStep } from "../../host/apply.ts";
import type { DesiredAddress } from "../../host/model.ts";
import type { ApplyResult } from "../../ipvs/apply.ts";
import { describeCommand } from "../../ipvs/errors.ts";
import type { ServiceKey } from "../../ipvs/model.ts";
import type { IpvsStep, StepReason } from "../../ipvs/steps.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { ObjectSet, ObjectSource } from "../../source/source.ts";
import { ConditionLog } from "../condition-log.ts";
import {
  unboundAfter,
  type HostChanges,
  type HostFailure,
  type HostKeeper,
  type LookUps,
} from "../host-keeper.ts";
import { LastAnswer } from "../last-answer.ts";
import { ReportLog } from "../report-log.ts";
import type { PassOutcome, PassSignals, WakeReason } from "../loop.ts";
import { withProgrammed } from "../programmed.ts";
import { steadyWall } from "../steady-wall.ts";
import {
  emptyCounters,
  judge,
  withRefusals,
  type DirectorCounters,
  type Outcome,
} from "./status.ts";
import type { TableKeeper } from "./table-keeper.ts";
import { refusedVips, unownedRefusals } from "./refusals.ts";
import { TablePass, type TablePassInput, type TablePassResult } from "./table-pass.ts";
import type { VipWatch } from "./vip-watch.ts";

/** While destinations drain, their connections are counted this often, milliseconds. */
const DRAIN_CHECK_MS = 1_000;
/** Time to the next try after something was refused or could not be bound, milliseconds. */
const RETRY_MS = 5_000;
/** The same after a refusal that the next pass knows better about, milliseconds. */
const LEARNED_MS = 100;
/** How often in a row it is that quick: somebody may work against us all the time. */
const OVERTAKEN_PASSES = 5;
/** So many passes without progress, and none is to be expected. */
const FRUITLESS_PASSES = 2;
/** Steps of a change that its message names. */
const LOGGED_STEPS = 10;
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

/** What a pass has to do. */
interface Work extends TablePassInput {
  readonly objects: ObjectSet;
  /** When the pass began, by the monotonic clock. */
  readonly startedMs: number;
}

export class DirectorAgent {
  readonly #options: DirectorOptions;
  readonly #tablePass: TablePass;
  readonly #nowMs: () => number;
  readonly conditions: ConditionLog;
  readonly counters: DirectorCounters = emptyCounters();
  readonly #reports: ReportLog;
  readonly #unowned: ReportLog;
  readonly #occupied = new LastAnswer<NodeFacts["occupiedAddresses"]>();
  #state: DirectorUpdate | undefined;
  #settled = false;
  #interrupted = false;
  /** Passes in a row that left something undone and could do nothing about it. */
  #fruitless = 0;
  /** Passes in a row that found the table changed under their hands. */
  #overtaken = 0;
  #withheld: readonly IpvsStep[] = [];
  #unbound: ReadonlySet<string> = new Set();
  #programmed = false;

  constructor(options: DirectorOptions) {
    this.#options = options;
    this.#nowMs = steadyWall(options.clock);
    this.#tablePass = new TablePass({ ...options, nowMs: this.#nowMs });
    this.conditions = new ConditionLog(options.log);
    this.#reports = new ReportLog(options.log);
    this.#unowned = new ReportLog(options.log);
  }

  /** Whether the last pass left nothing to do: no probe runs, nothing was refused. */
  get settled(): boolean {
    return this.#settled && this.#options.vips.pending === 0;
  }

  /** Whether what is left to do was refused again and again, and waits for somebody else. */
  get stuck(): boolean {
    return this.#fruitless >= FRUITLESS_PASSES && this.#options.vips.pending === 0;
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

  /** The conditions of all objects, with what only this agent knows. For `/status`. */
  objectConditions(): ObjectConditions {
    const { source, vips } = this.#options;
    const services = new Map<ObjectKey, number>();
    for (const owner of this.#state?.owners.values() ?? []) {
      services.set(owner, (services.get(owner) ?? 0) + 1);
    }
    const outcome: Outcome = {
      services,
      unbound: this.#unbound,
      trouble: (vip) => vips.trouble(vip),
      interrupted: this.#interrupted,
    };
    return withProgrammed(this.conditions.current, source.current().objects, (service, key) =>
      judge(service, key, outcome),
    );
  }

  async pass(reasons: ReadonlySet<WakeReason>, signals: PassSignals): Promise<PassOutcome> {
    const { source, table, host, compiler, clock } = this.#options;
    this.#settled = false;
    const { objects } = source.current();
    if (objects === undefined) return { recheckAfterMs: NO_OBJECTS_MS };
    const startedMs = clock.monotonicMs();
    // The compiler tells each change once, so what a failed pass was told is looked for everywhere.
    const resumed = this.#interrupted;
    this.#interrupted = true;
    const { model, fresh } = await table.model(signals);
    if (fresh || reasons.has("host")) host.invalidate();
    const facts = await this.#nodeFacts(compiler.lookUps(objects), signals.stop);
    const state = compiler.compile(objects, facts);
    this.#state = state;
    const everything = fresh || resumed;
    const countDrains = !reasons.has("objects");
    const work: Work = { objects, startedMs, state, model, everything, countDrains };
    const recheckAfterMs = await this.#execute(work, signals.stop);
    this.#interrupted = false;
    this.#programmed = true;
    return { recheckAfterMs };
  }

  /** @returns when to look again, milliseconds */
  async #execute({ objects, startedMs, ...input }: Work, signal: AbortSignal): Promise<number> {
    const { host, vips, clock, nodeName } = this.#options;
    const { state } = input;
    const wish = { desired: state.host, retained: state.retained };
    const before = await host.before(wish, signal);
    const exclusive = before.missing.filter((address) => address.exclusive);
    vips.want(exclusive, state.retained.addresses, signal);
    const wasClean = this.#tablePass.isClean && this.#programmed;
    const result = await this.#tablePass.run(input, signal);
    this.#noteTable(input, result, clock.monotonicMs() - startedMs, wasClean);
    const steps = result.applied.refused;
    const unserved = refusedVips(steps);
    const mayBind = (address: DesiredAddress): boolean =>
      !unserved.has(address.address) && (!address.exclusive || vips.mayBind(address));
    let failures: readonly HostFailure[] = before.failures;
    try {
      const after = await host.after(wish, mayBind, signal);
      failures = [...failures, ...after.failures];
      this.#announce(after);
      this.#noteHost([before, after]);
      this.#unbound = unboundAfter(after);
      this.#settled = steps.length + failures.length === 0 && after.missing.every(mayBind);
      this.#countFruitless(result.applied, before.executed.length + after.executed.length);
    } finally {
      this.conditions.note(withRefusals(state, { nodeName, objects, steps, failures }));
    }
    return this.#recheckAfter(result);
  }

  /** Members keep their identity while nothing changed, so that the compiler can tell. */
  async #nodeFacts(lookUps: LookUps, signal: AbortSignal): Promise<NodeFacts> {
    const { host, table, vips, nodeName, groupName, interfaceName } = this.#options;
    const view = await host.view(signal);
    return {
      nodeName,
      groupName,
      interfaceName,
      links: view.links,
      addresses: view.addresses,
      routes: await host.routes(lookUps, signal),
      missingSchedulers: table.missingSchedulers(),
      occupiedAddresses: this.#occupied.take(vips.occupied()),
    };
  }

  /** @param wasClean the pass before left nothing to do here */
  #noteTable(
    { state, everything }: TablePassInput,
    { plan, applied, compared }: TablePassResult,
    durationMs: number,
    wasClean: boolean,
  ): void {
    const { log } = this.#options;
    this.#withheld = [
      ...this.#withheld.filter(({ service = "" }) => isStillWithheld(service, state, compared)),
      ...plan.withheld,
    ];
    this.#unowned.note(unownedRefusals(applied, state));
    if (plan.steps.length === 0) return;
    const { executed, refused, skipped } = applied;
    this.counters.tableChanges += 1;
    this.counters.lastChangeMs = Math.round(10 * durationMs) / 10;
    const fields = {
      executed,
      refused: refused.length,
      skipped: skipped.length,
      durationMs: this.counters.lastChangeMs,
      // The whole list of a large change is there at level debug.
      steps: plan.steps.slice(0, LOGGED_STEPS).map(({ command }) => describeCommand(command)),
    };
    const unexpected = everything && wasClean && (state.changed?.size ?? 1) === 0;
    const repairs = plan.steps.filter(({ reason }) => !DRAINING.has(reason));
    if (unexpected && repairs.length > 0) {
      this.counters.driftRepaired += Math.min(executed, repairs.length);
      log.warn(fields, "table was changed by somebody else and is repaired");
    } else {
      log.info(fields, "table changed");
    }
    for (const step of plan.steps) log.debug({ step }, "ipvs step");
  }

  #countFruitless({ executed, stale, missingSchedulers }: ApplyResult, hostSteps: number): void {
    const learned = executed + hostSteps + stale.size + missingSchedulers.size > 0;
    this.#fruitless = this.#settled || learned ? 0 : this.#fruitless + 1;
    this.#overtaken = stale.size === 0 ? 0 : this.#overtaken + 1;
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
      for (const { detail } of failures) log.error({ detail }, "node could not be changed");
    }
    const looked = changes.filter((change) => change.looked);
    if (looked.length > 0) this.#reports.note(looked.flatMap(({ reports }) => reports));
  }

  #recheckAfter({ applied, plan }: TablePassResult): number {
    const { table, vips } = this.#options;
    const limits = [table.auditInMs, table.schedulerRetryInMs, vips.nextQuestionInMs];
    if (!this.#settled) limits.push(RETRY_MS);
    const learned = applied.stale.size + applied.missingSchedulers.size > 0;
    if (learned && this.#overtaken <= OVERTAKEN_PASSES) limits.push(LEARNED_MS);
    if (applied.drains.size > 0) limits.push(DRAIN_CHECK_MS);
    if (plan.nextDeadlineMs !== undefined) {
      limits.push(Math.max(0, plan.nextDeadlineMs - this.#nowMs()));
    }
    return Math.min(...limits);
  }
}

/** Steps that go on with a drain; nobody else's doing. */
const DRAINING: ReadonlySet<StepReason> = new Set([
  "no longer wanted, draining",
  "drained",
  "drain deadline passed",
]);

function isStillWithheld(
  service: ServiceKey,
  { withheld }: DirectorUpdate,
  compared: TablePassResult["compared"],
): boolean {
  return compared?.has(service) === false && withheld.has(service);
}
