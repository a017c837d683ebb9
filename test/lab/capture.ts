/** Packets as tcpdump prints them, for tests that say what was on the wire. */
import type { LabProcess } from "./lab-process.ts";
import type { NamespaceName } from "./network.ts";
import type { Topology } from "./topology.ts";

/** A running capture. */
export interface Capture {
  /** Lines so far, one packet each, with link-level addresses. */
  readonly lines: readonly string[];
  /** Ends the capture; returns all lines. */
  stop(): Promise<readonly string[]>;
}

/**
 * Captures on an interface of a machine; on `sw` the interfaces are the networks (`lan`, `back`,
 * `far`, `access`) and the cables (`rs1-eth0`). Packets sent after the promise resolves are seen.
 * @param filter a pcap filter expression, e.g. `arp or icmp`
 */
export async function capture(
  topology: Topology,
  host: NamespaceName,
  interfaceName: string,
  filter: string,
): Promise<Capture> {
  const argv = ["tcpdump", "-i", interfaceName, "-lnne", "--immediate-mode", filter];
  const tcpdump = await topology.spawn(host, argv);
  await tcpdump.waitForLine(/^listening on/);
  return {
    get lines() {
      return packets(tcpdump);
    },
    async stop() {
      tcpdump.kill("SIGINT");
      await tcpdump.exited;
      return packets(tcpdump);
    },
  };
}

/** tcpdump begins each packet with its time; its own messages do not. */
function packets(tcpdump: LabProcess): readonly string[] {
  return tcpdump.lines.filter((line) => /^\d\d:\d\d:\d\d\.\d+ /.test(line));
}
