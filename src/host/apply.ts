/** Executes a host plan: the journal first, then the steps in order, then the journal as settled. */
import { KernelRejectedError } from "../netlink/errors.ts";
import type { HostClient } from "./client.ts";
import { JournalError } from "./errors.ts";
import type { NodeJournal } from "./journal.ts";
import type { JournalStore } from "./journal-store.ts";
import type { NodeLocks } from "./lock.ts";
import { type HostStep, type ObservedHost, sysctlId } from "./model.ts";
import { type HostPlan, type HostPlanInput, keysToObserve, planHost } from "./plan.ts";

/** A step that the kernel refused and that the ones after it do not need. */
export interface StepFailure {
  readonly step: HostStep;
  readonly error: KernelRejectedError;
}

export interface StepsResult {
  readonly executed: readonly HostStep[];
  readonly failures: readonly StepFailure[];
}

/** One step, for logs and errors. */
export function describeStep(step: HostStep): string {
  switch (step.op) {
    case "set-sysctl":
    case "restore-sysctl":
      return `${step.op} ${sysctlId(step.key)} ${String(step.value)}`;
    case "link-up":
      return `link-up ${step.link.name}`;
    case "link-down":
      return `link-down ${step.name}${step.remove ? " and remove" : ""}`;
    case "add-address":
    case "remove-address":
      return `${step.op} ${step.address.address} ${step.address.interfaceName}`;
  }
}

/**
 * Executes one step. What is already so counts as done where the kernel says it unmistakably.
 * @throws as the client's methods
 */
export async function applyStep(
  client: HostClient,
  step: HostStep,
  signal: AbortSignal,
): Promise<void> {
  try {
    await execute(client, step, signal);
  } catch (error) {
    if (!(error instanceof KernelRejectedError) || !isDoneAlready(step, error)) throw error;
  }
}

function execute(client: HostClient, step: HostStep, signal: AbortSignal): Promise<void> {
  switch (step.op) {
    case "set-sysctl":
    case "restore-sysctl":
      return client.setSysctl(step.key, step.value, signal);
    case "link-up":
      return client.bringLinkUp(step.link, signal);
    case "link-down":
      return client.takeLinkDown(step.name, step.remove, signal);
    case "add-address":
      return client.addAddress(step.address, step.owner, signal);
    case "remove-address":
      return client.removeAddress(step.address, signal);
  }
}

/** An address or device that is gone needs no removal. EEXIST is no such case: whose is it? */
function isDoneAlready(step: HostStep, { errno }: KernelRejectedError): boolean {
  if (step.op === "remove-address") return errno === "EADDRNOTAVAIL" || errno === "ENODEV";
  return (step.op === "link-down" || step.op === "restore-sysctl") && errno === "ENODEV";
}

/**
 * Executes steps in order. A refused setting that no address depends on, a refused restore and a
 * refused address are reported and the rest goes on, except that an address that could not move
 * stays where it is; any other refusal ends it, because what follows needs the step.
 * @throws KernelRejectedError with the step in its message; NetlinkLostError, AbortedError
 */
export async function applySteps(
  client: HostClient,
  steps: readonly HostStep[],
  signal: AbortSignal,
): Promise<StepsResult> {
  const executed: HostStep[] = [];
  const failures: StepFailure[] = [];
  const unbound = new Set<string>();
  for (const step of steps) {
    if (needsBound(step, unbound)) continue;
    try {
      await applyStep(client, step, signal);
      executed.push(step);
    } catch (error) {
      if (!(error instanceof KernelRejectedError) || !mayFail(step)) throw error;
      failures.push({ step, error });
      if (step.op === "add-address") unbound.add(step.address.address);
    }
  }
  return { executed, failures };
}

/** Whether the step takes away the place that an address could not leave. */
function needsBound(step: HostStep, unbound: ReadonlySet<string>): boolean {
  if (step.op === "link-down") return unbound.size > 0;
  return step.op === "remove-address" && unbound.has(step.address.address);
}

/**
 * Settings of an interface keep a real server silent, so nothing may follow a refused one. Those
 * of the namespace only make a node behave better, and a pod's /proc/sys may be read-only.
 */
function mayFail(step: HostStep): boolean {
  // One address that the kernel does not take (IPv6 is off on the interface) concerns no other.
  if (step.op === "add-address") return true;
  if (step.op !== "set-sysctl") return step.op === "restore-sysctl" || step.op === "link-down";
  return step.key.kind !== "conf" || step.key.interfaceName === "all";
}

export interface HostChangeOptions extends Omit<HostPlanInput, "observed" | "journal"> {
  readonly client: HostClient;
  readonly store: JournalStore;
  readonly locks: NodeLocks;
}

export interface HostChange extends StepsResult {
  readonly plan: HostPlan;
  /** The node as it was before the steps. */
  readonly observed: ObservedHost;
  /** The journal as it is now. */
  readonly journal: NodeJournal;
  /** Why the journal that was found is not used; where it was moved to is in `setAside`. */
  readonly journalDefect: JournalError | undefined;
  readonly setAside: string | undefined;
}

/**
 * Brings the node to the desired state, alone: from the look at the node to the last step no other
 * process of ours changes it. A journal that cannot be used is moved aside, and the kernel's own
 * marks are then all that says what is ours.
 * @throws TimeoutError when the lock is not to be had; JournalError when the journal cannot be
 *   written, before any step; what the client throws
 */
export function changeHost(options: HostChangeOptions, signal: AbortSignal): Promise<HostChange> {
  const { client, store, locks } = options;
  return locks.withJournal(async () => {
    const { journal: found, ...trouble } = await loadOrSetAside(store);
    const observed = await client.observe(keysToObserve(options.desired, found), signal);
    const plan = planHost({ ...options, observed, journal: found });
    await store.save(plan.journal);
    const result = await applySteps(client, plan.steps, signal);
    const journal = result.failures.length === 0 ? plan.settled : plan.journal;
    await store.save(journal);
    return { ...result, plan, observed, journal, ...trouble };
  }, signal);
}

/**
 * Changes other parts of the journal (services, drains, holds) under the lock.
 * @returns the journal as it is now; nothing is written when it says the same
 * @throws TimeoutError, JournalError
 */
export function updateJournal(
  { store, locks }: Pick<HostChangeOptions, "store" | "locks">,
  edit: (journal: NodeJournal) => NodeJournal,
  signal: AbortSignal,
): Promise<NodeJournal> {
  return locks.withJournal(async () => {
    const { journal } = await loadOrSetAside(store);
    const edited = edit(journal);
    await store.save(edited);
    return edited;
  }, signal);
}

/** The journal to work with, and what was wrong with the one that was found. */
export interface UsableJournal {
  readonly journal: NodeJournal;
  readonly journalDefect: JournalError | undefined;
  readonly setAside: string | undefined;
}

/**
 * Loads the journal under the caller's lock; one that cannot be used is moved aside.
 * @throws JournalError when the file system refuses even that
 */
export async function loadOrSetAside(store: JournalStore): Promise<UsableJournal> {
  try {
    const { journal, origin } = await store.load();
    const setAside =
      origin === "other-namespace" ? await store.setAside("other-namespace") : undefined;
    return { journal, journalDefect: undefined, setAside };
  } catch (error) {
    if (!(error instanceof JournalError) || error.reason === "unreadable") throw error;
    const setAside = await store.setAside("broken");
    const { journal } = await store.load();
    return { journal, journalDefect: error, setAside };
  }
}
