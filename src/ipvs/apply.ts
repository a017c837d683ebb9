/**
 * Executes a plan. What adds capacity is acknowledged before anything is taken away, and where it
 * was refused the service keeps what it has. An empty plan sends nothing.
 */
import type { CommandFailure, IpvsClient } from "./client.ts";
import { explainRefusal, type Refusal } from "./errors.ts";
import type { ServiceKey } from "./model.ts";
import { drainKey, type DrainRecords, type IpvsPlan, type IpvsStep } from "./steps.ts";
import type { TableModel } from "./table-model.ts";

export interface ApplyInput {
  readonly plan: IpvsPlan;
  readonly client: IpvsClient;
  /** What the plan was made from; brought up to date with each acknowledged command. */
  readonly model: TableModel;
  readonly signal: AbortSignal;
}

/** A step that the kernel refused. */
export interface RefusedStep {
  readonly step: IpvsStep;
  /** Name of the error. */
  readonly errno: string;
  readonly refusal: Refusal;
}

export interface ApplyResult {
  /** Commands that the kernel executed. */
  readonly executed: number;
  readonly refused: readonly RefusedStep[];
  /** Steps not tried: their service could not grow as planned, or the signal fired. */
  readonly skipped: readonly IpvsStep[];
  /** Services that are not as the model said: read them again before planning. */
  readonly stale: ReadonlySet<ServiceKey>;
  /** Services whose scheduler this kernel has not, with its name. */
  readonly missingSchedulers: ReadonlyMap<ServiceKey, string>;
  /** Running drains, for the journal: those of the plan, without the ones that did not begin. */
  readonly drains: DrainRecords;
}

/**
 * Sends the steps in order, with a stop after growth and after switches to look at the answers.
 * Refusals are in the result, not thrown; other services go on.
 * @throws NetlinkLostError answers were lost: the model is worthless, read the table again
 * @throws KernelUnavailableError IPVS as a whole is gone or forbidden
 * @throws AbortedError when the signal had fired before the first command
 */
export async function applyPlan(input: ApplyInput): Promise<ApplyResult> {
  const outcome = new Outcome(input.model);
  for (const stage of stages(input.plan.steps)) {
    const steps = stage.filter((step) => outcome.mayRun(step));
    for (const step of stage) if (!outcome.mayRun(step)) outcome.skip(step);
    if (steps.length === 0) continue;
    if (outcome.aborted) {
      for (const step of steps) outcome.skip(step);
      continue;
    }
    const report = await input.client.execute(
      steps.map((step) => step.command),
      input.signal,
    );
    outcome.record(steps, report.sent, report.failures);
  }
  return outcome.result(input.plan.drains);
}

/** The plan cut where the answers matter before going on; empty stages are left out. */
function stages(steps: readonly IpvsStep[]): readonly (readonly IpvsStep[])[] {
  const grow = steps.filter((step) => step.effect === "edit" || step.effect === "grow");
  const switches = steps.filter((step) => step.effect === "switch");
  const shrink = steps.filter((step) => step.effect === "shrink");
  return [grow, switches, shrink].filter((stage) => stage.length > 0);
}

/** Gathers what happened to each step. */
class Outcome {
  readonly #model: TableModel;
  readonly #refused: RefusedStep[] = [];
  readonly #skipped: IpvsStep[] = [];
  readonly #stale = new Set<ServiceKey>();
  readonly #missing = new Map<ServiceKey, string>();
  /** Services that did not get the capacity they should have got. */
  readonly #short = new Set<ServiceKey>();
  /** Services that could not be created; what follows from that is no news. */
  readonly #absent = new Set<ServiceKey>();
  #executed = 0;
  #aborted = false;

  constructor(model: TableModel) {
    this.#model = model;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  mayRun(step: IpvsStep): boolean {
    if (step.effect === "edit" || step.effect === "grow" || step.service === undefined) return true;
    return !this.#short.has(step.service);
  }

  skip(step: IpvsStep): void {
    this.#skipped.push(step);
  }

  record(steps: readonly IpvsStep[], sent: number, failures: readonly CommandFailure[]): void {
    const failed = new Map(failures.map((failure) => [failure.index, failure.errno]));
    steps.forEach((step, index) => {
      const errno = failed.get(index);
      if (index >= sent) {
        this.#aborted = true;
        this.skip(step);
      } else if (errno === undefined) {
        this.#executed += 1;
        this.#model.acknowledge(step.command, step.service);
      } else {
        this.#refuse(step, errno);
      }
    });
  }

  result(planned: DrainRecords): ApplyResult {
    return {
      executed: this.#executed,
      refused: this.#refused,
      skipped: this.#skipped,
      stale: this.#stale,
      missingSchedulers: this.#missing,
      drains: this.#begunDrains(planned),
    };
  }

  #refuse(step: IpvsStep, errno: string): void {
    const { service, command } = step;
    const refusal = explainRefusal(command, errno);
    if (service !== undefined) {
      if (step.effect === "grow") this.#short.add(service);
      // The destinations of a service that could not be made have nowhere to go.
      if (errno === "ESRCH" && this.#absent.has(service)) {
        this.skip(step);
        return;
      }
      this.#noteService(service, step, refusal);
    }
    this.#refused.push({ step, errno, refusal });
  }

  #noteService(service: ServiceKey, { command }: IpvsStep, { kind }: Refusal): void {
    if (kind === "stale") this.#stale.add(service);
    else if (command.op === "create-service") this.#absent.add(service);
    if (kind !== "missing-module" || !("service" in command)) return;
    // With a persistence engine the error does not say which of the two modules is missing.
    if (command.service.persistenceEngine === undefined) {
      this.#missing.set(service, command.service.scheduler);
    }
  }

  #begunDrains(planned: DrainRecords): DrainRecords {
    const unchanged = [...this.#skipped, ...this.#refused.map(({ step }) => step)];
    const notBegun = unchanged.filter(({ reason }) => reason === "no longer wanted, draining");
    if (notBegun.length === 0) return planned;
    const drains = new Map(planned);
    for (const { service, destination } of notBegun) {
      if (service !== undefined && destination !== undefined) {
        drains.delete(drainKey(service, destination));
      }
    }
    return drains;
  }
}
