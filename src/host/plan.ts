/**
 * From what a node is to what it must be around IPVS: addresses, links and sysctls. Pure and
 * deterministic; no step means converged.
 *
 * Every prefix of the steps is a safe place to stop: devices come up and settings are made before
 * the addresses that need them, addresses go before the settings that kept them silent. The
 * journal is to be written before the first step; `settled` after the last one.
 */
import type { NodeJournal } from "./journal.ts";
import {
  type DesiredAddress,
  type DesiredHost,
  type HostStep,
  type SysctlKey,
  sysctlId,
} from "./model.ts";
import { holdsRetained, planAddresses } from "./plan-addresses.ts";
import type { HostPlanInput } from "./plan-input.ts";
import { planLinks } from "./plan-links.ts";
import { planSysctls } from "./plan-sysctls.ts";
import type { HostReport } from "./reports.ts";
import { partnerOf } from "./sysctl-semantics.ts";

export type { HostPlanInput, HostRetention } from "./plan-input.ts";

export interface HostPlan {
  /** In order: devices, settings, unwanted VIPs off, wanted VIPs on, what nobody needs restored. */
  readonly steps: readonly HostStep[];
  /** To be stored before the first step. */
  readonly journal: NodeJournal;
  /** To be stored once every step has succeeded. */
  readonly settled: NodeJournal;
  readonly reports: readonly HostReport[];
  /** Wanted addresses that were not there, whether the steps add them or not. */
  readonly missing: readonly DesiredAddress[];
}

/** Nothing: what `cleanup` wants. */
export const NOTHING_DESIRED: DesiredHost = { addresses: [], sysctls: [], links: [] };

/**
 * Plans for one owner. Only what the journal says we changed, or what carries our mark, is ever
 * taken back; a setting only when no owner needs it and it still has a value of ours.
 */
export function planHost(input: HostPlanInput): HostPlan {
  const { retained } = input;
  const holding =
    retained?.everything === true || retained?.settings === true || holdsRetained(input);
  const links = planLinks(input, holding);
  const sysctls = planSysctls(input, { appearing: links.appearing, holding });
  const addresses = planAddresses(input, sysctls.unmet);
  const steps = [
    ...links.up,
    ...sysctls.set,
    ...addresses.remove,
    ...addresses.add,
    ...addresses.removeMoved,
    ...sysctls.restore,
    ...links.down,
  ];
  const journalOf = (stage: "journal" | "settled"): NodeJournal => ({
    ...input.journal,
    sysctls: sysctls.records[stage],
    links: links.records[stage],
    addresses: addresses.records[stage],
  });
  return {
    steps,
    journal: journalOf("journal"),
    settled: journalOf("settled"),
    reports: [...links.reports, ...sysctls.reports, ...addresses.reports],
    missing: addresses.missing,
  };
}

/** The settings that a plan has to know: those wanted, those recorded, and what decides on them. */
export function keysToObserve(desired: DesiredHost, journal: NodeJournal): readonly SysctlKey[] {
  const keys = new Map<string, SysctlKey>();
  for (const { key } of [...desired.sysctls, ...journal.sysctls]) {
    keys.set(sysctlId(key), key);
    const partner = partnerOf(key);
    if (partner !== undefined) keys.set(sysctlId(partner), partner);
  }
  return [...keys.values()];
}
