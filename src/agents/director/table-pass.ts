/**
 * The part of a pass that is about the table: compare, write down what will be ours, execute, and
 * remember what is left to do.
 */
import type { DirectorUpdate } from "../../compile/model.ts";
import { retainObserved } from "../../compile/retention.ts";
import type { ApplyResult } from "../../ipvs/apply.ts";
import type { ServiceKey } from "../../ipvs/model.ts";
import { planIpvs } from "../../ipvs/plan.ts";
import type { IpvsPlan } from "../../ipvs/steps.ts";
import type { TableModel } from "../../ipvs/table-model.ts";
import type { Clock } from "../../lib/clock.ts";
import type { HostKeeper } from "../host-keeper.ts";
import { readMemory, sameMemory, writeMemory, type DirectorMemory } from "./memory.ts";
import { ownershipOf, servicesToRemember, vipsOf } from "./ownership.ts";
import type { TableKeeper } from "./table-keeper.ts";

export interface TablePassOptions {
  readonly table: TableKeeper;
  readonly host: HostKeeper;
  readonly clock: Clock;
}

export interface TablePassInput {
  readonly state: DirectorUpdate;
  readonly model: TableModel;
  /** The model was read just now: compare all of it. */
  readonly fresh: boolean;
  /** Count the connections of draining destinations now; false on the path of a change. */
  readonly countDrains: boolean;
}

export interface TablePassResult {
  readonly plan: IpvsPlan;
  readonly applied: ApplyResult;
}

export class TablePass {
  readonly #options: TablePassOptions;
  #memory: DirectorMemory | undefined;
  /** Services that a pass left undone; undefined = compare all. */
  #undone: ReadonlySet<ServiceKey> | undefined;

  constructor(options: TablePassOptions) {
    this.#options = options;
  }

  /** Services that the journal calls ours. */
  get owned(): ReadonlySet<ServiceKey> {
    return new Set(this.#memory?.services.keys());
  }

  async run(input: TablePassInput, signal: AbortSignal): Promise<TablePassResult> {
    const { model } = input;
    const { table } = this.#options;
    const memory = this.#memory ?? readMemory(await this.#options.host.journal(signal));
    if (input.countDrains) await table.refresh(model, drainingServices(memory), signal);
    const plan = this.#plan(input, memory);
    const before = { ...memory, services: owned(input, plan, memory) };
    await this.#remember(memory, before, signal);
    const applied = await table.apply(model, plan, signal);
    const after = { services: owned(input, plan, before), drains: applied.drains };
    await this.#remember(before, after, signal);
    this.#undone = undoneServices(applied);
    return { plan, applied };
  }

  #plan({ state, model, fresh }: TablePassInput, memory: DirectorMemory): IpvsPlan {
    const ownership = ownershipOf(memory.services, vipsOf(state), model.table);
    return planIpvs({
      desired: retainObserved(state, model.table, ownership),
      observed: model.table,
      owns: ownership.isOurs,
      drains: memory.drains,
      nowMs: this.#options.clock.wallMs(),
      only: this.#keysToCompare(state, fresh),
      withheld: state.withheld,
    });
  }

  #keysToCompare(state: DirectorUpdate, fresh: boolean): ReadonlySet<ServiceKey> | undefined {
    const undone = this.#undone;
    // Until this pass has gone well, the next one compares everything.
    this.#undone = undefined;
    if (fresh || undone === undefined || state.changed === undefined) return undefined;
    return undone.size === 0 ? state.changed : new Set([...undone, ...state.changed]);
  }

  async #remember(was: DirectorMemory, now: DirectorMemory, signal: AbortSignal): Promise<void> {
    if (!sameMemory(was, now)) {
      await this.#options.host.updateJournal((journal) => writeMemory(journal, now), signal);
    }
    this.#memory = now;
  }
}

/** What the journal must call ours; the same object when the plan makes and removes no service. */
function owned(
  { state, model, fresh }: TablePassInput,
  plan: IpvsPlan,
  memory: DirectorMemory,
): DirectorMemory["services"] {
  const settled = !fresh && state.changed !== undefined && !plan.steps.some(changesServices);
  return settled ? memory.services : servicesToRemember(state, memory.services, model.table);
}

function changesServices({ command }: IpvsPlan["steps"][number]): boolean {
  return command.op === "create-service" || command.op === "delete-service";
}

function drainingServices(memory: DirectorMemory): ReadonlySet<ServiceKey> {
  return new Set([...memory.drains.values()].map((drain) => drain.service));
}

function undoneServices({ skipped, refused }: ApplyResult): ReadonlySet<ServiceKey> {
  const steps = [...skipped, ...refused.map(({ step }) => step)];
  return new Set(steps.flatMap((step) => (step.service === undefined ? [] : [step.service])));
}
