/**
 * The director's hold on the kernel's table: a model of what the kernel acknowledged, read at the
 * start, when answers were lost and in the audit, and never on the path of a change.
 */
import { applyPlan, type ApplyResult } from "../../ipvs/apply.ts";
import type { IpvsClient } from "../../ipvs/client.ts";
import type { ServiceKey } from "../../ipvs/model.ts";
import type { IpvsPlan } from "../../ipvs/steps.ts";
import { TableModel } from "../../ipvs/table-model.ts";
import type { Clock } from "../../lib/clock.ts";
import type { PassSignals } from "../loop.ts";

/** How long a refused scheduler is not tried again: somebody may load the module. */
const SCHEDULER_RETRY_MS = 60_000;

/** Connection counters of every destination would double the size of the model, unread. */
const NO_STATS = { stats: false } as const;

/** An audit takes at most this part of the time between two of them: 1/200. */
const AUDIT_SHARE = 200;
/**
 * Longest pause for each service of the table, milliseconds: a read that took long because the
 * machine was busy says nothing about the table.
 */
const MAX_PAUSE_MS = 10;

/** An audit that gave way starts again after this time, milliseconds. */
const YIELD_MS = 1_000;
/** How often in a row an audit gives way. */
const MAX_YIELDS = 10;

export interface TableKeeperOptions {
  readonly client: IpvsClient;
  readonly clock: Clock;
  /** Shortest time between two audits, milliseconds; a large table is read less often. */
  readonly auditMs: number;
}

export class TableKeeper {
  readonly #options: TableKeeperOptions;
  #model: TableModel | undefined;
  #missing: ReadonlySet<string> = new Set();
  readonly #missingUntilMs = new Map<string, number>();
  #nextAuditMs = 0;
  #yields = 0;

  constructor(options: TableKeeperOptions) {
    this.#options = options;
  }

  get client(): IpvsClient {
    return this.#options.client;
  }

  /** Milliseconds until the next audit is due. */
  get auditInMs(): number {
    return Math.max(0, this.#nextAuditMs - this.#options.clock.monotonicMs());
  }

  /** Milliseconds until a refused scheduler may be tried again; Infinity = none was refused. */
  get schedulerRetryInMs(): number {
    const soonest = Math.min(...this.#missingUntilMs.values());
    return Math.max(0, soonest - this.#options.clock.monotonicMs());
  }

  /** Schedulers this kernel refused lately; replaced when its content changes. */
  missingSchedulers(): ReadonlySet<string> {
    const now = this.#options.clock.monotonicMs();
    for (const [name, untilMs] of this.#missingUntilMs) {
      if (untilMs > now) continue;
      this.#missingUntilMs.delete(name);
      this.#missing = new Set(this.#missingUntilMs.keys());
    }
    return this.#missing;
  }

  /** Forgets the model: the next `model` reads the kernel. */
  distrust(): void {
    this.#model = undefined;
  }

  /**
   * The model, read from the kernel when there is none or an audit is due. An audit gives way to
   * whatever waits, a few times.
   * @returns also whether it was read just now
   */
  async model({ stop, hurry }: PassSignals): Promise<{ model: TableModel; fresh: boolean }> {
    const known = this.#model;
    if (known !== undefined && this.auditInMs > 0) return { model: known, fresh: false };
    const mayYield = known !== undefined && this.#yields < MAX_YIELDS;
    try {
      const model = await this.#read(mayYield ? AbortSignal.any([stop, hurry]) : stop);
      this.#yields = 0;
      return { model, fresh: true };
    } catch (error) {
      if (known === undefined || !mayYield || stop.aborted || !hurry.aborted) throw error;
      this.#yields += 1;
      this.#nextAuditMs = this.#options.clock.monotonicMs() + YIELD_MS;
      return { model: known, fresh: false };
    }
  }

  async #read(signal: AbortSignal): Promise<TableModel> {
    const { clock, client, auditMs } = this.#options;
    const startedMs = clock.monotonicMs();
    const model = new TableModel(await client.readTable(signal, NO_STATS));
    const endedMs = clock.monotonicMs();
    this.#model = model;
    const limitMs = MAX_PAUSE_MS * model.table.services.size;
    const pauseMs = Math.min(AUDIT_SHARE * (endedMs - startedMs), limitMs);
    this.#nextAuditMs = endedMs + Math.max(auditMs, pauseMs);
    return model;
  }

  /** Reads connection counts of these services again, so that drains can end. */
  async refresh(
    model: TableModel,
    keys: ReadonlySet<ServiceKey>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const key of keys) {
      const observed = model.table.services.get(key);
      if (observed === undefined) continue;
      model.put(key, await this.client.readService(observed.service.identity, signal, NO_STATS));
    }
  }

  /** Executes a plan made from `model`. Whatever makes the model doubtful makes it forgotten. */
  async apply(model: TableModel, plan: IpvsPlan, signal: AbortSignal): Promise<ApplyResult> {
    try {
      const result = await applyPlan({ plan, client: this.client, model, signal });
      if (result.stale.size > 0) this.distrust();
      this.#noteMissing(result);
      return result;
    } catch (error) {
      this.distrust();
      throw error;
    }
  }

  #noteMissing({ missingSchedulers }: ApplyResult): void {
    if (missingSchedulers.size === 0) return;
    const untilMs = this.#options.clock.monotonicMs() + SCHEDULER_RETRY_MS;
    for (const name of missingSchedulers.values()) this.#missingUntilMs.set(name, untilMs);
    this.#missing = new Set(this.#missingUntilMs.keys());
  }
}
