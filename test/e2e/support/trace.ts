/**
 * What a process asks of the kernel, seen by strace: a proof that does not rest on what the process
 * says of itself.
 */
import { readFileSync } from "node:fs";

/** Commands of the IPVS family that change nothing: all GETs. Source: uapi linux/ip_vs.h. */
const IPVS_READS: ReadonlySet<number> = new Set([4, 8, 11, 13, 15]);

export interface TraceCounts {
  /** Commands that change the IPVS table. */
  readonly ipvsWrites: number;
  readonly ipvsReads: number;
  /** rtnetlink messages that change an address, a link or a route. */
  readonly rtnetlinkWrites: number;
  readonly rtnetlinkReads: number;
  /** Files below /proc/sys opened for writing. */
  readonly sysctlWrites: number;
}

/** A command in front of an agent that writes what it asks of the kernel to `file`. */
export function traceTo(file: string): readonly string[] {
  // -D: the traced program is the process that was started, so that signals reach it.
  const form = ["-D", "-f", "--seccomp-bpf", "-xx", "-s", "1024", "-o", file];
  return ["strace", ...form, "-e", "trace=sendto,sendmsg,sendmmsg,openat"];
}

/** A command in front of an agent that kills it on entry to the n-th system call of that name. */
export function killAt(call: string, count: number): readonly string[] {
  const inject = `inject=${call}:signal=SIGKILL:when=${count}`;
  return ["strace", "-D", "-f", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
}

export function countTrace(file: string): TraceCounts {
  const trace = readFileSync(file, "utf8");
  const count = (pattern: RegExp): number => [...trace.matchAll(pattern)].length;
  // The command is the first byte after the netlink header.
  const commands = [...trace.matchAll(/nlmsg_type=IPVS,[^}]*\}, "\\x([0-9a-f]{2})/g)].map(
    ([, hex]) => Number.parseInt(hex ?? "", 16),
  );
  const ipvsReads = commands.filter((command) => IPVS_READS.has(command)).length;
  return {
    ipvsReads,
    ipvsWrites: commands.length - ipvsReads,
    rtnetlinkReads: count(/nlmsg_type=RTM_GET/g),
    rtnetlinkWrites: count(/nlmsg_type=RTM_(?:NEW|DEL|SET)/g),
    // -xx prints paths as bytes: this is "/proc/sys/".
    sysctlWrites: count(
      /openat\([^)]*"\\x2f\\x70\\x72\\x6f\\x63\\x2f\\x73\\x79\\x73\\x2f[^)]*O_(?:WRONLY|RDWR)/g,
    ),
  };
}
