/** Write commands as attributes, and the few objects beside services and destinations. */
import { formatIp, ipFamily } from "../lib/ip-address.ts";
import { WireFormatError } from "../netlink/errors.ts";
import type { IpvsCommand } from "./client.ts";
import type { IpvsInfo, ProtocolTimeouts, SyncDaemon } from "./model.ts";
import { IPVS_CMD, IP_VS_STATE } from "./uapi.ts";
import type { DaemonAttrs, INFO_MESSAGE, RequestAttrs } from "./wire.ts";
import type { AttributesOf } from "../netlink/attributes.ts";
import { addressBytes } from "./wire-address.ts";
import { destinationIdentityToAttrs, destinationToAttrs } from "./wire-destination.ts";
import { identityToAttrs, serviceToAttrs } from "./wire-service.ts";

const COMMAND_NUMBERS: Readonly<Record<IpvsCommand["op"], number>> = {
  "create-service": IPVS_CMD.NEW_SERVICE,
  "update-service": IPVS_CMD.SET_SERVICE,
  "delete-service": IPVS_CMD.DEL_SERVICE,
  "create-destination": IPVS_CMD.NEW_DEST,
  "update-destination": IPVS_CMD.SET_DEST,
  "delete-destination": IPVS_CMD.DEL_DEST,
  zero: IPVS_CMD.ZERO,
  "set-timeouts": IPVS_CMD.SET_CONFIG,
  "start-daemon": IPVS_CMD.NEW_DAEMON,
  "stop-daemon": IPVS_CMD.DEL_DAEMON,
};

/** The kernel's number of a command. */
export function commandNumber(command: IpvsCommand): number {
  return COMMAND_NUMBERS[command.op];
}

/** The attributes of a command. */
export function commandAttrs(command: IpvsCommand): RequestAttrs {
  if ("service" in command) return { SERVICE: serviceToAttrs(command.service) };
  if ("destination" in command) return destinationCommandAttrs(command);
  switch (command.op) {
    case "delete-service":
      return { SERVICE: identityToAttrs(command.identity) };
    case "zero":
      return { SERVICE: command.identity && identityToAttrs(command.identity) };
    case "set-timeouts":
      return timeoutsToAttrs(command.timeouts);
    case "start-daemon":
      return { DAEMON: daemonToAttrs(command.daemon) };
    case "stop-daemon":
      return { DAEMON: { STATE: stateNumber(command.role) } };
  }
}

function destinationCommandAttrs(
  command: Extract<IpvsCommand, { readonly destination: unknown }>,
): RequestAttrs {
  const SERVICE = identityToAttrs(command.identity);
  return command.op === "delete-destination"
    ? { SERVICE, DEST: destinationIdentityToAttrs(command.destination) }
    : { SERVICE, DEST: destinationToAttrs(command.destination) };
}

export function timeoutsToAttrs(timeouts: ProtocolTimeouts): RequestAttrs {
  return {
    TIMEOUT_TCP: timeouts.tcpSeconds,
    TIMEOUT_TCP_FIN: timeouts.tcpFinSeconds,
    TIMEOUT_UDP: timeouts.udpSeconds,
  };
}

export function timeoutsFromAttrs(attrs: RequestAttrs): ProtocolTimeouts {
  return {
    tcpSeconds: attrs.TIMEOUT_TCP,
    tcpFinSeconds: attrs.TIMEOUT_TCP_FIN,
    udpSeconds: attrs.TIMEOUT_UDP,
  };
}

export function daemonToAttrs(daemon: SyncDaemon): DaemonAttrs {
  const { multicastGroup: group } = daemon;
  const isIpv6 = group !== undefined && ipFamily(group) === "IPv6";
  const bytes = group === undefined ? undefined : addressBytes(group);
  return {
    STATE: stateNumber(daemon.role),
    MCAST_IFN: daemon.interfaceName,
    SYNC_ID: daemon.syncId,
    SYNC_MAXLEN: daemon.maxMessageBytes,
    MCAST_GROUP: isIpv6 ? undefined : bytes,
    MCAST_GROUP6: isIpv6 ? bytes : undefined,
    MCAST_PORT: daemon.multicastPort,
    MCAST_TTL: daemon.multicastTtl,
  };
}

/** @throws WireFormatError */
export function daemonFromAttrs(attrs: DaemonAttrs): SyncDaemon {
  const group = attrs.MCAST_GROUP ?? attrs.MCAST_GROUP6;
  return {
    role: roleName(attrs.STATE),
    interfaceName: attrs.MCAST_IFN,
    syncId: attrs.SYNC_ID,
    maxMessageBytes: attrs.SYNC_MAXLEN,
    multicastGroup: group && formatIp(group),
    multicastPort: attrs.MCAST_PORT,
    multicastTtl: attrs.MCAST_TTL,
  };
}

/** The version is three bytes of one number: 0x010201 is 1.2.1. */
export function infoFromAttrs(attrs: AttributesOf<typeof INFO_MESSAGE>): IpvsInfo {
  const { VERSION: version } = attrs;
  const parts = [(version >>> 16) & 0xff, (version >>> 8) & 0xff, version & 0xff];
  return { version: parts.join("."), connectionTableSize: attrs.CONN_TAB_SIZE };
}

function stateNumber(role: SyncDaemon["role"]): number {
  return role === "master" ? IP_VS_STATE.MASTER : IP_VS_STATE.BACKUP;
}

function roleName(state: number): SyncDaemon["role"] {
  if (state === IP_VS_STATE.MASTER) return "master";
  if (state === IP_VS_STATE.BACKUP) return "backup";
  throw new WireFormatError("IPVS_DAEMON_ATTR_STATE", `state ${state}`);
}
