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

/** System calls by which an agent changes something: netlink messages, and the journal's files. */
const CHANGING_CALLS = ["sendto", "rename"] as const;

/** The n-th call of a name; calls before and after it differ in what an agent has done. */
export interface CrashPoint {
  readonly call: (typeof CHANGING_CALLS)[number];
  /** Counted from 1. */
  readonly count: number;
}

/** One thread for files, so that strace, which counts for each thread, counts them together. */
export const ONE_FILE_THREAD = { UV_THREADPOOL_SIZE: "1" } as const;

/** A command in front of an agent that lists the calls that {@link crashPoints} reads. */
export function traceChangesTo(file: string): readonly string[] {
  const trace = `trace=${CHANGING_CALLS.join()}`;
  return ["strace", "-D", "-f", "--seccomp-bpf", "-s", "64", "-o", file, "-e", trace];
}

/** Each call of a finished trace that changes the node or replaces its journal. */
export function crashPoints(file: string): readonly CrashPoint[] {
  const counts = { sendto: 0, rename: 0 };
  const points: CrashPoint[] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const call = CHANGING_CALLS.find((name) => line.includes(` ${name}(`));
    if (call === undefined || (call === "rename" && !line.includes("journal.json"))) continue;
    counts[call] += 1;
    if (call === "rename" || /nlmsg_type=RTM_(?:NEW|DEL|SET)/.test(line) || changesTable(line)) {
      points.push({ call, count: counts[call] });
    }
  }
  return points;
}

/** strace writes small bytes in octal, and the command is the first of them. */
function changesTable(line: string): boolean {
  const command = /nlmsg_type=IPVS,[^}]*\}, "\\(?:x([0-9a-f]{2})|([0-7]{1,3}))/.exec(line);
  if (command === null) return false;
  const [, hex, octal = ""] = command;
  return !IPVS_READS.has(hex === undefined ? Number.parseInt(octal, 8) : Number.parseInt(hex, 16));
}

/** A command in front of an agent that kills it when it enters that call. */
export function killAt({ call, count }: CrashPoint): readonly string[] {
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
