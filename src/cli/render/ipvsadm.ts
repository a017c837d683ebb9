/**
 * A table as the commands that `ipvsadm -S -n` prints and `ipvsadm -R` reads (ipvsadm 1.31). One
 * addition: connection thresholds, which ipvsadm itself forgets when it saves.
 */
import { formatIp } from "../../lib/ip-address.ts";
import {
  formatEndpoint,
  type Destination,
  type ObservedTable,
  type SchedulerFlags,
  type Service,
  type Tunnel,
} from "../../ipvs/model.ts";
import { inListOrder } from "./list-order.ts";

export function renderIpvsadm(table: ObservedTable): string {
  const lines: string[] = [];
  for (const { service, destinations } of inListOrder(table)) {
    const name = serviceArguments(service);
    lines.push(["-A", name, ...serviceOptions(service)].join(" "));
    for (const { destination } of destinations) {
      lines.push(["-a", name, ...destinationOptions(destination)].join(" "));
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

const PROTOCOL_FLAG = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" } as const;

function serviceArguments({ identity }: Service): string {
  if (identity.kind === "mark") {
    return identity.family === "IPv6" ? `-f ${identity.mark} -6` : `-f ${identity.mark}`;
  }
  return `${PROTOCOL_FLAG[identity.protocol]} ${formatEndpoint(identity.address, identity.port)}`;
}

function serviceOptions(service: Service): string[] {
  const options = ["-s", service.scheduler];
  const { persistence, persistenceEngine } = service;
  if (persistence !== undefined) {
    options.push("-p", String(persistence.timeoutSeconds));
    const mask = persistenceMask(service);
    if (mask !== undefined) options.push("-M", mask);
  }
  if (persistenceEngine !== undefined) options.push("--pe", persistenceEngine);
  if (service.onePacket) options.push("-o");
  const flags = schedulerFlagNames(service.scheduler, service.schedulerFlags);
  if (flags.length > 0) options.push("-b", flags.join(","));
  return options;
}

/** Text of the mask when it is narrower than a single host, else undefined. */
export function persistenceMask({ identity, persistence }: Service): string | undefined {
  if (persistence === undefined) return undefined;
  if (identity.family === "IPv6") {
    return persistence.mask === 128 ? undefined : String(persistence.mask);
  }
  const mask = persistence.mask >>> 0;
  if (mask === 0xffff_ffff) return undefined;
  return formatIp(Uint8Array.of(mask >>> 24, (mask >>> 16) & 255, (mask >>> 8) & 255, mask & 255));
}

/** Names that ipvsadm gives to the flag bits of the scheduler. */
export function schedulerFlagNames(scheduler: string, flags: SchedulerFlags): readonly string[] {
  const hashing = scheduler === "sh" || scheduler === "mh";
  const names: string[] = [];
  if (flags.fallback) names.push(hashing ? `${scheduler}-fallback` : "flag-1");
  if (flags.port) names.push(hashing ? `${scheduler}-port` : "flag-2");
  if (flags.third) names.push("flag-3");
  return names;
}

const METHOD_FLAG: Readonly<Record<Destination["method"], string>> = {
  NAT: "-m",
  DR: "-g",
  TUN: "-i",
  // ipvsadm has no letter for these two; it prints the first, and the kernel decides by address.
  LocalNode: "-g",
  Bypass: "-g",
};

function destinationOptions(destination: Destination): string[] {
  const options = ["-r", formatEndpoint(destination.address, destination.port)];
  options.push(METHOD_FLAG[destination.method], "-w", String(destination.weight));
  if (destination.upperThreshold > 0) options.push("-x", String(destination.upperThreshold));
  if (destination.lowerThreshold > 0) options.push("-y", String(destination.lowerThreshold));
  if (destination.tunnel !== undefined) options.push(...tunnelOptions(destination.tunnel));
  return options;
}

const CHECKSUM_FLAG = {
  None: "--tun-nocsum",
  Checksum: "--tun-csum",
  RemoteChecksum: "--tun-remcsum",
} as const;

function tunnelOptions(tunnel: Tunnel): string[] {
  const options = ["--tun-type", tunnel.type.toLowerCase()];
  if (tunnel.type === "GUE") options.push("--tun-port", String(tunnel.port));
  if (tunnel.type !== "IPIP") options.push(CHECKSUM_FLAG[tunnel.checksum]);
  return options;
}
