/** A node in memory, its journal in a directory of its own, and what is counted about both. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObservedHost, SysctlKey } from "../../host/model.ts";
import { parseJournal, type NodeJournal } from "../../host/journal.ts";
import { JournalStore } from "../../host/journal-store.ts";
import { NodeLocks } from "../../host/lock.ts";
import { aLink, anAddress } from "../../host/testing/builders.ts";
import { FakeHost } from "../../host/testing/fake-host.ts";
import { HostWorld } from "../../host/testing/host-world.ts";
import type { Logger } from "../../lib/logger.ts";

const KERNEL_WORLD = { bootId: "boot", networkNamespace: "net:[1]" };

/** Settings of a fresh node with the interfaces lo, eth0 and eth1. */
const SYSCTLS = {
  "vs/expire_nodest_conn": 0,
  "vs/expire_quiescent_template": 0,
  "vs/conn_reuse_mode": 0,
  "vs/sync_threshold": "3 50",
  "ipv4/ip_forward": 0,
  "conf/all/send_redirects": 1,
  "conf/eth0/send_redirects": 1,
  "conf/eth1/send_redirects": 1,
  "conf/all/arp_ignore": 0,
  "conf/all/arp_announce": 0,
  "conf/eth0/arp_ignore": 0,
  "conf/eth0/arp_announce": 0,
};

/** Counts looks, and can be made to fail. */
export class CountingHost extends FakeHost {
  looks = 0;
  routeLookUps = 0;
  /** Thrown by the next looks, in order. */
  readonly failures: Error[] = [];

  override observe(keys: readonly SysctlKey[], signal: AbortSignal): Promise<ObservedHost> {
    this.looks += 1;
    const failure = this.failures.shift();
    return failure === undefined ? super.observe(keys, signal) : Promise.reject(failure);
  }

  override lookUpRoutes(
    addresses: Iterable<string>,
    signal: AbortSignal,
  ): ReturnType<FakeHost["lookUpRoutes"]> {
    this.routeLookUps += 1;
    return super.lookUpRoutes(addresses, signal);
  }
}

/** `eth0` is in 192.0.2.0/24, `eth1` is up and in no network. */
export class NodeFixture implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "agents-"));
  readonly locks = new NodeLocks({ namespace: `test-${randomUUID()}` });
  readonly host = new CountingHost(
    new HostWorld({
      links: [aLink("lo"), aLink("eth0"), aLink("eth1", { index: 3 })],
      addresses: [
        anAddress("127.0.0.1", "lo", { prefixLength: 8 }),
        anAddress("192.0.2.1", "eth0", { prefixLength: 24 }),
      ],
      sysctls: SYSCTLS,
    }),
    [{ prefix: "192.0.2.0/24", interfaceName: "eth0" }],
  );
  readonly lines: string[] = [];
  readonly log = recordingLog(this.lines);

  /** As a process that starts finds it. */
  openJournal(): JournalStore {
    return new JournalStore(this.directory, KERNEL_WORLD);
  }

  get journalPath(): string {
    return join(this.directory, "journal.json");
  }

  async journal(): Promise<NodeJournal> {
    return parseJournal(await readFile(this.journalPath, "utf8"), this.journalPath).journal;
  }

  /** Changes with every write of the journal. */
  async journalStamp(): Promise<string> {
    const { ino, mtimeNs } = await stat(this.journalPath, { bigint: true });
    return `${ino} ${mtimeNs}`;
  }

  /** Single-host addresses as `192.0.2.10 eth0`, in order. */
  get vips(): readonly string[] {
    return this.host.world
      .observe([])
      .addresses.filter(({ prefixLength }) => prefixLength === 32 || prefixLength === 128)
      .map(({ address, interfaceName }) => `${address} ${interfaceName}`)
      .sort();
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Writes lines like `warn message: detail`. */
function recordingLog(lines: string[]): Logger {
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      const detail = "detail" in fields ? `: ${String(fields.detail)}` : "";
      lines.push(`${level} ${message}${detail}`);
    };
  return {
    debug: () => undefined,
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: () => recordingLog(lines),
  };
}
