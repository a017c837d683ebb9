/** Which commands the kernel refuses on their face, before it looks at its table. */
import { IpSyntaxError, ipScope, parseIp } from "../../lib/ip-address.ts";
import type {
  Destination,
  ProtocolTimeouts,
  Service,
  ServiceIdentity,
  SyncDaemon,
} from "../model.ts";

const INT_MAX = 2 ** 31 - 1;
const MAX_TIMEOUT_SECONDS = Math.floor(INT_MAX / 1000);

/** Name of the error that the kernel answers a service command with, or undefined. */
export function refuseService(service: Service): string | undefined {
  const { persistence, identity } = service;
  if (identity.family === "IPv6" && persistence !== undefined) {
    if (persistence.mask < 1 || persistence.mask > 128) return "EINVAL";
  }
  return undefined;
}

/** As `refuseService`, for the destination of a create or an update. */
export function refuseDestination(
  identity: ServiceIdentity,
  destination: Destination,
  syncDaemonRuns: boolean,
): string | undefined {
  const { method, tunnel } = destination;
  if (destination.family !== identity.family && (method !== "TUN" || syncDaemonRuns)) {
    return "EINVAL";
  }
  if (tunnel?.type === "GUE" && tunnel.port === 0) return "EINVAL";
  return refuseNumbers(destination) ?? (isHost(destination.address) ? undefined : "EINVAL");
}

function refuseNumbers({
  weight,
  upperThreshold,
  lowerThreshold,
}: Destination): string | undefined {
  if (weight < 0 || lowerThreshold > upperThreshold) return "ERANGE";
  return upperThreshold > INT_MAX ? "EINVAL" : undefined;
}

/** As `refuseService`, for the namespace's timeouts. */
export function refuseTimeouts(timeouts: ProtocolTimeouts): string | undefined {
  const { tcpSeconds = 0, tcpFinSeconds = 0, udpSeconds = 0 } = timeouts;
  const tooLarge = [tcpSeconds, tcpFinSeconds, udpSeconds].some((s) => s > MAX_TIMEOUT_SECONDS);
  return tooLarge ? "EINVAL" : undefined;
}

/** As `refuseService`, for a daemon; `interfaces` are the ones that exist. */
export function refuseDaemon(
  daemon: SyncDaemon,
  interfaces: ReadonlySet<string>,
): string | undefined {
  if (!interfaces.has(daemon.interfaceName)) return "ENODEV";
  const group = daemon.multicastGroup;
  return group === undefined || ipScope(group) === "Multicast" ? undefined : "EINVAL";
}

/** The kernel looks the address up as a route: multicast, broadcast and zero are none of a host. */
function isHost(address: string): boolean {
  try {
    parseIp(address);
  } catch (error) {
    if (error instanceof IpSyntaxError) return false;
    throw error;
  }
  const scope = ipScope(address);
  if (address.includes(":")) return scope === "Global" || scope === "Loopback";
  return scope !== "Multicast" && scope !== "Broadcast" && scope !== "Unspecified";
}
