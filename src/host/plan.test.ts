import { describe, expect, it } from "vitest";
import { EMPTY_JOURNAL, type NodeJournal } from "./journal.ts";
import type { HostStep } from "./model.ts";
import { type HostPlanInput, keysToObserve, planHost } from "./plan.ts";
import {
  aHost,
  aLink,
  aPlanInput,
  aSysctl,
  aVip,
  anAddress,
  anObservation,
} from "./testing/builders.ts";

const VIP = "192.0.2.1";
const QUIET = [aSysctl("conf/eth0/arp_ignore", 1), aSysctl("conf/eth0/arp_announce", 2)];
const SILENT_SYSCTLS = {
  "conf/eth0/arp_ignore": 1,
  "conf/eth0/arp_announce": 2,
  "conf/all/arp_ignore": 0,
  "conf/all/arp_announce": 0,
};
const LOUD_SYSCTLS = {
  ...SILENT_SYSCTLS,
  "conf/eth0/arp_ignore": 0,
  "conf/eth0/arp_announce": 0,
};
const ours = anAddress(VIP, "lo", { ours: true, markedBy: "realserver" });

/** A step as one line. */
function line(step: HostStep): string {
  switch (step.op) {
    case "set-sysctl":
    case "restore-sysctl":
      return `${step.op} ${Object.values(step.key).slice(1).join("/")}=${step.value}`;
    case "link-up":
      return `link-up ${step.link.name}`;
    case "link-down":
      return `link-${step.remove ? "remove" : "down"} ${step.name}`;
    case "add-address":
    case "remove-address":
      return `${step.op} ${step.address.address} ${step.address.interfaceName}`;
  }
}

function plan(overrides: Partial<HostPlanInput>): {
  steps: readonly string[];
  reports: readonly string[];
  journal: NodeJournal;
  settled: NodeJournal;
} {
  const { steps, reports, journal, settled } = planHost(aPlanInput(overrides));
  const kinds = reports.map(({ kind, subject }) => `${kind} ${subject}`);
  return { steps: steps.map(line), reports: kinds, journal, settled };
}

/** The journal after a first plan on a loud node. */
function afterMaking(
  desired = aHost({ addresses: [aVip(VIP, "lo")], sysctls: QUIET }),
): NodeJournal {
  return plan({ desired, observed: anObservation({ sysctls: LOUD_SYSCTLS }) }).settled;
}

describe("planHost for a real server", () => {
  const desired = aHost({ addresses: [aVip(VIP, "lo")], sysctls: QUIET });

  it("silences ARP before the VIP goes on lo, and writes down what was there", () => {
    const made = plan({ desired, observed: anObservation({ sysctls: LOUD_SYSCTLS }) });
    expect(made.steps).toEqual([
      "set-sysctl eth0/arp_announce=2",
      "set-sysctl eth0/arp_ignore=1",
      `add-address ${VIP} lo`,
    ]);
    expect(made.journal.sysctls[1]).toMatchObject({
      original: 0,
      written: [1],
      wishes: { realserver: 1 },
      confirmed: false,
    });
  });

  it("takes the VIP off before it restores the settings", () => {
    const gone = plan({
      journal: afterMaking(),
      observed: anObservation({ addresses: [ours], sysctls: SILENT_SYSCTLS }),
    });
    expect(gone.steps).toEqual([
      `remove-address ${VIP} lo`,
      "restore-sysctl eth0/arp_announce=0",
      "restore-sysctl eth0/arp_ignore=0",
    ]);
    expect(gone.settled).toEqual(EMPTY_JOURNAL);
    expect(gone.journal.sysctls).toHaveLength(2);
  });

  it("brings a tunnel device up before its settings exist, and removes what it made", () => {
    const tunnel = aHost({
      addresses: [aVip(VIP, "tunl0", { exclusive: false })],
      sysctls: [aSysctl("conf/tunl0/rp_filter", 2)],
      links: [{ name: "tunl0", kind: "ipip" }],
    });
    const made = plan({ desired: tunnel });
    expect(made.steps).toEqual([
      "link-up tunl0",
      "set-sysctl tunl0/rp_filter=2",
      `add-address ${VIP} tunl0`,
    ]);
    const gone = plan({
      journal: made.settled,
      observed: anObservation({
        links: [aLink("lo"), aLink("tunl0", { kind: "ipip" })],
        addresses: [{ ...ours, interfaceName: "tunl0" }],
        sysctls: { "conf/tunl0/rp_filter": 2 },
      }),
    });
    expect(gone.steps).toEqual([`remove-address ${VIP} tunl0`, "link-remove tunl0"]);
  });

  it("takes a device down again only if it was down", () => {
    const links = [{ name: "tunl0", kind: "ipip" as const }];
    const down = aLink("tunl0", { kind: "ipip", up: false });
    const made = plan({ desired: aHost({ links }), observed: anObservation({ links: [down] }) });
    const up = anObservation({ links: [{ ...down, up: true }] });
    expect(plan({ journal: made.settled, observed: up }).steps).toEqual(["link-down tunl0"]);
    const untouched = plan({ desired: aHost({ links }), observed: up });
    expect(untouched.steps).toEqual([]);
    expect(untouched.settled).toEqual(EMPTY_JOURNAL);
  });

  it("leaves a device up that carries an address of somebody else", () => {
    const links = [{ name: "tunl0", kind: "ipip" as const }];
    const made = plan({ desired: aHost({ links }), observed: anObservation({ links: [] }) });
    const observed = anObservation({
      links: [aLink("tunl0", { kind: "ipip" })],
      addresses: [anAddress("198.51.100.1", "tunl0"), anAddress("fe80::1", "tunl0")],
    });
    const kept = plan({ journal: made.settled, observed });
    expect(kept.steps).toEqual([]);
    expect(kept.reports).toEqual(["link-kept tunl0"]);
  });

  it.each([
    { name: "`all` overrides the setting", sysctls: { ...LOUD_SYSCTLS, "conf/all/arp_ignore": 3 } },
    { name: "the device has no such setting", sysctls: {} },
  ])("does not put the VIP on lo when $name", ({ sysctls }) => {
    const blocked = plan({ desired, observed: anObservation({ sysctls }) });
    expect(blocked.steps).not.toContain(`add-address ${VIP} lo`);
    expect(blocked.reports).toContain(`address-blocked ${VIP} lo`);
  });

  it("puts an IPv6 VIP on lo whatever ARP does", () => {
    const both = { ...desired, addresses: [aVip(VIP, "lo"), aVip("2001:db8::1", "lo")] };
    expect(plan({ desired: both, observed: anObservation({}) }).steps).toEqual([
      "add-address 2001:db8::1 lo",
    ]);
  });
});

describe("planHost and settings", () => {
  const wish = aHost({ sysctls: [aSysctl("vs/expire_nodest_conn", 1)] });
  const id = "vs/expire_nodest_conn";
  const at = (value: number | string): ReturnType<typeof anObservation> =>
    anObservation({ sysctls: { [id]: value } });

  it("neither writes nor records a value that is already so", () => {
    const made = plan({ desired: wish, observed: at(1) });
    expect(made.steps).toEqual([]);
    expect(made.settled).toEqual(EMPTY_JOURNAL);
  });

  it.each([
    { name: "`all` is enough for arp_ignore", all: 1, device: 0, wanted: 1, steps: 0 },
    { name: "a stricter arp_ignore of the device stays", all: 0, device: 2, wanted: 1, steps: 0 },
    { name: "arp_ignore 3 of the device is not strict", all: 0, device: 3, wanted: 1, steps: 1 },
  ])("knows that $name", ({ all, device, wanted, steps }) => {
    const made = plan({
      desired: aHost({ sysctls: [aSysctl("conf/eth0/arp_ignore", wanted)] }),
      observed: anObservation({
        sysctls: { "conf/all/arp_ignore": all, "conf/eth0/arp_ignore": device },
      }),
    });
    expect(made.steps).toHaveLength(steps);
    expect(made.reports).toEqual([]);
  });

  it("reports a strict rp_filter of `all` only where loose is not enough", () => {
    const observed = anObservation({
      sysctls: { "conf/all/rp_filter": 1, "conf/tunl0/rp_filter": 0 },
    });
    const want = (value: number): readonly string[] =>
      plan({ desired: aHost({ sysctls: [aSysctl("conf/tunl0/rp_filter", value)] }), observed })
        .reports;
    expect(want(2)).toEqual([]);
    expect(want(0)).toEqual(["sysctl-impossible conf/tunl0/rp_filter"]);
  });

  it("handles settings of several numbers", () => {
    const desired = aHost({ sysctls: [aSysctl("vs/sync_threshold", "2 50")] });
    const observed = anObservation({ sysctls: { "vs/sync_threshold": "3 50" } });
    const made = plan({ desired, observed });
    expect(made.steps).toEqual(["set-sysctl sync_threshold=2 50"]);
    const back = plan({
      journal: made.settled,
      observed: anObservation({ sysctls: { "vs/sync_threshold": "2 50" } }),
    });
    expect(back.steps).toEqual(["restore-sysctl sync_threshold=3 50"]);
  });

  it("skips an optional setting that does not exist, and reports a required one", () => {
    const optional = aHost({ sysctls: [aSysctl(id, 1, true)] });
    expect(plan({ desired: optional }).reports).toEqual([]);
    expect(plan({ desired: wish }).reports).toEqual([`sysctl-missing ${id}`]);
  });

  it("sets a value again that somebody changed, and reports it", () => {
    const { settled } = plan({ desired: wish, observed: at(0) });
    const drifted = plan({ desired: wish, observed: at(0), journal: settled });
    expect(drifted.steps).toEqual(["set-sysctl expire_nodest_conn=1"]);
    expect(drifted.reports).toEqual([`sysctl-drift ${id}`]);
  });

  it("does not call its own unfinished work drift", () => {
    const { journal } = plan({ desired: wish, observed: at(0) });
    expect(plan({ desired: wish, observed: at(0), journal }).reports).toEqual([]);
  });

  it("leaves a value alone that somebody changed and nobody needs, and reports it", () => {
    const { settled } = plan({ desired: wish, observed: at(0) });
    const left = plan({ observed: at(5), journal: settled });
    expect(left.steps).toEqual([]);
    expect(left.reports).toEqual([`sysctl-foreign ${id}`]);
    expect(left.settled).toEqual(EMPTY_JOURNAL);
  });

  it("restores only when the last of two agents lets go, to what was there before both", () => {
    const first = plan({ owner: "director", desired: wish, observed: at(0) });
    const second = plan({ desired: wish, observed: at(1), journal: first.settled });
    const released = plan({ owner: "director", observed: at(1), journal: second.settled });
    expect(released.steps).toEqual([]);
    const last = plan({ observed: at(1), journal: released.settled });
    expect(last.steps).toEqual(["restore-sysctl expire_nodest_conn=0"]);
  });

  it("takes the stricter wish of two agents, and tells the other one", () => {
    const arp = (value: number): HostPlanInput["desired"] =>
      aHost({ sysctls: [aSysctl("conf/eth0/arp_announce", value)] });
    const observed = anObservation({
      sysctls: { "conf/eth0/arp_announce": 0, "conf/all/arp_announce": 0 },
    });
    const first = plan({ owner: "director", desired: arp(2), observed });
    const second = plan({ desired: arp(1), observed, journal: first.settled });
    expect(second.steps).toEqual(["set-sysctl eth0/arp_announce=2"]);
    expect(second.reports).toEqual([]);
  });

  it("restores nothing while settings are retained", () => {
    const { settled } = plan({ desired: wish, observed: at(0) });
    const retained = { everything: false, addresses: new Set<string>(), settings: true };
    const kept = plan({ observed: at(1), journal: settled, retained });
    expect(kept.steps).toEqual([]);
    expect(kept.settled).toEqual(settled);
  });

  it("observes what decides together with a setting", () => {
    const keys = keysToObserve(aHost({ sysctls: QUIET }), EMPTY_JOURNAL);
    expect(keys).toContainEqual({ kind: "conf", interfaceName: "all", name: "arp_ignore" });
    expect(keys).toHaveLength(4);
  });
});

describe("planHost and addresses", () => {
  const desired = aHost({ addresses: [aVip(VIP, "eth0")] });
  const mine = anAddress(VIP, "eth0", { ours: true, markedBy: "director" });

  it("uses an address that was there, and never removes it", () => {
    const observed = anObservation({ addresses: [anAddress(VIP, "eth0", { prefixLength: 24 })] });
    const used = plan({ owner: "director", desired, observed });
    expect(used.steps).toEqual([]);
    expect(used.reports).toEqual([`address-foreign ${VIP} eth0`]);
    expect(plan({ owner: "director", observed, journal: used.settled }).steps).toEqual([]);
  });

  it("removes an address with its mark although the journal is lost", () => {
    const observed = anObservation({ addresses: [mine] });
    expect(plan({ owner: "director", observed }).steps).toEqual([`remove-address ${VIP} eth0`]);
    expect(plan({ owner: "realserver", observed }).steps).toEqual([]);
  });

  it("goes by the journal on a kernel that keeps no marks", () => {
    const unmarked = { addressMarks: false, addresses: [anAddress(VIP, "eth0")] };
    const { settled } = plan({
      owner: "director",
      desired,
      observed: anObservation({ addressMarks: false }),
    });
    const observed = anObservation(unmarked);
    expect(plan({ owner: "director", observed, journal: settled }).steps).toEqual([
      `remove-address ${VIP} eth0`,
    ]);
    expect(plan({ owner: "director", observed }).steps).toEqual([]);
  });

  it("leaves an address alone that somebody took away and added himself", () => {
    const { settled } = plan({ owner: "director", desired });
    const observed = anObservation({ addresses: [anAddress(VIP, "eth0")] });
    const left = plan({ owner: "director", observed, journal: settled });
    expect(left.steps).toEqual([]);
    expect(left.reports).toEqual([`address-replaced ${VIP} eth0`]);
  });

  it("adds an address again that somebody took away, and reports it", () => {
    const { settled } = plan({ owner: "director", desired });
    const repaired = plan({ owner: "director", desired, journal: settled });
    expect(repaired.steps).toEqual([`add-address ${VIP} eth0`]);
    expect(repaired.reports).toEqual([`address-drift ${VIP} eth0`]);
  });

  it("binds on the new device before it leaves the old one", () => {
    const moved = plan({
      owner: "director",
      desired: aHost({ addresses: [aVip(VIP, "eth1")] }),
      observed: anObservation({ addresses: [mine] }),
    });
    expect(moved.steps).toEqual([`add-address ${VIP} eth1`, `remove-address ${VIP} eth0`]);
  });

  it("takes other VIPs off before it binds new ones", () => {
    const changed = plan({
      owner: "director",
      desired: aHost({ addresses: [aVip("192.0.2.2", "eth0")] }),
      observed: anObservation({ addresses: [mine] }),
    });
    expect(changed.steps).toEqual([`remove-address ${VIP} eth0`, "add-address 192.0.2.2 eth0"]);
  });

  it("says what is missing, and binds only what it may", () => {
    const input = aPlanInput({ owner: "director", desired, mayBind: () => false });
    expect(planHost(input)).toMatchObject({ steps: [], missing: desired.addresses });
    expect(planHost(input).settled).toEqual(EMPTY_JOURNAL);
  });

  it("leaves a VIP where it is until it may be bound where it belongs", () => {
    const elsewhere = aHost({ addresses: [aVip(VIP, "eth1")] });
    const observed = anObservation({
      links: [aLink("lo"), aLink("eth0"), aLink("eth1")],
      addresses: [mine],
    });
    const input = { owner: "director" as const, desired: elsewhere, observed };
    expect(plan({ ...input, mayBind: () => false }).steps).toEqual([]);
    expect(plan(input).steps).toEqual([`add-address ${VIP} eth1`, `remove-address ${VIP} eth0`]);
  });

  it("neither adds nor removes a retained address, and keeps its settings", () => {
    const retained = { everything: false, addresses: new Set([VIP]), settings: false };
    const observed = anObservation({ addresses: [ours], sysctls: SILENT_SYSCTLS });
    const kept = plan({ observed, journal: afterMaking(), retained });
    expect(kept.steps).toEqual([]);
    const unbound = plan({ owner: "director", desired, retained });
    expect(unbound.steps).toEqual([]);
  });

  it("removes and restores nothing when everything is retained, and still adds", () => {
    const retained = { everything: true, addresses: new Set<string>(), settings: true };
    const observed = anObservation({ addresses: [ours], sysctls: SILENT_SYSCTLS });
    const added = plan({
      observed,
      journal: afterMaking(),
      retained,
      desired: aHost({ addresses: [aVip("192.0.2.7", "lo")] }),
    });
    expect(added.steps).toEqual(["add-address 192.0.2.7 lo"]);
  });
});
