import { describe, expect, it } from "vitest";
import { aDestination, aService } from "../../ipvs/testing/builders.ts";
import { FakeKernel } from "../../ipvs/testing/fake-kernel.ts";
import { listServices } from "./list.ts";

const signal = AbortSignal.timeout(5_000);
const KEY = "TCP 192.0.2.10:80";

function kernel(): FakeKernel {
  const made = new FakeKernel();
  const service = aService();
  made.execute({ op: "create-service", service });
  made.execute({
    op: "create-destination",
    identity: service.identity,
    destination: aDestination(),
  });
  return made;
}

describe("list", () => {
  it.each([
    { format: "table", text: "192.0.2.10:80" },
    { format: "json", text: '"192.0.2.10"' },
    {
      format: "ipvsadm",
      text: "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 192.0.2.21:80 -m -w 1",
    },
  ] as const)("shows the kernel's table as $format", async ({ format, text }) => {
    expect(await listServices(kernel().open(), new Set([KEY]), format, signal)).toContain(text);
  });

  it("tells ours from others'", async () => {
    const client = kernel().open();
    const ours = await listServices(client, new Set([KEY]), "json", signal);
    expect(await listServices(client, new Set(), "json", signal)).not.toBe(ours);
  });
});
