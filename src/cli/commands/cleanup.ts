/** `lvsctl cleanup`: takes back what the agents put on this node, and only that. */
import {
  changeHost,
  describeStep,
  loadOrSetAside,
  updateJournal,
  type HostChangeOptions,
} from "../../host/apply.ts";
import type { NodeJournal } from "../../host/journal.ts";
import { HOST_OWNERS, type HostOwner, type HostStep } from "../../host/model.ts";
import { keysToObserve, NOTHING_DESIRED, planHost, type HostRetention } from "../../host/plan.ts";
import type { HostReport } from "../../host/reports.ts";
import { applyPlan } from "../../ipvs/apply.ts";
import type { IpvsClient } from "../../ipvs/client.ts";
import { describeCommand } from "../../ipvs/errors.ts";
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

const KEEP_SETTINGS: HostRetention = { everything: false, addresses: new Set(), settings: true };

/** What would be taken back. Writes nothing. */
export async function previewCleanup(
  ports: CleanupPorts,
  signal: AbortSignal,
): Promise<CleanupOutcome> {
  const { journal } = await ports.store.load();
  const observed = await ports.client.observe(keysToObserve(NOTHING_DESIRED, journal), signal);
  const plans = HOST_OWNERS.map((owner) => ({
    owner,
    ...planHost({ owner, desired: NOTHING_DESIRED, observed, journal }),
  }));
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
  const { journal } = await ports.locks.withJournal(() => loadOrSetAside(ports.store), signal);
  const { plan, table } = await planTable(ports.ipvs, journal, signal);
  const model = new TableModel(table);
  const applied = await applyPlan({ plan, client: ports.ipvs, model, signal });
  outcome.addTable(plan, applied.refused.length + applied.skipped.length);
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

interface HostRelease {
  readonly executed: readonly HostStep[];
  readonly failures: readonly string[];
  readonly reports: readonly HostReport[];
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
  return { executed: change.executed, failures, reports: retained ? [] : change.plan.reports };
}

/** A node that never was a director may have no IPVS at all, and then nothing is to be done there. */
async function planTable(
  ipvs: IpvsClient,
  { services }: NodeJournal,
  signal: AbortSignal,
): Promise<{ plan: IpvsPlan; table: ObservedTable }> {
  const programmed = Object.keys(services).length > 0;
  const table: ObservedTable = programmed
    ? await ipvs.readTable(signal, { stats: false })
    : { services: new Map() };
  const plan = planIpvs({
    desired: { services: new Map() },
    observed: table,
    owns: (_identity, key) => Object.hasOwn(services, key),
    drains: new Map(),
    nowMs: 0,
  });
  return { plan, table };
}

function describeReport({ subject, message }: HostReport): string {
  return `${subject}: ${message}`;
}

class Outcome implements CleanupOutcome {
  readonly steps: string[] = [];
  readonly kept: string[] = [];
  incomplete = false;

  addHost({ executed, failures, reports }: HostRelease): void {
    this.steps.push(...executed.map(describeStep));
    this.kept.push(...failures, ...reports.map(describeReport));
    if (failures.length > 0) this.incomplete = true;
  }

  addTable(plan: IpvsPlan, undone: number): void {
    this.steps.push(...plan.steps.map(({ command }) => describeCommand(command)));
    if (undone === 0) return;
    this.incomplete = true;
    this.kept.push(`${undone} services could not be removed; see lvsctl list`);
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
