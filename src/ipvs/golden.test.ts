/**
 * Against recordings: what real kernels answered is read as what was configured, and what real
 * `ipvsadm` sent says the same, attribute by attribute, as our command. A round trip alone would
 * only prove that our two directions agree.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MessageWriter } from "../netlink/writer.ts";
import type { IpvsCommand } from "./client.ts";
import { CommandWriter } from "./command-writer.ts";
import {
  GOLDEN_COMMANDS,
  GOLDEN_DAEMON,
  GOLDEN_DELETIONS,
  GOLDEN_DESTINATIONS,
  GOLDEN_SERVICES,
} from "./testing/golden-cases.ts";
import { formatGoldenFile, parseGoldenFile, type GoldenSection } from "./testing/golden-file.ts";
import { ZERO_STATS } from "./testing/fake-kernel.ts";
import { IPVS_CMD } from "./uapi.ts";
import {
  CONFIG_MESSAGE,
  DAEMON_MESSAGE,
  DEST_MESSAGE,
  INFO_MESSAGE,
  REQUEST_MESSAGE,
  SERVICE_MESSAGE,
  type RequestAttrs,
} from "./wire.ts";
import {
  commandNumber,
  daemonFromAttrs,
  infoFromAttrs,
  timeoutsFromAttrs,
} from "./wire-command.ts";
import { observedDestinationFromAttrs } from "./wire-destination.ts";
import { serviceFromAttrs, statsFromAttrs } from "./wire-service.ts";

const GENL_HEADER_BYTES = 4;
const directory = new URL("testdata/", import.meta.url);
const files = readdirSync(directory)
  .filter((name) => name.endsWith(".hex"))
  .map((name) => ({ name, text: readFileSync(new URL(name, directory), "utf8") }));

it("is recorded from kernels of the 6.1 and the 7 series", () => {
  const kernels = files.map(({ text }) => parseGoldenFile(text).provenance[0] ?? "");
  expect(kernels.some((line) => line.startsWith("kernel: Linux 6.1."))).toBe(true);
  expect(kernels.some((line) => line.startsWith("kernel: Linux 7."))).toBe(true);
});

describe.each(files)("$name", ({ text }) => {
  const { provenance, sections } = parseGoldenFile(text);
  const byTitle = new Map(sections.map((section) => [section.title, section]));

  function section(title: string): GoldenSection {
    const found = byTitle.get(title);
    if (found === undefined) throw new Error(`not recorded: ${title}`);
    return found;
  }
  function reply(title: string, command: number): Uint8Array {
    const { bytes } = section(`reply ${title}`);
    expect(bytes[0]).toBe(command);
    return bytes.subarray(GENL_HEADER_BYTES);
  }

  it("says where it comes from and holds nothing else", () => {
    expect(provenance.map((line) => line.split(":")[0])).toEqual(
      expect.arrayContaining(["kernel", "tool", "command", "date"]),
    );
    expect(formatGoldenFile({ provenance, sections })).toBe(text);
    const replies = GOLDEN_SERVICES.length + GOLDEN_DESTINATIONS.length + 3;
    const requests = GOLDEN_COMMANDS.length + GOLDEN_DELETIONS.length;
    expect(sections).toHaveLength(replies + requests);
  });

  it.each(GOLDEN_SERVICES)("reads the kernel's service: $name", ({ name, service }) => {
    const { SERVICE } = SERVICE_MESSAGE.decode(reply(`service ${name}`, IPVS_CMD.NEW_SERVICE));
    expect(serviceFromAttrs(SERVICE)).toEqual(service);
    expect(statsFromAttrs(SERVICE.STATS64, undefined)).toEqual(ZERO_STATS);
    expect(statsFromAttrs(undefined, SERVICE.STATS)).toEqual(ZERO_STATS);
  });

  it.each(GOLDEN_DESTINATIONS)("reads the kernel's destination: $name", ({ name, destination }) => {
    const { DEST } = DEST_MESSAGE.decode(reply(`destination ${name}`, IPVS_CMD.NEW_DEST));
    expect(observedDestinationFromAttrs(DEST, "IPv4")).toEqual({
      destination,
      connections: { active: 0, inactive: 0, persistent: 0 },
      stats: ZERO_STATS,
    });
  });

  it("reads the kernel's sync daemon, timeouts and information", () => {
    const daemon = DAEMON_MESSAGE.decode(reply("daemon", IPVS_CMD.NEW_DAEMON)).DAEMON;
    expect(daemonFromAttrs(daemon)).toEqual(GOLDEN_DAEMON);
    const timeouts = CONFIG_MESSAGE.decode(reply("timeouts", IPVS_CMD.SET_CONFIG));
    expect(timeoutsFromAttrs(timeouts)).toEqual({
      tcpSeconds: 1200,
      tcpFinSeconds: 60,
      udpSeconds: 77,
    });
    const info = INFO_MESSAGE.decode(reply("info", IPVS_CMD.SET_INFO));
    expect(infoFromAttrs(info).version).toBe("1.2.1");
    expect(infoFromAttrs(info).connectionTableSize).toBeGreaterThan(0);
  });

  it.each([...GOLDEN_COMMANDS, ...GOLDEN_DELETIONS])(
    "says what ipvsadm says: $name",
    ({ name, command }) => {
      const { bytes } = section(`request ${name}`);
      expect(bytes[0]).toBe(commandNumber(command));
      const theirs = REQUEST_MESSAGE.decode(bytes.subarray(GENL_HEADER_BYTES));
      const ours = REQUEST_MESSAGE.decode(encode(command));
      expect(meaningOf(ours, command)).toEqual(meaningOf(theirs, command));
    },
  );
});

function encode(command: IpvsCommand): Uint8Array {
  const writer = new MessageWriter(256);
  new CommandWriter().write(writer, command);
  return writer.toBytes();
}

/**
 * The attributes that the kernel looks at, in one form. Dropped are those of ipvsadm that it does
 * not: IPv4's unused twelve bytes, tunnel attributes of other methods, and on a command that only
 * names an object everything but its name.
 */
function meaningOf(
  { SERVICE, DEST, DAEMON, ...timeouts }: RequestAttrs,
  command: IpvsCommand,
): object {
  const { op } = command;
  const namesOnly = op.startsWith("delete-") || op === "zero";
  const wholeService = op === "create-service" || op === "update-service";
  return {
    service: SERVICE && (wholeService ? wholeServiceMeaning(SERVICE) : identityMeaning(SERVICE)),
    destination: DEST && (namesOnly ? destinationName(DEST) : destinationMeaning(DEST)),
    daemon: DAEMON && (op === "stop-daemon" ? { STATE: DAEMON.STATE } : DAEMON),
    timeouts,
  };
}

type ServicePart = NonNullable<RequestAttrs["SERVICE"]>;
type DestinationPart = NonNullable<RequestAttrs["DEST"]>;

function identityMeaning({ AF, PROTOCOL, ADDR, PORT, FWMARK }: ServicePart): object {
  if (FWMARK !== undefined && FWMARK !== 0) return { AF, FWMARK };
  return { AF, PROTOCOL, PORT, address: usedBytes(AF, ADDR) };
}

function wholeServiceMeaning(service: ServicePart): object {
  const { SCHED_NAME, FLAGS, TIMEOUT, NETMASK, PE_NAME } = service;
  return { ...identityMeaning(service), SCHED_NAME, FLAGS, TIMEOUT, NETMASK, PE_NAME };
}

function destinationName({ ADDR, PORT, ADDR_FAMILY }: DestinationPart): object {
  return { ADDR_FAMILY, PORT, address: usedBytes(ADDR_FAMILY, ADDR) };
}

function destinationMeaning(destination: DestinationPart): object {
  const { FWD_METHOD, WEIGHT, U_THRESH, L_THRESH, TUN_TYPE, TUN_PORT, TUN_FLAGS } = destination;
  const isTunnel = FWD_METHOD === 2;
  const tunnel = isTunnel ? { TUN_TYPE, TUN_PORT, TUN_FLAGS } : undefined;
  return { ...destinationName(destination), FWD_METHOD, WEIGHT, U_THRESH, L_THRESH, tunnel };
}

function usedBytes(family: number | undefined, address: Uint8Array | undefined): readonly number[] {
  return [...(address ?? [])].slice(0, family === 2 ? 4 : 16);
}
