import { describe, expect, it, vi } from "vitest";
import type { ProbeVerdict } from "../../host/address-probe.ts";
import type { DesiredAddress } from "../../host/model.ts";
import { silentLogger } from "../../lib/logger.ts";
import { VipWatch } from "./vip-watch.ts";

const VIP: DesiredAddress = {
  address: "192.0.2.10",
  family: "IPv4",
  interfaceName: "eth0",
  exclusive: true,
};
const NONE: ReadonlySet<string> = new Set();
const signal = new AbortController().signal;

function watch(verdicts: (ProbeVerdict | Error)[]) {
  let now = 0;
  const asked: string[] = [];
  const onVerdict = vi.fn();
  const vips = new VipWatch({
    probe: async (address) => {
      asked.push(address.address);
      const verdict = verdicts.shift();
      if (verdict === undefined) throw new Error("not asked for");
      if (verdict instanceof Error) throw verdict;
      return verdict;
    },
    clock: { monotonicMs: () => now, wallMs: () => now, sleep: async () => undefined },
    log: silentLogger,
    onVerdict,
    limits: { freeForMs: 100, recheckMs: 1000, concurrency: 1 },
  });
  return { vips, asked, onVerdict, advance: (ms: number) => (now += ms) };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("VipWatch", () => {
  it("lets a VIP be bound after a silent probe, for a while", async () => {
    const { vips, onVerdict, advance } = watch([{ kind: "free" }]);
    vips.want([VIP], NONE, signal);
    expect(vips.mayBind(VIP)).toBe(false);
    await settle();
    expect(onVerdict).toHaveBeenCalledTimes(1);
    expect(vips.mayBind(VIP)).toBe(true);
    advance(101);
    expect(vips.mayBind(VIP)).toBe(false);
  });

  it("does not ask again while it waits or knows", async () => {
    const { vips, asked } = watch([{ kind: "free" }]);
    vips.want([VIP], NONE, signal);
    vips.want([VIP], NONE, signal);
    await settle();
    vips.want([VIP], NONE, signal);
    expect(asked).toEqual([VIP.address]);
  });

  it("reports an occupied VIP, also while it asks again", async () => {
    const taken = { kind: "occupied", macAddress: "02:00:00:00:00:01" } as const;
    const { vips, asked, advance } = watch([taken, { kind: "free" }]);
    vips.want([VIP], NONE, signal);
    await settle();
    expect(vips.occupied()).toEqual(new Map([[VIP.address, taken.macAddress]]));
    advance(1001);
    vips.want([], new Set([VIP.address]), signal);
    expect(vips.occupied().size).toBe(1);
    await settle();
    expect(asked).toHaveLength(2);
    expect(vips.occupied().size).toBe(0);
    expect(vips.mayBind(VIP)).toBe(true);
  });

  it("does not bind when the probe itself fails, and asks again later", async () => {
    const { vips, advance } = watch([new Error("no such device"), { kind: "free" }]);
    vips.want([VIP], NONE, signal);
    await settle();
    expect(vips.mayBind(VIP)).toBe(false);
    advance(1001);
    vips.want([VIP], NONE, signal);
    await settle();
    expect(vips.mayBind(VIP)).toBe(true);
  });

  it("forgets a VIP that is no longer wanted", async () => {
    const { vips, onVerdict } = watch([{ kind: "free" }]);
    vips.want([VIP], NONE, signal);
    vips.want([], NONE, signal);
    await settle();
    expect(onVerdict).not.toHaveBeenCalled();
    expect(vips.mayBind(VIP)).toBe(false);
  });

  it("does not take a verdict about one interface for another", async () => {
    const { vips, asked } = watch([{ kind: "free" }, { kind: "free" }]);
    const moved = { ...VIP, interfaceName: "eth1" };
    vips.want([VIP], NONE, signal);
    vips.want([moved], NONE, signal);
    expect(vips.mayBind(moved)).toBe(false);
    await settle();
    await settle();
    expect(asked).toHaveLength(2);
    expect(vips.mayBind(VIP)).toBe(false);
    expect(vips.mayBind(moved)).toBe(true);
  });

  it("does not take an answer from before it was forgotten", async () => {
    const { vips, asked } = watch([{ kind: "free" }, new Error("later")]);
    vips.want([VIP], NONE, signal);
    vips.want([], NONE, signal);
    vips.want([VIP], NONE, signal);
    await settle();
    await settle();
    expect(asked).toHaveLength(2);
    expect(vips.mayBind(VIP)).toBe(false);
    expect(vips.trouble(VIP.address)).toMatchObject({ kind: "failed", detail: "later" });
  });

  it("says when the next question is due", async () => {
    const { vips, advance } = watch([{ kind: "free" }]);
    expect(vips.nextQuestionInMs).toBe(Number.POSITIVE_INFINITY);
    vips.want([VIP], NONE, signal);
    await settle();
    advance(40);
    expect(vips.nextQuestionInMs).toBe(60);
  });
});
