import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ipFamily } from "../lib/ip-address.ts";
import { EMPTY_JOURNAL, type NodeJournal } from "./journal.ts";
import {
  type DesiredHost,
  HOST_OWNERS,
  type HostOwner,
  type HostStep,
  type ObservedHost,
} from "./model.ts";
import { NOTHING_DESIRED, keysToObserve, planHost } from "./plan.ts";
import { aHost, aKey, aLink, aSysctl, aVip, anAddress } from "./testing/builders.ts";
import { HostWorld } from "./testing/host-world.ts";

/** Random histories for each property: one for 25 of the cheaper pairs of other planners. */
const RUNS = { numRuns: Math.ceil(Number(process.env["LVS_PROPERTY_RUNS"] ?? 15_000) / 25) };
const TIMEOUT = { timeout: 30_000 + 20 * RUNS.numRuns };
const DEVICES = ["eth0", "eth1"] as const;
const VIPS = ["192.0.2.1", "192.0.2.2", "2001:db8::1"] as const;
const FOREIGN_VALUE = 7;

/** A node with ordinary values, some of them already as an agent would want them. */
const initialWorld = fc.record({
  all: fc.record({ arp_ignore: fc.constantFrom(0, 1, 2), rp_filter: fc.constantFrom(0, 1, 2) }),
  device: fc.record({ arp_ignore: fc.constantFrom(0, 1, 2), arp_announce: fc.constantFrom(0, 2) }),
  vs: fc.constantFrom(0, 1),
  tunnel: fc.constantFrom("absent", "down", "up"),
  foreign: fc.uniqueArray(fc.constantFrom(...VIPS), { maxLength: 1 }),
  marks: fc.boolean(),
});
type InitialWorld = typeof initialWorld extends fc.Arbitrary<infer T> ? T : never;

function makeWorld(initial: InitialWorld): HostWorld {
  const tunnelSettings = { arp_ignore: 0, rp_filter: 1 };
  const sysctls: Record<string, number | string> = {
    "vs/expire_nodest_conn": initial.vs,
    "vs/sync_threshold": "3 50",
    "ipv4/ip_forward": 0,
    "conf/all/arp_ignore": initial.all.arp_ignore,
    "conf/all/arp_announce": 0,
    "conf/all/rp_filter": initial.all.rp_filter,
  };
  for (const name of DEVICES) {
    sysctls[`conf/${name}/arp_ignore`] = initial.device.arp_ignore;
    sysctls[`conf/${name}/arp_announce`] = initial.device.arp_announce;
    sysctls[`conf/${name}/rp_filter`] = 1;
  }
  const links = [aLink("lo"), aLink("eth0"), aLink("eth1", { index: 3 })];
  if (initial.tunnel !== "absent") {
    links.push(aLink("tunl0", { index: 4, kind: "ipip", up: initial.tunnel === "up" }));
    sysctls["conf/tunl0/rp_filter"] = 1;
  }
  return new HostWorld({
    links,
    sysctls,
    newDeviceSettings: tunnelSettings,
    marks: initial.marks,
    addresses: initial.foreign.map((address) => anAddress(address, "lo")),
  });
}

const realServerWish: fc.Arbitrary<DesiredHost> = fc
  .record({
    vips: fc.uniqueArray(fc.constantFrom(...VIPS)),
    devices: fc.uniqueArray(fc.constantFrom(...DEVICES), { minLength: 1 }),
    tunnel: fc.boolean(),
  })
  .map(({ vips, devices, tunnel }) =>
    aHost({
      addresses: vips.map((vip) => aVip(vip, tunnel ? "tunl0" : "lo", { exclusive: false })),
      sysctls: [
        ...(vips.length > 0 ? devices : []).flatMap((name) => [
          aSysctl(`conf/${name}/arp_ignore`, 1),
          aSysctl(`conf/${name}/arp_announce`, 2),
        ]),
        ...(tunnel ? [aSysctl("conf/tunl0/rp_filter", 2)] : []),
      ],
      links: tunnel ? [{ name: "tunl0", kind: "ipip" }] : [],
    }),
  );

const directorWish: fc.Arbitrary<DesiredHost> = fc
  .record({
    vips: fc.uniqueArray(fc.constantFrom(...VIPS)),
    device: fc.constantFrom(...DEVICES),
    // The other agent may want the same setting, or another value of it.
    arpIgnore: fc.constantFrom(undefined, 1, 2),
    threshold: fc.constantFrom("2 50", "3 50", "3 40"),
  })
  .map(({ vips, device, arpIgnore, threshold }) =>
    aHost({
      addresses: vips.map((vip) => aVip(vip, device)),
      sysctls: [
        aSysctl("vs/expire_nodest_conn", 1),
        aSysctl("vs/sync_threshold", threshold),
        aSysctl("vs/of_another_kernel", 1, true),
        aSysctl("ipv4/ip_forward", 1),
        ...(arpIgnore === undefined ? [] : [aSysctl(`conf/${device}/arp_ignore`, arpIgnore)]),
      ],
    }),
  );

/** A pass of an agent; `crashAfter` steps it is killed. */
interface Pass {
  readonly owner: HostOwner;
  readonly desired: DesiredHost;
  readonly crashAfter: number | undefined;
}

const crash = fc.option(fc.nat({ max: 12 }), { nil: undefined });
const aPass: fc.Arbitrary<Pass> = fc.oneof(
  fc.record({ owner: fc.constant("director" as const), desired: directorWish, crashAfter: crash }),
  fc.record({
    owner: fc.constant("realserver" as const),
    desired: realServerWish,
    crashAfter: crash,
  }),
);

type Foreign =
  | { readonly kind: "sysctl"; readonly id: string }
  | { readonly kind: "add" | "remove"; readonly address: string; readonly device: string };
const aForeignChange: fc.Arbitrary<Foreign> = fc.oneof(
  fc.record({
    kind: fc.constant("sysctl" as const),
    id: fc.constantFrom("vs/expire_nodest_conn", "conf/eth0/arp_ignore", "ipv4/ip_forward"),
  }),
  fc.record({
    kind: fc.constantFrom("add" as const, "remove" as const),
    address: fc.constantFrom(...VIPS),
    device: fc.constantFrom("lo", ...DEVICES),
  }),
);

/** Plays agents against a world; every step is checked by `onStep`. */
class Play {
  readonly world: HostWorld;
  journal: NodeJournal = EMPTY_JOURNAL;
  readonly foreignAddresses = new Set<string>();

  constructor(world: HostWorld) {
    this.world = world;
  }

  pass({ owner, desired, crashAfter }: Pass, onStep?: (step: HostStep) => void): number {
    const observed = this.observe(desired);
    const plan = planHost({ owner, desired, observed, journal: this.journal });
    this.journal = plan.journal;
    for (const [index, step] of plan.steps.entries()) {
      if (crashAfter === index) return index;
      this.world.execute(step);
      onStep?.(step);
    }
    if (crashAfter === undefined) this.journal = plan.settled;
    return plan.steps.length;
  }

  /** Steps that the owner would need to get back what it wants. */
  repairs(owner: HostOwner, desired: DesiredHost): readonly HostStep[] {
    const observed = this.observe(desired);
    // Without the journal: what the other agent wants of the same setting is not the question.
    const { steps } = planHost({ owner, desired, observed, journal: EMPTY_JOURNAL });
    return steps.filter(({ op }) => ["set-sysctl", "link-up", "add-address"].includes(op));
  }

  observe(desired: DesiredHost): ObservedHost {
    return this.world.observe(keysToObserve(desired, this.journal));
  }

  foreign(change: Foreign): void {
    if (change.kind === "sysctl") {
      this.world.setSysctl(aKey(change.id), FOREIGN_VALUE);
      return;
    }
    const { addresses } = this.observe(NOTHING_DESIRED);
    const there = addresses.find(
      (a) => a.address === change.address && a.interfaceName === change.device,
    );
    const key = `${change.address} ${change.device}`;
    if (change.kind === "remove" && there !== undefined) {
      this.world.removeAddress(there);
      this.foreignAddresses.delete(key);
    } else if (change.kind === "add" && there === undefined) {
      this.world.addForeign(anAddress(change.address, change.device));
      this.foreignAddresses.add(key);
    }
  }

  cleanUp(): void {
    for (const owner of HOST_OWNERS) {
      this.pass({ owner, desired: NOTHING_DESIRED, crashAfter: undefined });
    }
  }
}

describe("planHost", TIMEOUT, () => {
  it("plans nothing once its plan was carried out", () => {
    fc.assert(
      fc.property(initialWorld, fc.array(aPass, { minLength: 1 }), (initial, passes) => {
        const play = new Play(makeWorld(initial));
        for (const pass of passes) play.pass(pass);
        const last = passes.at(-1);
        if (last === undefined) return;
        play.pass({ ...last, crashAfter: undefined });
        const before = play.journal;
        const { owner, desired } = last;
        const again = planHost({
          owner,
          desired,
          observed: play.observe(desired),
          journal: before,
        });
        expect(again.steps).toEqual([]);
        expect(again.journal).toEqual(before);
      }),
      RUNS,
    );
  });

  it("lets two agents settle, whatever each wants", () => {
    fc.assert(
      fc.property(initialWorld, directorWish, realServerWish, (initial, director, realserver) => {
        const play = new Play(makeWorld(initial));
        const round = (): number =>
          play.pass({ owner: "director", desired: director, crashAfter: undefined }) +
          play.pass({ owner: "realserver", desired: realserver, crashAfter: undefined });
        round();
        round();
        expect(round()).toBe(0);
      }),
      RUNS,
    );
  });

  it("gives the first world back after any history of two agents that are killed anywhere", () => {
    fc.assert(
      fc.property(initialWorld, fc.array(aPass, { maxLength: 8 }), (initial, passes) => {
        const play = new Play(makeWorld(initial));
        const before = play.world.state();
        for (const pass of passes) play.pass(pass);
        play.cleanUp();
        expect(play.world.state()).toEqual(before);
        expect(play.journal).toEqual(EMPTY_JOURNAL);
      }),
      RUNS,
    );
  });

  it("gives the first world back when the clean-up is killed as well and run again", () => {
    fc.assert(
      fc.property(initialWorld, fc.array(aPass), fc.nat({ max: 8 }), (initial, passes, at) => {
        const play = new Play(makeWorld(initial));
        const before = play.world.state();
        for (const pass of passes) play.pass(pass);
        for (const owner of HOST_OWNERS) {
          play.pass({ owner, desired: NOTHING_DESIRED, crashAfter: at });
        }
        play.cleanUp();
        expect(play.world.state()).toEqual(before);
      }),
      RUNS,
    );
  });

  it("never removes an address that is not ours, with a kernel that keeps marks", () => {
    const history = fc.array(fc.oneof(aPass, aForeignChange), { maxLength: 10 });
    fc.assert(
      fc.property(initialWorld, history, (initial, events) => {
        const play = new Play(makeWorld({ ...initial, marks: true }));
        for (const address of initial.foreign) play.foreignAddresses.add(`${address} lo`);
        for (const event of events) {
          if ("owner" in event) play.pass(event);
          else play.foreign(event);
        }
        play.cleanUp();
        const left = play.observe(NOTHING_DESIRED).addresses;
        const keys = left.map((a) => `${a.address} ${a.interfaceName}`);
        expect(new Set(keys)).toEqual(play.foreignAddresses);
      }),
      RUNS,
    );
  });

  it("leaves a setting that somebody changed alone, and restores all others", () => {
    const history = fc.array(fc.oneof(aPass, aForeignChange), { maxLength: 10 });
    fc.assert(
      fc.property(initialWorld, history, (initial, events) => {
        const play = new Play(makeWorld(initial));
        const before = play.world.state().sysctls;
        const touched = new Set<string>();
        for (const event of events) {
          if ("owner" in event) play.pass(event);
          else play.foreign(event);
          if ("kind" in event && event.kind === "sysctl") touched.add(event.id);
        }
        const atTheEnd = play.world.state().sysctls;
        play.cleanUp();
        const after = play.world.state().sysctls;
        for (const [id, value] of Object.entries(before)) {
          if (atTheEnd[id] === FOREIGN_VALUE) expect(after[id]).toBe(FOREIGN_VALUE);
          else if (!touched.has(id)) expect(after[id]).toBe(value);
        }
      }),
      RUNS,
    );
  });

  it("takes its addresses away by their marks alone when the journal is lost", () => {
    fc.assert(
      fc.property(initialWorld, fc.array(aPass), (initial, passes) => {
        const play = new Play(makeWorld({ ...initial, marks: true }));
        const before = play.world.state().addresses;
        for (const pass of passes) play.pass(pass);
        play.journal = EMPTY_JOURNAL;
        play.cleanUp();
        expect(play.world.state().addresses).toEqual(before);
      }),
      RUNS,
    );
  });

  it("never takes back what the other agent needs, with or without the journal", () => {
    const others = fc.array(
      fc.record({
        owner: fc.constant("director" as const),
        desired: fc.oneof(directorWish, fc.constant(NOTHING_DESIRED)),
        crashAfter: crash,
      }),
    );
    const lost = fc.boolean();
    fc.assert(
      fc.property(
        initialWorld,
        realServerWish,
        others,
        lost,
        (initial, desired, passes, isLost) => {
          const play = new Play(makeWorld({ ...initial, marks: true }));
          play.pass({ owner: "realserver", desired, crashAfter: undefined });
          const bound = boundBy(play, "realserver");
          if (isLost) play.journal = EMPTY_JOURNAL;
          for (const other of passes) {
            play.pass(other);
            expect(boundBy(play, "realserver")).toEqual(bound);
            if (!isLost) expect(play.repairs("realserver", desired)).toEqual([]);
          }
        },
      ),
      RUNS,
    );
  });

  it("keeps ARP silent at every step while a VIP of ours is on a quiet device", () => {
    const passes = fc.array(
      fc.record({
        owner: fc.constant("realserver" as const),
        desired: realServerWish,
        crashAfter: crash,
      }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(initialWorld, passes, (initial, history) => {
        const play = new Play(makeWorld({ ...initial, marks: true, foreign: [] }));
        for (const pass of history) {
          const bound = quietVips(play);
          const silentBefore = DEVICES.filter((device) => isSilent(play, device));
          const wanted = devicesOf(pass.desired);
          const wantedVips = new Set(pass.desired.addresses.map((a) => a.address));
          play.pass(pass, () => {
            for (const vip of quietVips(play)) {
              const needed = neededFor(vip, { bound, silentBefore, wanted, wantedVips });
              for (const device of needed) expect(isSilent(play, device)).toBe(true);
            }
          });
        }
      }),
      RUNS,
    );
  });
});

interface Silence {
  readonly bound: ReadonlySet<string>;
  readonly silentBefore: readonly string[];
  readonly wanted: readonly string[];
  readonly wantedVips: ReadonlySet<string>;
}

/** A new VIP needs what is wanted now; an old one keeps what it had, as far as still wanted. */
function neededFor(vip: string, s: Silence): readonly string[] {
  if (!s.wantedVips.has(vip)) return s.silentBefore;
  return s.bound.has(vip) ? s.silentBefore.filter((d) => s.wanted.includes(d)) : s.wanted;
}

function boundBy(play: Play, owner: HostOwner): readonly string[] {
  const { addresses } = play.observe(NOTHING_DESIRED);
  return addresses.filter((a) => a.markedBy === owner).map((a) => a.address);
}

function quietVips(play: Play): ReadonlySet<string> {
  const { addresses } = play.observe(NOTHING_DESIRED);
  const ours = addresses.filter((a) => a.ours && ipFamily(a.address) === "IPv4");
  return new Set(ours.map((a) => a.address));
}

function devicesOf(desired: DesiredHost): readonly string[] {
  const names = desired.sysctls.flatMap(({ key }) =>
    key.kind === "conf" && key.name === "arp_ignore" ? [key.interfaceName] : [],
  );
  return [...new Set(names)];
}

function isSilent(play: Play, device: string): boolean {
  const { sysctls } = play.world.state();
  const effective = (name: string): number =>
    Math.max(Number(sysctls[`conf/all/${name}`]), Number(sysctls[`conf/${device}/${name}`]));
  return [1, 2, 8].includes(effective("arp_ignore")) && effective("arp_announce") === 2;
}
