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
import type { HostKeeper } from "../host-keeper.ts";
import { readMemory, sameMemory, writeMemory, type DirectorMemory } from "./memory.ts";
import { ownershipOf, servicesToRemember, vipsOf } from "./ownership.ts";
import type { TableKeeper } from "./table-keeper.ts";

export interface TablePassOptions {
  readonly table: TableKeeper;
  readonly host: HostKeeper;
  /** Milliseconds since the Unix epoch; does not jump while the process runs. */
  readonly nowMs: () => number;
}

export interface TablePassInput {
  readonly state: DirectorUpdate;
  readonly model: TableModel;
  /** Compare the whole table: it was read just now, or a pass before did not get this far. */
  readonly everything: boolean;
  /** Count the connections of draining destinations now; false on the path of a change. */
  readonly countDrains: boolean;
}

export interface TablePassResult {
  readonly plan: IpvsPlan;
  readonly applied: ApplyResult;
  /** Services that were compared; undefined = all. */
  readonly compared: ReadonlySet<ServiceKey> | undefined;
}

export class TablePass {
  readonly #options: TablePassOptions;
  #memory: DirectorMemory | undefined;
  /** Services that a pass left undone; undefined = compare all. */
  #undone: ReadonlySet<ServiceKey> | undefined;

  constructor(options: TablePassOptions) {
    this.#options = options;
  }

  /** Whether the last pass ended, and left nothing undone. */
  get isClean(): boolean {
    return this.#undone?.size === 0;
  }

  async run(input: TablePassInput, signal: AbortSignal): Promise<TablePassResult> {
    const { model } = input;
    const { table } = this.#options;
    const memory = this.#memory ?? readMemory(await this.#options.host.journal(signal));
    if (input.countDrains) await table.refresh(model, drainingServices(memory), signal);
    const compared = this.#keysToCompare(input);
    const plan = this.#plan(input, memory, compared);
    const before = { ...memory, services: owned(input, plan, memory) };
    await this.#remember(memory, before, signal);
    const applied = await table.apply(model, plan, signal);
    const after = { services: owned(input, plan, before), drains: applied.drains };
    await this.#remember(before, after, signal);
    this.#undone = undoneServices(applied);
    return { plan, applied, compared };
  }

  #plan(
    { state, model }: TablePassInput,
    memory: DirectorMemory,
    only: ReadonlySet<ServiceKey> | undefined,
  ): IpvsPlan {
    const ownership = ownershipOf(memory.services, vipsOf(state), model.table);
    return planIpvs({
      desired: retainObserved(state, model.table, ownership),
      observed: model.table,
      owns: ownership.isOurs,
      drains: memory.drains,
      nowMs: this.#options.nowMs(),
      only,
      withheld: state.withheld,
    });
  }

  #keysToCompare({ state, everything }: TablePassInput): ReadonlySet<ServiceKey> | undefined {
    const undone = this.#undone;
    // Until this pass has gone well, the next one compares everything.
    this.#undone = undefined;
    if (everything || undone === undefined || state.changed === undefined) return undefined;
    return undone.size === 0 ? state.changed : new Set([...undone, ...state.changed]);
  }

  async #remember(was: DirectorMemory, now: DirectorMemory, signal: AbortSignal): Promise<void> {
    if (!sameMemory(was, now)) {
      await this.#options.host.updateJournal((journal) => writeMemory(journal, now), signal);
    }
    this.#memory = now;
  }
}

/** What the journal must call ours; the same object when no service comes, goes or changes hands. */
function owned(
  { state, model, everything }: TablePassInput,
  plan: IpvsPlan,
  memory: DirectorMemory,
): DirectorMemory["services"] {
  const settled =
    !everything &&
    state.changed !== undefined &&
    [...state.changed].every((key) => hasSameOwner(key, state, memory)) &&
    !plan.steps.some(changesServices);
  return settled ? memory.services : servicesToRemember(state, memory.services, model.table);
}

function hasSameOwner(
  key: ServiceKey,
  { owners, withheld }: DirectorUpdate,
  { services }: DirectorMemory,
): boolean {
  const owner = owners.get(key);
  return owner === undefined || withheld.has(key) || owner === services.get(key);
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
