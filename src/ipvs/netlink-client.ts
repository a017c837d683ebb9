/**
 * IpvsClient over generic netlink. Commands and dumps have a socket each, because a dump that is
 * running refuses others on its socket and must not delay a command's ack. Opening costs nothing:
 * the sockets and the family's number come with the first use.
 */
import type { Clock } from "../lib/clock.ts";
import { NetlinkConnection, type BatchReport } from "../netlink/connection.ts";
import { KernelRejectedError } from "../netlink/errors.ts";
import {
  GenericFamily,
  type CommandEncoder,
  type GenericMessage,
  type GenericRequest,
} from "../netlink/genetlink.ts";
import { NETLINK_GENERIC } from "../netlink/messages.ts";
import type { NetlinkTransport } from "../netlink/transport.ts";
import type { MessageWriter } from "../netlink/writer.ts";
import { unsplitGroups } from "./batches.ts";
import { CommandWriter } from "./command-writer.ts";
import type {
  CommandFailure,
  ExecutionReport,
  IpvsClient,
  IpvsCommand,
  ReadOptions,
} from "./client.ts";
import { KernelUnavailableError, unavailableReason } from "./errors.ts";
import type {
  DestinationKey,
  IpvsInfo,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  ProtocolTimeouts,
  Service,
  ServiceIdentity,
  ServiceKey,
  SyncDaemon,
  TrafficStats,
} from "./model.ts";
import { destinationKey, serviceKey } from "./model.ts";
import { IPVS_CMD, IPVS_GENL_NAME, IPVS_GENL_VERSION } from "./uapi.ts";
import {
  CONFIG_MESSAGE,
  DAEMON_MESSAGE,
  DEST_CONFIG_MESSAGE,
  DEST_MESSAGE,
  INFO_MESSAGE,
  REQUEST_MESSAGE,
  SERVICE_CONFIG_MESSAGE,
  SERVICE_MESSAGE,
} from "./wire.ts";
import {
  commandNumber,
  daemonFromAttrs,
  infoFromAttrs,
  timeoutsFromAttrs,
} from "./wire-command.ts";
import { observedDestinationFromAttrs } from "./wire-destination.ts";
import { identityToAttrs, serviceFromAttrs, statsFromAttrs } from "./wire-service.ts";

export interface NetlinkIpvsOptions {
  readonly transport: NetlinkTransport;
  /** For example `/run/netns/director`; undefined = the process's own network namespace. */
  readonly netnsPath?: string | undefined;
  readonly clock?: Clock | undefined;
}

/** A client of the kernel; `close` it when done. */
export function openIpvsClient(options: NetlinkIpvsOptions): IpvsClient {
  return new NetlinkIpvsClient(options);
}

interface ServiceEntry {
  readonly service: Service;
  readonly stats: TrafficStats | undefined;
}

class NetlinkIpvsClient implements IpvsClient {
  readonly counters = { commands: 0, batches: 0, reads: 0 };
  readonly #connections: readonly NetlinkConnection[];
  readonly #commands: GenericFamily;
  readonly #dumps: GenericFamily;
  readonly #encoder: CommandEncoder<IpvsCommand>;

  constructor({ transport, netnsPath, clock }: NetlinkIpvsOptions) {
    const connect = (): NetlinkConnection =>
      new NetlinkConnection({ transport, protocol: NETLINK_GENERIC, netnsPath, clock });
    const commands = connect();
    const dumps = connect();
    const family = { name: IPVS_GENL_NAME, version: IPVS_GENL_VERSION };
    this.#connections = [commands, dumps];
    this.#commands = new GenericFamily(commands, family);
    this.#dumps = new GenericFamily(dumps, family);
    const attributes = new CommandWriter();
    this.#encoder = {
      command: commandNumber,
      write: (writer, command) => attributes.write(writer, command),
    };
  }

  async info(signal: AbortSignal): Promise<IpvsInfo> {
    const request = { name: "read IPVS information", command: IPVS_CMD.GET_INFO };
    const [info] = await this.#read(() =>
      this.#dumps.request(request, (m) => infoFromAttrs(INFO_MESSAGE.decode(m.attributes)), signal),
    );
    if (info === undefined) throw new KernelRejectedError(request.name, "ENODATA", "no answer");
    return info;
  }

  async readTable(signal: AbortSignal, options?: ReadOptions): Promise<ObservedTable> {
    const services = new Map<ServiceKey, ObservedService>();
    for (const [key, entry] of await this.#readServices(signal, options)) {
      const destinations = await this.#readDestinations(entry.service.identity, signal, options);
      // A service that went away meanwhile has an empty list of destinations, without an error.
      const gone =
        destinations.length === 0 &&
        (await this.#readEntry(entry.service.identity, signal, options)) === undefined;
      if (!gone) services.set(key, { ...entry, destinations });
    }
    return { services };
  }

  async readService(
    identity: ServiceIdentity,
    signal: AbortSignal,
    options?: ReadOptions,
  ): Promise<ObservedService | undefined> {
    const destinations = await this.#readDestinations(identity, signal, options);
    // After the destinations: then an empty list is one, and not a service that does not exist.
    const entry = await this.#readEntry(identity, signal, options);
    return entry && { ...entry, destinations };
  }

  async execute(commands: readonly IpvsCommand[], signal: AbortSignal): Promise<ExecutionReport> {
    const failures: CommandFailure[] = [];
    let sent = 0;
    for (const group of unsplitGroups(commands)) {
      if (signal.aborted && sent > 0) break;
      const report = await this.#send(group, signal);
      for (const { index, errno } of report.failures) {
        // The index is a position in the group.
        const command = group[index] as IpvsCommand;
        failures.push({ index: sent + index, command, errno });
      }
      sent += report.sent;
      if (report.sent < group.length) break;
    }
    return { sent, failures };
  }

  async timeouts(signal: AbortSignal): Promise<ProtocolTimeouts> {
    const request = { name: "read IPVS timeouts", command: IPVS_CMD.GET_CONFIG };
    const [timeouts] = await this.#read(() =>
      this.#dumps.request(
        request,
        (m) => timeoutsFromAttrs(CONFIG_MESSAGE.decode(m.attributes)),
        signal,
      ),
    );
    if (timeouts === undefined) throw new KernelRejectedError(request.name, "ENODATA", "no answer");
    return timeouts;
  }

  daemons(signal: AbortSignal): Promise<readonly SyncDaemon[]> {
    const request = { name: "read sync daemons", command: IPVS_CMD.GET_DAEMON };
    return this.#read(() =>
      this.#dumps.dump(
        request,
        (m) => daemonFromAttrs(DAEMON_MESSAGE.decode(m.attributes).DAEMON),
        signal,
      ),
    );
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  async #send(commands: readonly IpvsCommand[], signal: AbortSignal): Promise<BatchReport> {
    const report = await available(() =>
      this.#commands.batch("write the IPVS table", commands, this.#encoder, signal),
    );
    this.counters.batches += 1;
    this.counters.commands += report.sent;
    for (const { errno } of report.failures) {
      const reason = unavailableReason(errno);
      if (reason !== undefined) throw new KernelUnavailableError(reason, errno);
    }
    return report;
  }

  /** Entries by key; one that a concurrent writer made appear twice counts once. */
  async #readServices(
    signal: AbortSignal,
    options: ReadOptions | undefined,
  ): Promise<ReadonlyMap<ServiceKey, ServiceEntry>> {
    const request = { name: "list services", command: IPVS_CMD.GET_SERVICE };
    const entries = await this.#read(() =>
      this.#dumps.dump(request, serviceDecoder(options), signal),
    );
    const byKey = new Map<ServiceKey, ServiceEntry>();
    for (const entry of entries) {
      if (entry !== undefined) byKey.set(serviceKey(entry.service.identity), entry);
    }
    return byKey;
  }

  async #readEntry(
    identity: ServiceIdentity,
    signal: AbortSignal,
    options: ReadOptions | undefined,
  ): Promise<ServiceEntry | undefined> {
    const name = `read service ${serviceKey(identity)}`;
    const request = aboutService(name, IPVS_CMD.GET_SERVICE, identity);
    try {
      const [entry] = await this.#read(() =>
        this.#dumps.request(request, serviceDecoder(options), signal),
      );
      return entry;
    } catch (error) {
      if (error instanceof KernelRejectedError && error.errno === "ESRCH") return undefined;
      throw error;
    }
  }

  /** Oldest first: the kernel lists the newest first. */
  async #readDestinations(
    identity: ServiceIdentity,
    signal: AbortSignal,
    options: ReadOptions | undefined,
  ): Promise<readonly ObservedDestination[]> {
    const request = aboutService("list destinations", IPVS_CMD.GET_DEST, identity);
    const message = options?.stats === false ? DEST_CONFIG_MESSAGE : DEST_MESSAGE;
    const decode = (m: GenericMessage): ObservedDestination =>
      observedDestinationFromAttrs(message.decode(m.attributes).DEST, identity.family);
    const found = await this.#read(() => this.#dumps.dump(request, decode, signal));
    const byKey = new Map<DestinationKey, ObservedDestination>();
    for (const each of found.toReversed()) byKey.set(destinationKey(each.destination), each);
    return [...byKey.values()];
  }

  #read<T>(run: () => Promise<T>): Promise<T> {
    this.counters.reads += 1;
    return available(run);
  }
}

function serviceDecoder(
  options: ReadOptions | undefined,
): (message: GenericMessage) => ServiceEntry | undefined {
  if (options?.stats === false) {
    return ({ attributes }) => {
      const service = serviceFromAttrs(SERVICE_CONFIG_MESSAGE.decode(attributes).SERVICE);
      return service && { service, stats: undefined };
    };
  }
  return ({ attributes }) => {
    const { SERVICE: seen } = SERVICE_MESSAGE.decode(attributes);
    const service = serviceFromAttrs(seen);
    return service && { service, stats: statsFromAttrs(seen.STATS64, seen.STATS) };
  };
}

function aboutService(name: string, command: number, identity: ServiceIdentity): GenericRequest {
  return {
    name,
    command,
    write: (writer: MessageWriter) =>
      REQUEST_MESSAGE.encode(writer, { SERVICE: identityToAttrs(identity) }),
  };
}

/**
 * Tells "no IPVS here" and "not allowed" from other refusals. ENOENT outside a batch is the lookup
 * of the family: no read of IPVS answers it.
 */
async function available<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof KernelRejectedError)) throw error;
    const reason = error.errno === "ENOENT" ? "NoModule" : unavailableReason(error.errno);
    if (reason === undefined) throw error;
    throw new KernelUnavailableError(reason, error.errno, { cause: error });
  }
}
