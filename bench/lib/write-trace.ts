/**
 * Counts IPVS commands from outside: strace decodes what a process sends to netlink sockets, and
 * this counts the messages. Independent of what the agent says of itself.
 */
import { readFile } from "node:fs/promises";

/** GET_SERVICE, GET_DEST, GET_DAEMON, GET_CONFIG, GET_INFO; every other command changes something. */
const READS: ReadonlySet<number> = new Set([4, 8, 11, 13, 15]);

/** Arguments that put strace around a command; `file` gets the trace. */
export function traceWrites(file: string): readonly string[] {
  // -s also limits how many messages of one send are shown; a batch has at most 150
  const format = ["-f", "--seccomp-bpf", "-xx", "-s", "1024", "-o", file];
  return ["strace", ...format, "-e", "trace=sendto,sendmsg,sendmmsg"];
}

export interface TraceCounts {
  /** Commands to the IPVS family that change something. */
  readonly writes: number;
  readonly reads: number;
}

/** Counts what a finished trace shows. */
export async function countCommands(file: string): Promise<TraceCounts> {
  let writes = 0;
  let reads = 0;
  const trace = await readFile(file, "utf8");
  // The command is the first byte after the netlink header.
  for (const [, hex = ""] of trace.matchAll(/nlmsg_type=IPVS,[^}]*\}, "\\x([0-9a-f]{2})/g)) {
    if (READS.has(Number.parseInt(hex, 16))) reads += 1;
    else writes += 1;
  }
  return { writes, reads };
}
