import { describe, expect, it } from "vitest";
import { NetlinkLostError } from "../../netlink/errors.ts";
import { aDestination, anIdentity, aService } from "./builders.ts";
import { FakeKernel } from "./fake-kernel.ts";
import { describeIpvsClient } from "./ipvs-client.contract.ts";

describeIpvsClient("a client of the kernel in memory", () => ({
  client: new FakeKernel().open(),
  dispose: () => undefined,
}));

describe("FakeKernel", () => {
  const signal = AbortSignal.timeout(10_000);
  const identity = anIdentity();
  const destination = aDestination();
  const setUp = [
    { op: "create-service", service: aService() },
    { op: "create-destination", identity, destination },
  ] as const;

  it("revives a deleted destination with the connections it had", async () => {
    const kernel = new FakeKernel();
    const client = kernel.open();
    await client.execute(setUp, signal);
    kernel.setConnections(identity, destination, { active: 3, inactive: 15 });
    await client.execute([{ op: "delete-service", identity }, ...setUp], signal);
    expect((await client.readService(identity, signal))?.destinations[0]?.connections).toEqual({
      active: 3,
      inactive: 15,
      persistent: 0,
    });
  });

  it("fails the commands a test chooses and leaves the table alone", async () => {
    const kernel = new FakeKernel();
    kernel.failWhen((command) => (command.op === "create-destination" ? "ENOMEM" : undefined));
    const { failures } = await kernel.open().execute(setUp, signal);
    expect(failures).toMatchObject([{ index: 1, errno: "ENOMEM" }]);
    expect(kernel.service(identity)?.destinations).toEqual([]);
  });

  it("executes commands whose answers it loses", async () => {
    const kernel = new FakeKernel();
    kernel.loseAnswers(1, () => new NetlinkLostError("test", "overrun"));
    const client = kernel.open();
    await expect(client.execute(setUp, signal)).rejects.toMatchObject({ code: "LVS_NETLINK_LOST" });
    expect(kernel.table().services.size).toBe(1);
    expect((await client.execute([], signal)).sent).toBe(0);
  });

  it("throws when the kernel refuses IPVS as a whole", async () => {
    const kernel = new FakeKernel();
    kernel.failWhen(() => "EPERM");
    await expect(kernel.open().execute(setUp, signal)).rejects.toMatchObject({
      code: "LVS_KERNEL_UNAVAILABLE",
      reason: "NoPermission",
    });
  });
});
