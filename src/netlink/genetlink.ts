/**
 * Generic netlink: families are found by name, and their number changes when the module is loaded
 * again.
 *
 *     const ipvs = new GenericFamily(connection, { name: "IPVS", version: 1 });
 *     const [info] = await ipvs.request(
 *       { name: "IPVS GET_INFO", command: 15 },
 *       (message) => INFO_ATTRS.decode(message.attributes),
 *       signal,
 *     );
 *     const report = await ipvs.batch("program services", services, {
 *       command: () => 1,
 *       write: (writer, service) => SERVICE.encode(writer, service),
 *     }, signal);
 *
 * A number that went stale answers ENOENT, which may also be the command's own answer. So on
 * ENOENT the number is looked up again, and only when it changed is the command repeated, once.
 */
import { attributeSet, listOf, optional, required } from "./attributes.ts";
import { cString, u16, u32 } from "./codecs.ts";
import type { BatchReport, NetlinkConnection } from "./connection.ts";
import { KernelRejectedError, WireFormatError } from "./errors.ts";
import type { NetlinkMessage } from "./messages.ts";
import type { MessageWriter } from "./writer.ts";

/** Bytes of `struct genlmsghdr`: command, version, two reserved. */
const GENL_HEADER_BYTES = 4;
// uapi linux/genetlink.h
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_VERSION = 2;
const GENL_NAMSIZ = 16;

const GROUP_ATTRS = attributeSet("CTRL_ATTR_MCAST_GRP", {
  NAME: required(1, cString(GENL_NAMSIZ)),
  ID: required(2, u32),
});
const FAMILY_ATTRS = attributeSet("CTRL_ATTR", {
  FAMILY_ID: required(1, u16),
  FAMILY_NAME: required(2, cString(GENL_NAMSIZ)),
  VERSION: optional(3, u32),
  MCAST_GROUPS: optional(7, listOf(GROUP_ATTRS, "CTRL_ATTR_MCAST_GROUPS")),
});
const LOOKUP_ATTRS = attributeSet("CTRL_ATTR", { FAMILY_NAME: required(2, cString(GENL_NAMSIZ)) });

/** What the kernel knows about a family. */
export interface FamilyInfo {
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** Multicast group numbers by name. */
  readonly groups: ReadonlyMap<string, number>;
}

/** One command of a family. */
export interface GenericRequest {
  /** What we do, for people: it begins the message of every error. */
  readonly name: string;
  readonly command: number;
  readonly flags?: number | undefined;
  /** Appends the attributes; leave it out when there are none. */
  write?(writer: MessageWriter): void;
}

/** One answer. `attributes` is valid only inside the decoder. */
export interface GenericMessage {
  readonly command: number;
  readonly flags: number;
  readonly attributes: Uint8Array;
}

/** How the items of a batch become commands. */
export interface CommandEncoder<T> {
  command(item: T): number;
  flags?(item: T): number;
  write(writer: MessageWriter, item: T): void;
}

/**
 * Looks a family up by name; the kernel loads its module when it can. Needs no privilege, so
 * success says nothing about permission.
 * @returns undefined when the kernel has no such family
 * @throws as NetlinkConnection.request
 */
export async function findFamily(
  connection: NetlinkConnection,
  familyName: string,
  signal: AbortSignal,
): Promise<FamilyInfo | undefined> {
  const request = {
    name: `find generic netlink family ${familyName}`,
    type: GENL_ID_CTRL,
    write: (writer: MessageWriter): void => {
      writeHeader(writer, CTRL_CMD_GETFAMILY, CTRL_VERSION);
      LOOKUP_ATTRS.encode(writer, { FAMILY_NAME: familyName });
    },
  };
  try {
    const [found] = await connection.request(request, decodeFamily, signal);
    return found;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** A family on a connection, whose number is looked up at the first use. */
export class GenericFamily {
  readonly name: string;
  readonly #version: number;
  readonly #connection: NetlinkConnection;
  #id: number | undefined;

  /** @param family `version` as the family's header says; the kernel rarely checks it */
  constructor(connection: NetlinkConnection, family: { name: string; version: number }) {
    this.#connection = connection;
    this.name = family.name;
    this.#version = family.version;
  }

  /**
   * The family's number.
   * @throws KernelRejectedError ENOENT when the kernel has no such family and cannot load it
   */
  async id(signal: AbortSignal): Promise<number> {
    this.#id ??= await this.#lookUp(signal);
    return this.#id;
  }

  /** One command and its data messages. @throws as NetlinkConnection.request */
  request<T>(
    request: GenericRequest,
    decode: (message: GenericMessage) => T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    return this.#withFreshId(signal, (id) =>
      this.#connection.request(this.#frame(request, id), decodeGeneric(decode), signal),
    );
  }

  /** A whole list. @throws as NetlinkConnection.dump */
  dump<T>(
    request: GenericRequest,
    decode: (message: GenericMessage) => T,
    signal: AbortSignal,
  ): Promise<readonly T[]> {
    return this.#withFreshId(signal, (id) =>
      this.#connection.dump(this.#frame(request, id), decodeGeneric(decode), signal),
    );
  }

  /** Many commands. @throws as NetlinkConnection.batch */
  async batch<T>(
    name: string,
    items: readonly T[],
    encoder: CommandEncoder<T>,
    signal: AbortSignal,
  ): Promise<BatchReport> {
    const id = await this.id(signal);
    const report = await this.#batchAs(id, { name, items, encoder, signal });
    if (!report.failures.some(({ errno }) => errno === "ENOENT")) return report;
    if (!(await this.#idChanged(id, signal))) return report;
    // With a stale number the kernel executed nothing, unless the module came back half-way.
    const executedNone = report.failures.length === report.sent;
    return executedNone
      ? this.#batchAs(await this.id(signal), { name, items, encoder, signal })
      : report;
  }

  #batchAs<T>(id: number, { name, items, encoder, signal }: BatchCall<T>): Promise<BatchReport> {
    const version = this.#version;
    return this.#connection.batch(
      name,
      items,
      {
        type: () => id,
        flags: (item) => encoder.flags?.(item) ?? 0,
        write(writer, item) {
          writeHeader(writer, encoder.command(item), version);
          encoder.write(writer, item);
        },
      },
      signal,
    );
  }

  async #withFreshId<T>(signal: AbortSignal, run: (id: number) => Promise<T>): Promise<T> {
    const id = await this.id(signal);
    try {
      return await run(id);
    } catch (error) {
      if (!isErrno(error, "ENOENT") || !(await this.#idChanged(id, signal))) throw error;
      return run(await this.id(signal));
    }
  }

  async #idChanged(id: number, signal: AbortSignal): Promise<boolean> {
    this.#id = await this.#lookUp(signal);
    return this.#id !== id;
  }

  async #lookUp(signal: AbortSignal): Promise<number> {
    // The lookup that loads the module can answer before the module has registered its family.
    const found =
      (await findFamily(this.#connection, this.name, signal)) ??
      (await findFamily(this.#connection, this.name, signal));
    if (found !== undefined) return found.id;
    throw new KernelRejectedError(`find generic netlink family ${this.name}`, "ENOENT", "");
  }

  #frame(
    request: GenericRequest,
    id: number,
  ): { name: string; type: number; flags: number; write(writer: MessageWriter): void } {
    return {
      name: request.name,
      type: id,
      flags: request.flags ?? 0,
      write: (writer) => {
        writeHeader(writer, request.command, this.#version);
        request.write?.(writer);
      },
    };
  }
}

interface BatchCall<T> {
  readonly name: string;
  readonly items: readonly T[];
  readonly encoder: CommandEncoder<T>;
  readonly signal: AbortSignal;
}

function writeHeader(writer: MessageWriter, command: number, version: number): void {
  writer.u8(command);
  writer.u8(version);
  writer.u16(0);
}

/** Takes the family header off. @throws WireFormatError when it is not there */
export function readGenericMessage({ payload, flags }: NetlinkMessage): GenericMessage {
  const command = payload[0];
  if (command === undefined || payload.length < GENL_HEADER_BYTES) {
    throw new WireFormatError("genlmsghdr", `${payload.length} bytes instead of 4`);
  }
  return { command, flags, attributes: payload.subarray(GENL_HEADER_BYTES) };
}

function decodeGeneric<T>(decode: (message: GenericMessage) => T): (message: NetlinkMessage) => T {
  return (message) => decode(readGenericMessage(message));
}

function decodeFamily(message: NetlinkMessage): FamilyInfo {
  const seen = FAMILY_ATTRS.decode(readGenericMessage(message).attributes);
  return {
    id: seen.FAMILY_ID,
    name: seen.FAMILY_NAME,
    version: seen.VERSION ?? 0,
    groups: new Map((seen.MCAST_GROUPS ?? []).map(({ NAME, ID }) => [NAME, ID])),
  };
}

function isErrno(error: unknown, errno: string): boolean {
  return error instanceof KernelRejectedError && error.errno === errno;
}
