import { beforeEach, describe, expect, it } from "vitest";
import type { IpvsClient } from "../../ipvs/client.ts";
import type { ObservedTable } from "../../ipvs/model.ts";
import { planIpvs } from "../../ipvs/plan.ts";
import type { IpvsPlan } from "../../ipvs/steps.ts";
import { aDesired, anIdentity, aService, desiredTable } from "../../ipvs/testing/builders.ts";
import { FakeKernel } from "../../ipvs/testing/fake-kernel.ts";
import { AbortedError } from "../../lib/errors.ts";
import { NetlinkLostError } from "../../netlink/errors.ts";
import type { PassSignals } from "../loop.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { TableKeeper } from "./table-keeper.ts";

const AUDIT_MS = 5_000;
const stop = new AbortController().signal;
const calm = (): PassSignals => ({ stop, hurry: new AbortController().signal });
const hurried = (): PassSignals => ({ stop, hurry: AbortSignal.abort() });

let kernel: FakeKernel;
let clock: ManualClock;
let client: IpvsClient;
let table: TableKeeper;
/** How long a read takes, milliseconds. */
let readMs: number;

beforeEach(() => {
  kernel = new FakeKernel({ schedulers: ["rr", "wlc"] });
  clock = new ManualClock();
  client = kernel.open();
  readMs = 1;
  const read = client.readTable.bind(client);
  client.readTable = async (signal): Promise<ObservedTable> => {
    clock.advance(readMs);
    await Promise.resolve();
    if (signal.aborted) throw new AbortedError("read");
    return read(signal);
  };
  table = new TableKeeper({ client, clock, auditMs: AUDIT_MS });
});

const planFor = (...schedulers: string[]): IpvsPlan =>
  planIpvs({
    desired: desiredTable(...schedulers.map((scheduler) => aDesired(aService({ scheduler })))),
    observed: kernel.table(),
    owns: () => true,
    drains: new Map(),
    nowMs: 0,
  });

describe("TableKeeper", () => {
  it("reads at the start, then not until the audit", async () => {
    expect(await table.model(calm())).toMatchObject({ fresh: true });
    expect(await table.model(calm())).toMatchObject({ fresh: false });
    clock.advance(AUDIT_MS);
    expect(await table.model(calm())).toMatchObject({ fresh: true });
  });

  it("audits a large table less often: at most one part in two hundred of the time", async () => {
    for (let port = 1; port <= 3_000; port++) {
      kernel.execute({
        op: "create-service",
        service: aService({ identity: anIdentity("192.0.2.10", port) }),
      });
    }
    readMs = 100;
    await table.model(calm());
    expect(table.auditInMs).toBe(20_000);
  });

  it("audits a small table in time, however long a busy machine took to read it", async () => {
    kernel.execute({ op: "create-service", service: aService() });
    readMs = 1_000;
    await table.model(calm());
    expect(table.auditInMs).toBe(AUDIT_MS);
  });

  it("gives an audit up for a change, again and again, but not for ever", async () => {
    await table.model(calm());
    let yields = 0;
    clock.advance(AUDIT_MS);
    while (!(await table.model(hurried())).fresh) {
      yields += 1;
      clock.advance(1_000);
    }
    expect(yields).toBe(10);
  });

  it("gives nothing up while there is no model", async () => {
    expect(await table.model(hurried())).toMatchObject({ fresh: true });
  });

  it("reads again after lost answers", async () => {
    const { model } = await table.model(calm());
    kernel.loseAnswers(1, () => new NetlinkLostError("write", "overrun"));
    await expect(table.apply(model, planFor("rr"), stop)).rejects.toThrow(NetlinkLostError);
    const { model: next, fresh } = await table.model(calm());
    expect(fresh).toBe(true);
    expect(next.table.services.size).toBe(1);
  });

  it("reads again after an answer that contradicts the model", async () => {
    const { model } = await table.model(calm());
    const plan = planFor("rr");
    kernel.execute({ op: "create-service", service: aService() });
    const { stale } = await table.apply(model, plan, stop);
    expect(stale.size).toBe(1);
    expect(await table.model(calm())).toMatchObject({ fresh: true });
  });

  it("remembers a missing scheduler for a minute", async () => {
    expect(table.schedulerRetryInMs).toBe(Number.POSITIVE_INFINITY);
    const { model } = await table.model(calm());
    await table.apply(model, planFor("sed"), stop);
    const missing = table.missingSchedulers();
    expect(missing).toEqual(new Set(["sed"]));
    expect(table.missingSchedulers()).toBe(missing);
    expect(table.schedulerRetryInMs).toBe(60_000);
    clock.advance(60_000);
    expect(table.missingSchedulers()).toEqual(new Set());
  });

  it("brings counts of single services up to date", async () => {
    kernel.execute({ op: "create-service", service: aService() });
    const { model } = await table.model(calm());
    const [key = ""] = model.table.services.keys();
    kernel.execute({ op: "delete-service", identity: aService().identity });
    await table.refresh(model, new Set([key, "unknown"]), stop);
    expect(model.table.services.size).toBe(0);
  });
});
