/**
 * Writes commands as attributes. Services and destinations, of which a table has thousands, go
 * straight into the message without an object per attribute; a property holds the bytes equal to
 * those of the tables in `wire.ts`, by which everything else is written.
 */
import { NLA_F_NESTED } from "../netlink/attributes.ts";
import { MessageWriter } from "../netlink/writer.ts";
import type { IpvsCommand } from "./client.ts";
import { checkedIpv4Value } from "./ipv4.ts";
import type { Destination, Service, ServiceIdentity } from "./model.ts";
import {
  IPPROTO,
  IPVS_CMD_ATTR,
  IPVS_DEST_ATTR,
  IPVS_SVC_ATTR,
  MAX_ENGINE_NAME,
  MAX_SCHEDULER_NAME,
} from "./uapi.ts";
import { REQUEST_MESSAGE } from "./wire.ts";
import { addressBytes, familyNumber } from "./wire-address.ts";
import { commandAttrs } from "./wire-command.ts";
import { CHECKSUM_FLAGS, METHOD_NUMBERS, TUNNEL_TYPES } from "./wire-destination.ts";
import { ALL_FLAGS, assertNamesService, flagBits, maskBytes } from "./wire-service.ts";

/**
 * Writes one command after the other. The destinations of a service come in a row and all name it,
 * so the bytes of the last identity are kept.
 */
export class CommandWriter {
  readonly #scratch = new MessageWriter(256);
  #identity: ServiceIdentity | undefined;

  /** @throws RangeError, IpSyntaxError on a value that cannot be written */
  write(writer: MessageWriter, command: IpvsCommand): void {
    switch (command.op) {
      case "create-service":
      case "update-service":
        writeService(writer, command.service);
        break;
      case "create-destination":
      case "update-destination":
        this.#remember(command.identity);
        writer.raw(this.#scratch.buffer.subarray(0, this.#scratch.length));
        writeDestination(writer, command.destination);
        break;
      default:
        REQUEST_MESSAGE.encode(writer, commandAttrs(command));
    }
  }

  #remember(identity: ServiceIdentity): void {
    // Identities are never changed in place, so the same object has the same bytes.
    if (identity === this.#identity) return;
    this.#identity = undefined;
    this.#scratch.reset();
    const token = this.#scratch.nest(IPVS_CMD_ATTR.SERVICE | NLA_F_NESTED);
    writeIdentity(this.#scratch, identity);
    this.#scratch.endNest(token);
    this.#identity = identity;
  }
}

function writeIdentity(writer: MessageWriter, identity: ServiceIdentity): void {
  assertNamesService(identity);
  writer.attrU16(IPVS_SVC_ATTR.AF, familyNumber(identity.family));
  if (identity.kind === "mark") {
    writer.attrU32(IPVS_SVC_ATTR.FWMARK, identity.mark);
    return;
  }
  writer.attrU16(IPVS_SVC_ATTR.PROTOCOL, IPPROTO[identity.protocol]);
  writeAddress(writer, IPVS_SVC_ATTR.ADDR, identity.address);
  writer.attrU16be(IPVS_SVC_ATTR.PORT, identity.port);
}

function writeService(writer: MessageWriter, service: Service): void {
  const { identity, persistence, persistenceEngine: engine } = service;
  const token = writer.nest(IPVS_CMD_ATTR.SERVICE | NLA_F_NESTED);
  writeIdentity(writer, identity);
  writeName(writer, IPVS_SVC_ATTR.SCHED_NAME, service.scheduler, MAX_SCHEDULER_NAME);
  const flags = writer.nest(IPVS_SVC_ATTR.FLAGS);
  writer.u32(flagBits(service));
  writer.u32(ALL_FLAGS);
  writer.endNest(flags);
  writer.attrU32(IPVS_SVC_ATTR.TIMEOUT, persistence?.timeoutSeconds ?? 0);
  writer.attrBytes(IPVS_SVC_ATTR.NETMASK, maskBytes(identity, persistence));
  if (engine !== undefined) writeName(writer, IPVS_SVC_ATTR.PE_NAME, engine, MAX_ENGINE_NAME);
  writer.endNest(token);
}

function writeDestination(writer: MessageWriter, destination: Destination): void {
  const { tunnel } = destination;
  const token = writer.nest(IPVS_CMD_ATTR.DEST | NLA_F_NESTED);
  writeAddress(writer, IPVS_DEST_ATTR.ADDR, destination.address);
  writer.attrU16be(IPVS_DEST_ATTR.PORT, destination.port);
  writer.attrU32(IPVS_DEST_ATTR.FWD_METHOD, METHOD_NUMBERS[destination.method]);
  // Signed on the wire: a negative one is the kernel's to refuse.
  writer.attrU32(IPVS_DEST_ATTR.WEIGHT, destination.weight >>> 0);
  writer.attrU32(IPVS_DEST_ATTR.U_THRESH, destination.upperThreshold);
  writer.attrU32(IPVS_DEST_ATTR.L_THRESH, destination.lowerThreshold);
  writer.attrU16(IPVS_DEST_ATTR.ADDR_FAMILY, familyNumber(destination.family));
  if (tunnel !== undefined) {
    writer.attrU8(IPVS_DEST_ATTR.TUN_TYPE, TUNNEL_TYPES[tunnel.type]);
    writer.attrU16be(IPVS_DEST_ATTR.TUN_PORT, tunnel.port);
    writer.attrU16(IPVS_DEST_ATTR.TUN_FLAGS, CHECKSUM_FLAGS[tunnel.checksum]);
  }
  writer.endNest(token);
}

function writeAddress(writer: MessageWriter, type: number, text: string): void {
  const value = checkedIpv4Value(text);
  if (value === undefined) writer.attrBytes(type, addressBytes(text));
  else writer.attrU32be(type, value);
}

function writeName(writer: MessageWriter, type: number, name: string, limit: number): void {
  if (name.length > limit) throw new RangeError(`"${name}" is longer than ${limit} characters`);
  writer.attrString(type, name);
}
