import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readModules } from "./modules.ts";

let proc: string;
beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), "proc-"));
});
afterEach(() => rm(proc, { recursive: true }));

describe("readModules", () => {
  it("finds nothing on a kernel without IPVS and without modules", async () => {
    expect(await readModules(proc)).toEqual({
      ipvs: false,
      ipvsVersion: undefined,
      connectionTableSize: undefined,
      ipvsSettings: new Set(),
      loaded: new Set(),
    });
  });

  it.each([
    ["4096", 4096],
    ["0", undefined],
  ])("reads version, a table size of %s, settings and modules", async (printed, size) => {
    await mkdir(join(proc, "net"));
    await mkdir(join(proc, "sys/net/ipv4/vs"), { recursive: true });
    await writeFile(join(proc, "sys/net/ipv4/vs/conntrack"), "0\n");
    await writeFile(
      join(proc, "net/ip_vs"),
      `IP Virtual Server version 1.2.1 (size=${printed})\nProt LocalAddress:Port\n`,
    );
    await writeFile(
      join(proc, "modules"),
      "ip_vs_rr 12288 1 - Live 0x0\nip_vs 221184 3 ip_vs_rr\n",
    );
    expect(await readModules(proc)).toEqual({
      ipvs: true,
      ipvsVersion: "1.2.1",
      connectionTableSize: size,
      ipvsSettings: new Set(["conntrack"]),
      loaded: new Set(["ip_vs_rr", "ip_vs"]),
    });
  });
});
