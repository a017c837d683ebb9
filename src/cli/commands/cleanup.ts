/** `lvsctl cleanup`: takes back what the agents put on this node, and only that. */
import {
  changeHost,
  describeStep,
  updateJournal,
  type HostChange,
  type HostChangeOptions,
} from "../../host/apply.ts";
import type { NodeJournal } from "../../host/journal.ts";
import { HOST_OWNERS, type HostOwner, type HostStep } from "../../host/model.ts";
import {
  keysToObserve,
  NOTHING_DESIRED,
  planHost,
  type HostPlan,
  type HostRetention,
} from "../../host/plan.ts";
import type { HostReport } from "../../host/reports.ts";
import { applyPlan, type ApplyResult } from "../../ipvs/apply.ts";
import type { IpvsClient } from "../../ipvs/client.ts";
import { describeCommand, KernelUnavailableError } from "../../ipvs/errors.ts";
import type { ObservedTable } from "../../ipvs/model.ts";
import { planIpvs } from "../../ipvs/plan.ts";
import type { IpvsPlan } from "../../ipvs/steps.ts";
import { TableModel } from "../../ipvs/table-model.ts";

export interface CleanupPorts extends Pick<HostChangeOptions, "client" | "store" | "locks"> {
  readonly ipvs: IpvsClient;
}

export interface CleanupOutcome {
  /** Steps done, or with a dry run to be done, in order. */
  readonly steps: readonly string[];
  /** What was refused or deliberately left, for a person. */
  readonly kept: readonly string[];
  /** Whether something that is ours could not be taken back. */
  readonly incomplete: boolean;
}

const NO_TABLE: ObservedTable = { services: new Map() };
/** How often the table is read again when somebody else changes it meanwhile. */
const TABLE_ATTEMPTS = 3;

const KEEP_SETTINGS: HostRetention = { everything: false, addresses: new Set(), settings: true };

/** What would be taken back. Writes nothing. */
export async function previewCleanup(
  ports: CleanupPorts,
  signal: AbortSignal,
): Promise<CleanupOutcome> {
  const { journal } = await ports.store.load();
  const observed = await ports.client.observe(keysToObserve(NOTHING_DESIRED, journal), signal);
  const plans: (HostPlan & { readonly owner: HostOwner })[] = [];
  for (const owner of HOST_OWNERS) {
    // What both agents need is given back by the second.
    const left = plans.at(-1)?.settled ?? journal;
    const plan = planHost({ owner, desired: NOTHING_DESIRED, observed, journal: left });
    plans.push({ owner, ...plan });
  }
  const isDirectorVip = (owner: HostOwner, { op }: HostStep): boolean =>
    owner === "director" && op === "remove-address";
  const { plan } = await planTable(ports.ipvs, journal, signal);
  const hostSteps = (vips: boolean): readonly string[] =>
    plans.flatMap(({ owner, steps }) =>
      steps.filter((step) => isDirectorVip(owner, step) === vips).map(describeStep),
    );
  return {
    steps: [
      ...hostSteps(true),
      ...plan.steps.map(({ command }) => describeCommand(command)),
      ...hostSteps(false),
    ],
    kept: plans.flatMap(({ reports }) => reports.map(describeReport)),
    incomplete: false,
  };
}

/**
 * Takes everything back: VIPs first, so that no client comes any more, then the table, then
 * settings and devices. The caller holds the roles of both agents.
 */
export async function cleanUp(ports: CleanupPorts, signal: AbortSignal): Promise<CleanupOutcome> {
  const outcome = new Outcome();
  outcome.addHost(await releaseHost(ports, "director", KEEP_SETTINGS, signal));
  const { journal } = await ports.store.load();
  await removeServices(ports.ipvs, journal, outcome, signal);
  for (const owner of HOST_OWNERS) {
    outcome.addHost(await releaseHost(ports, owner, undefined, signal));
  }
  if (!outcome.incomplete) {
    const forget = (was: NodeJournal): NodeJournal => ({
      ...was,
      services: {},
      drains: {},
      holds: {},
    });
    await updateJournal(ports, forget, signal);
  }
  return outcome;
}

/** Somebody may remove services at the same time: what is gone then is gone. */
async function removeServices(
  ipvs: IpvsClient,
  journal: NodeJournal,
  outcome: Outcome,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { plan, table } = await planTable(ipvs, journal, signal);
    const applied = await applyPlan({ plan, client: ipvs, model: new TableModel(table), signal });
    outcome.addTable(plan, applied);
    if (applied.stale.size > 0 && attempt < TABLE_ATTEMPTS) continue;
    outcome.addUndone(applied);
    return;
  }
}

interface HostRelease {
  readonly executed: readonly HostStep[];
  readonly failures: readonly string[];
  readonly reports: readonly HostReport[];
  readonly trouble: Pick<HostChange, "journalDefect" | "setAside">;
}

async function releaseHost(
  { client, store, locks }: CleanupPorts,
  owner: HostOwner,
  retained: HostRetention | undefined,
  signal: AbortSignal,
): Promise<HostRelease> {
  const change = await changeHost(
    { owner, client, store, locks, desired: NOTHING_DESIRED, ...(retained && { retained }) },
    signal,
  );
  const failures = change.failures.map(
    ({ step, error }) => `${describeStep(step)}: ${error.message}`,
  );
  // With settings retained the second call says the same again.
  const reports = retained ? [] : change.plan.reports;
  return { executed: change.executed, failures, reports, trouble: change };
}

/** A node that never was a director may have no IPVS at all, and then nothing is to be done there. */
async function planTable(
  ipvs: IpvsClient,
  { services }: NodeJournal,
  signal: AbortSignal,
): Promise<{ plan: IpvsPlan; table: ObservedTable }> {
  const programmed = Object.keys(services).length > 0;
  const table = programmed ? await readTable(ipvs, signal) : NO_TABLE;
  const plan = planIpvs({
    desired: { services: new Map() },
    observed: table,
    owns: (_identity, key) => Object.hasOwn(services, key),
    drains: new Map(),
    nowMs: 0,
  });
  return { plan, table };
}

async function readTable(ipvs: IpvsClient, signal: AbortSignal): Promise<ObservedTable> {
  try {
    return await ipvs.readTable(signal, { stats: false });
  } catch (error) {
    // The services went with the module, and the rest can still be taken back.
    if (error instanceof KernelUnavailableError && error.reason === "NoModule") return NO_TABLE;
    throw error;
  }
}

function describeReport({ subject, message }: HostReport): string {
  return `${subject}: ${message}`;
}

class Outcome implements CleanupOutcome {
  readonly steps: string[] = [];
  readonly kept: string[] = [];
  incomplete = false;

  addHost({ executed, failures, reports, trouble }: HostRelease): void {
    const { journalDefect, setAside } = trouble;
    if (setAside !== undefined) {
      const why = journalDefect?.message ?? "the journal is of another network namespace";
      this.kept.push(
        `${why}; it is at ${setAside} now, and services and settings that only it names stay; see lvsctl list`,
      );
      this.incomplete = true;
    }
    this.steps.push(...executed.map(describeStep));
    this.kept.push(...failures, ...reports.map(describeReport));
    if (failures.length > 0) this.incomplete = true;
  }

  addTable({ steps }: IpvsPlan, { refused, skipped }: ApplyResult): void {
    const undone = new Set([...skipped, ...refused.map(({ step }) => step)]);
    const done = steps.filter((step) => !undone.has(step));
    this.steps.push(...done.map(({ command }) => describeCommand(command)));
  }

  addUndone({ refused, skipped }: ApplyResult): void {
    for (const { step, errno, refusal } of refused) {
      this.kept.push(`${describeCommand(step.command)}: ${errno}: ${refusal.meaning}`);
    }
    for (const { command } of skipped) this.kept.push(`${describeCommand(command)}: not tried`);
    if (refused.length + skipped.length > 0) this.incomplete = true;
  }
}

/** The outcome for a person. */
export function renderCleanup({ steps, kept }: CleanupOutcome, dryRun: boolean): string {
  if (steps.length === 0 && kept.length === 0) return "Nothing of ours is on this node.\n";
  const title = dryRun ? "Would be taken back:\n" : "Taken back:\n";
  const parts = steps.length === 0 ? [] : [title, ...steps.map((step) => `  ${step}\n`)];
  if (kept.length > 0) parts.push("Left as it is:\n", ...kept.map((line) => `  ${line}\n`));
  return parts.join("");
}
