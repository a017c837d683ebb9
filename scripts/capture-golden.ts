/**
 * Records what a real kernel answers and what real `ipvsadm` sends, for src/ipvs/testdata. Run as
 * root on the kernel in question (for example in the lab guest), with ipvsadm, strace and iproute2:
 *
 *     node scripts/capture-golden.ts src/ipvs/testdata/linux-7.2.hex
 *
 * It works in a network namespace of its own. Review reads the diff.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { IPVS_CMD, IPVS_GENL_NAME, IPVS_GENL_VERSION } from "../src/ipvs/uapi.ts";
import { REQUEST_MESSAGE, type RequestAttrs } from "../src/ipvs/wire.ts";
import { identityToAttrs } from "../src/ipvs/wire-service.ts";
import {
  GOLDEN_COMMANDS,
  GOLDEN_DELETIONS,
  GOLDEN_DESTINATIONS,
  GOLDEN_SERVICES,
  type GoldenCase,
} from "../src/ipvs/testing/golden-cases.ts";
import { formatGoldenFile, type GoldenSection } from "../src/ipvs/testing/golden-file.ts";
import { anIdentity } from "../src/ipvs/testing/builders.ts";
import { NetlinkConnection } from "../src/netlink/connection.ts";
import { findFamily } from "../src/netlink/genetlink.ts";
import { NETLINK_GENERIC, forEachMessage } from "../src/netlink/messages.ts";
import { nativeTransport } from "../src/netlink/transport-native.ts";

const CONTROLLER_FAMILY = 16;
const READING_COMMANDS: ReadonlySet<number> = new Set([
  IPVS_CMD.GET_SERVICE,
  IPVS_CMD.GET_DEST,
  IPVS_CMD.GET_DAEMON,
  IPVS_CMD.GET_CONFIG,
  IPVS_CMD.GET_INFO,
]);
const signal = AbortSignal.timeout(300_000);

/** Runs ipvsadm under strace and gives the one IPVS command that writes. */
function captureRequest(netns: string, { name, line }: GoldenCase): GoldenSection {
  const args = ["netns", "exec", netns, "strace", "-f", "-e", "trace=sendmsg,sendto", "-e"];
  const trace = execFileSync("bash", [
    "-c",
    `ip "$@" 2>&1`,
    "capture",
    ...args,
    "write=all",
    "ipvsadm",
    ...line.split(" "),
  ]).toString();
  const writes = dumpedMessages(trace).filter((bytes) => !READING_COMMANDS.has(bytes[0] ?? 0));
  const [bytes] = writes;
  if (bytes === undefined || writes.length > 1) {
    throw new Error(`ipvsadm ${line}: ${writes.length} write commands in\n${trace}`);
  }
  return { title: `request ${name}`, note: `ipvsadm ${line}`, bytes };
}

/** Messages of any family but the controller, from the command byte on. */
function dumpedMessages(trace: string): readonly Uint8Array[] {
  const messages: Uint8Array[] = [];
  let hex = "";
  const flush = (): void => {
    if (hex === "") return;
    const sent = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
    hex = "";
    forEachMessage(sent, ({ type, payload }) => {
      if (type > CONTROLLER_FAMILY) messages.push(payload.slice());
    });
  };
  for (const line of trace.split("\n")) {
    // ` | 00000  54 00 00 00 …  T... |`: the hexadecimal part has a fixed width.
    const dump = /^ \| ([0-9a-f]+) {2}(.{48})/.exec(line);
    if (dump === null) {
      flush();
      continue;
    }
    if (Number.parseInt(dump[1] ?? "", 16) === 0) flush();
    hex += (dump[2] ?? "").replaceAll(" ", "");
  }
  flush();
  return messages;
}

/** Reads with requests of our own and gives the kernel's data messages as they are. */
class Reader {
  readonly #connection: NetlinkConnection;
  #family = 0;

  constructor(netnsPath: string) {
    this.#connection = new NetlinkConnection({
      transport: nativeTransport,
      protocol: NETLINK_GENERIC,
      netnsPath,
    });
  }

  async open(): Promise<void> {
    const family = await findFamily(this.#connection, IPVS_GENL_NAME, signal);
    if (family === undefined) throw new Error("the kernel has no IPVS");
    this.#family = family.id;
  }

  async read(
    how: "dump" | "request",
    command: number,
    attrs: RequestAttrs = {},
  ): Promise<readonly Uint8Array[]> {
    const request = {
      name: `read ${command}`,
      type: this.#family,
      write: (writer: Parameters<typeof REQUEST_MESSAGE.encode>[0]): void => {
        writer.u8(command);
        writer.u8(IPVS_GENL_VERSION);
        writer.u16(0);
        REQUEST_MESSAGE.encode(writer, attrs);
      },
    };
    return this.#connection[how](request, (message) => message.payload.slice(), signal);
  }

  close(): void {
    this.#connection.close();
  }
}

async function captureReplies(reader: Reader): Promise<readonly GoldenSection[]> {
  const sections: GoldenSection[] = [];
  const add = (title: string, note: string, replies: readonly Uint8Array[]): void => {
    const [bytes] = replies;
    if (bytes === undefined || replies.length > 1)
      throw new Error(`${title}: ${replies.length} replies`);
    sections.push({ title: `reply ${title}`, note, bytes });
  };
  for (const { name, service } of GOLDEN_SERVICES) {
    const attrs = { SERVICE: identityToAttrs(service.identity) };
    const replies = await reader.read("request", IPVS_CMD.GET_SERVICE, attrs);
    add(`service ${name}`, "GET_SERVICE, do", replies);
  }
  const attrs = { SERVICE: identityToAttrs(anIdentity("192.0.2.10", 80)) };
  const newestFirst = await reader.read("dump", IPVS_CMD.GET_DEST, attrs);
  GOLDEN_DESTINATIONS.forEach(({ name }, i) => {
    add(`destination ${name}`, "GET_DEST, dump", newestFirst.toReversed().slice(i, i + 1));
  });
  add("timeouts", "GET_CONFIG, do", await reader.read("request", IPVS_CMD.GET_CONFIG));
  add("info", "GET_INFO, do", await reader.read("request", IPVS_CMD.GET_INFO));
  return sections;
}

async function capture(netns: string): Promise<readonly GoldenSection[]> {
  const sections: GoldenSection[] = [];
  const reader = new Reader(`/run/netns/${netns}`);
  await reader.open();
  for (const each of GOLDEN_COMMANDS) {
    sections.push(captureRequest(netns, each));
    if (each.name === "start-daemon") {
      const [bytes = new Uint8Array()] = await reader.read("dump", IPVS_CMD.GET_DAEMON);
      sections.push({ title: "reply daemon", note: "GET_DAEMON, dump", bytes });
    }
  }
  sections.push(...(await captureReplies(reader)));
  for (const each of GOLDEN_DELETIONS) sections.push(captureRequest(netns, each));
  reader.close();
  return sections;
}

/** `x64`, with a word where the machine is a program on another. */
function machine(): string {
  const isUml = readFileSync("/proc/cpuinfo", "utf8").includes("User Mode Linux");
  return isUml ? `${process.arch}, User-Mode Linux` : process.arch;
}

const [file] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write("usage: node scripts/capture-golden.ts FILE\n");
  process.exit(64);
}
const netns = `golden-${process.pid}`;
execFileSync("ip", ["netns", "add", netns]);
try {
  execFileSync("ip", ["-n", netns, "link", "set", "lo", "up"]);
  const sections = await capture(netns);
  const ipvsadm = execFileSync("ip", ["netns", "exec", netns, "ipvsadm", "--version"]).toString();
  const provenance = [
    `kernel: Linux ${release().replace(/-.*/, "")} on ${machine()}`,
    `tool: ${ipvsadm.split("\n")[0] ?? ""}`,
    `command: node scripts/capture-golden.ts ${file}`,
    `date: ${new Date().toISOString().slice(0, 10)}`,
    "A section is one message from the command byte on; host order is little-endian.",
  ];
  writeFileSync(file, formatGoldenFile({ provenance, sections }));
} finally {
  execFileSync("ip", ["netns", "delete", netns]);
}
