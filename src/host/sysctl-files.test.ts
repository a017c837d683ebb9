import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SysctlFiles } from "./sysctl-files.ts";
import { aKey } from "./testing/builders.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sysctl-"));
  await mkdir(join(root, "net/ipv4/vs"), { recursive: true });
  await mkdir(join(root, "net/ipv4/conf/all"), { recursive: true });
  await mkdir(join(root, "net/ipv6/conf/all"), { recursive: true });
});
afterEach(() => rm(root, { recursive: true }));

describe("SysctlFiles", () => {
  it.each([
    ["vs/sync_threshold", "net/ipv4/vs/sync_threshold", "3\t50\n", "3 50"],
    ["ipv4/ip_forward", "net/ipv4/ip_forward", "0\n", 0],
    ["ipv6/conf/all/forwarding", "net/ipv6/conf/all/forwarding", "1\n", 1],
    ["conf/all/send_redirects", "net/ipv4/conf/all/send_redirects", "1\n", 1],
  ])("finds %s in %s", async (id, path, text, value) => {
    await writeFile(join(root, path), text);
    expect(await new SysctlFiles({ root }).read(aKey(id))).toBe(value);
  });

  it("writes what the kernel reads, and makes no file", async () => {
    const files = new SysctlFiles({ root });
    await writeFile(join(root, "net/ipv4/vs/sync_threshold"), "3\t50\n");
    await files.write(aKey("vs/sync_threshold"), "2 50");
    expect(await readFile(join(root, "net/ipv4/vs/sync_threshold"), "utf8")).toBe("2 50\n");
    await expect(files.write(aKey("vs/conntrack"), 1)).rejects.toMatchObject({
      code: "LVS_KERNEL_REJECTED",
      errno: "ENOENT",
    });
    expect(await readdir(join(root, "net/ipv4/vs"))).toEqual(["sync_threshold"]);
  });

  it("takes the IPVS settings from where they are mounted", async () => {
    const ipvsDirectory = await mkdtemp(join(tmpdir(), "vs-"));
    await writeFile(join(ipvsDirectory, "conntrack"), "1\n");
    const files = new SysctlFiles({ root, ipvsDirectory });
    expect(await files.read(aKey("vs/conntrack"))).toBe(1);
    await rm(ipvsDirectory, { recursive: true });
  });

  it("knows nothing where there is no file", async () => {
    const files = new SysctlFiles({ root });
    expect(await files.read(aKey("vs/conntrack"))).toBeUndefined();
    expect(await files.read(aKey("vs/a/b"))).toBeUndefined();
  });

  it("says why a file that is there cannot be read", async () => {
    await mkdir(join(root, "net/ipv4/vs/conntrack"));
    const read = new SysctlFiles({ root }).read(aKey("vs/conntrack"));
    await expect(read).rejects.toMatchObject({ errno: "EISDIR" });
  });
});
