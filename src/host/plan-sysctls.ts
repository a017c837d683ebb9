/**
 * Sysctls of a host plan. A record lives like this:
 *
 * ```text
 *            wanted, not fulfilled              wanted by nobody
 *   (none) ───────────────────────► wanted ─────────────────────► released ──► (none)
 *                                   │    ▲                          │   ▲
 *            somebody changed it:   └────┘                          │   │ restored, or changed by
 *            set again, reported      wanted again: ◄───────────────┘   │ somebody: left alone
 * ```
 */
import { type SysctlRecord, ownersOf, wishValues, withoutWish } from "./journal.ts";
import {
  type DesiredSysctl,
  type HostStep,
  type ObservedHost,
  type SysctlKey,
  type SysctlValue,
  sysctlId,
} from "./model.ts";
import { type HostPlanInput, RecordBook, type RecordPlan, isReleasable } from "./plan-input.ts";
import type { HostReport } from "./reports.ts";
import { compareSysctlIds, isFulfilled, partnerOf, reconcileWishes } from "./sysctl-semantics.ts";

export interface SysctlPlan {
  readonly set: readonly HostStep[];
  readonly restore: readonly HostStep[];
  readonly records: RecordPlan<SysctlRecord>;
  readonly reports: readonly HostReport[];
  /** A required setting of an interface is not what it must be, and no step makes it so. */
  readonly unmet: boolean;
}

/** What the other parts of the plan say about devices and addresses. */
export interface SysctlContext {
  /** Devices that the plan creates: their settings do not exist yet. */
  readonly appearing: ReadonlySet<string>;
  /** Something of this owner stays bound: release nothing. */
  readonly holding: boolean;
}

export function planSysctls(input: HostPlanInput, context: SysctlContext): SysctlPlan {
  const planner = new SysctlPlanner(input, context);
  const desired = mergeWishes(input.desired.sysctls);
  for (const id of [...desired.keys()].sort(compareSysctlIds)) {
    const wish = desired.get(id);
    if (wish !== undefined) planner.want(wish);
  }
  if (!context.holding) planner.releaseAllBut(desired);
  return planner.result();
}

/** One wish per setting; required if any of the equal ones is. */
function mergeWishes(wishes: readonly DesiredSysctl[]): ReadonlyMap<string, DesiredSysctl> {
  const merged = new Map<string, DesiredSysctl>();
  for (const wish of wishes) {
    const id = sysctlId(wish.key);
    const other = merged.get(id);
    merged.set(id, {
      key: wish.key,
      value:
        other === undefined ? wish.value : reconcileWishes(wish.key, [other.value, wish.value]),
      optional: wish.optional && (other?.optional ?? true),
    });
  }
  return merged;
}

/** A wish together with what the kernel and the journal have. */
interface Case {
  readonly wish: DesiredSysctl;
  readonly id: string;
  readonly record: SysctlRecord | undefined;
  readonly current: SysctlValue | undefined;
  readonly partner: SysctlValue | undefined;
  readonly wishes: SysctlRecord["wishes"];
  /** The value that all owners can live with. */
  readonly target: SysctlValue;
}

class SysctlPlanner {
  readonly #input: HostPlanInput;
  readonly #context: SysctlContext;
  readonly #book: RecordBook<SysctlRecord>;
  readonly #set: HostStep[] = [];
  readonly #restore: HostStep[] = [];
  readonly #reports: HostReport[] = [];
  #unmet = false;

  constructor(input: HostPlanInput, context: SysctlContext) {
    this.#input = input;
    this.#context = context;
    this.#book = new RecordBook(input.journal.sysctls, (record) => sysctlId(record.key));
  }

  want(wish: DesiredSysctl): void {
    const found = this.#caseOf(wish);
    if (found.current === undefined && !this.#willAppear(wish.key)) {
      this.#missing(found);
    } else if (found.current !== undefined && fulfils(found, found.current)) {
      this.#keep(found, found.current);
    } else if (fulfils(found, found.target)) {
      this.#write(found);
    } else {
      this.#impossible(found);
    }
  }

  releaseAllBut(desired: ReadonlyMap<string, DesiredSysctl>): void {
    for (const record of this.#book.records()) {
      const mine = isReleasable(ownersOf(record), this.#input.owner);
      if (mine && !desired.has(sysctlId(record.key))) this.#release(record);
    }
  }

  result(): SysctlPlan {
    return {
      set: this.#set,
      restore: this.#restore,
      records: this.#book.plan(),
      reports: this.#reports,
      unmet: this.#unmet,
    };
  }

  #caseOf(wish: DesiredSysctl): Case {
    const id = sysctlId(wish.key);
    const record = this.#book.get(id);
    const wishes = { ...record?.wishes, [this.#input.owner]: wish.value };
    const target = reconcileWishes(wish.key, wishValues(wishes));
    const { observed } = this.#input;
    const current = valueOf(observed, wish.key);
    return { wish, id, record, wishes, target, current, partner: partnerValue(observed, wish.key) };
  }

  #willAppear(key: SysctlKey): boolean {
    return key.kind === "conf" && this.#context.appearing.has(key.interfaceName);
  }

  #missing({ wish, id }: Case): void {
    this.#book.drop(id);
    if (wish.optional) return;
    if (wish.key.kind === "conf") this.#unmet = true;
    this.#report("sysctl-missing", id, `${id} does not exist on this node`);
  }

  /** The kernel does what is wanted. A record exists only if one of us once had to write. */
  #keep(found: Case, current: SysctlValue): void {
    const { record, wishes, target } = found;
    if (record === undefined) return;
    const isTarget = current === target;
    this.#book.put({
      ...record,
      wishes,
      written: isTarget ? [target] : record.written,
      confirmed: record.confirmed || isTarget,
    });
    this.#reportConflict(found);
  }

  #write(found: Case): void {
    const { wish, id, record, target, current } = found;
    this.#set.push({ op: "set-sysctl", key: wish.key, value: target });
    const next = recordOfWrite(found);
    if (next.confirmed && record?.wishes[this.#input.owner] !== undefined) {
      const text = `${id} was ${String(current)} although ${String(target)} is needed; set again`;
      this.#report("sysctl-drift", id, text);
    }
    this.#book.put(next, { ...next, written: [target], confirmed: true });
    this.#reportConflict(found);
  }

  #impossible({ wish, id, record, wishes, partner }: Case): void {
    if (record !== undefined) this.#book.put({ ...record, wishes });
    if (wish.key.kind === "conf") this.#unmet = true;
    const all = `conf/all/${wish.key.name}`;
    const wanted = String(wish.value);
    this.#report(
      "sysctl-impossible",
      id,
      `${id} cannot have the effect of ${wanted}: ${all} is ${String(partner)} and overrides it; lower ${all} on this node`,
    );
  }

  #reportConflict({ wish, id, target, partner }: Case): void {
    if (isFulfilled(wish, target, partner)) return;
    const text = `${id}: the other agent of this node needs ${String(target)}, this one ${String(wish.value)}`;
    this.#report("sysctl-conflict", id, text);
  }

  #release(record: SysctlRecord): void {
    const id = sysctlId(record.key);
    const wishes = withoutWish(record.wishes, this.#input.owner);
    if (wishValues(wishes).length > 0) {
      this.#book.put({ ...record, wishes });
      return;
    }
    const current = valueOf(this.#input.observed, record.key);
    if (current === undefined || record.original === null || current === record.original) {
      this.#book.drop(id);
    } else if (record.written.includes(current)) {
      this.#restore.push({ op: "restore-sysctl", key: record.key, value: record.original });
      this.#book.putUntilSettled({ ...record, wishes });
    } else {
      this.#book.drop(id);
      const text = `${id} is ${String(current)}, which is not ours; it was ${String(record.original)} before us and is left alone`;
      this.#report("sysctl-foreign", id, text);
    }
  }

  #report(kind: HostReport["kind"], subject: string, message: string): void {
    this.#reports.push({ kind, subject, message });
  }
}

/** The record before the write: confirmed only if this very value was there once. */
function recordOfWrite({ wish, record, wishes, target, current }: Case): SysctlRecord {
  const { key } = wish;
  if (record === undefined) {
    return { key, original: current ?? null, written: [target], wishes, confirmed: false };
  }
  return {
    ...record,
    // After a crash the older value of ours may still be there, and is ours to restore.
    written: [...new Set([target, ...record.written])],
    wishes,
    confirmed: record.confirmed && record.written[0] === target,
  };
}

function fulfils({ wish, target, partner }: Case, value: SysctlValue): boolean {
  return isFulfilled({ key: wish.key, value: target }, value, partner);
}

function valueOf(observed: ObservedHost, key: SysctlKey): SysctlValue | undefined {
  return observed.sysctls.get(sysctlId(key));
}

function partnerValue(observed: ObservedHost, key: SysctlKey): SysctlValue | undefined {
  const partner = partnerOf(key);
  return partner === undefined ? undefined : valueOf(observed, partner);
}
