/**
 * The kernel's IPVS in memory, with the answers a real one gives: EEXIST changes nothing, ESRCH is
 * a missing service and ENOENT a missing destination or module, a refused command does not stop the
 * batch, a deleted destination that had connections comes back with them. The contract suite runs
 * on this and on a real kernel. Tests can set counts and break things.
 */
import type { IpvsClient, IpvsCommand } from "../client.ts";
import type {
  ConnectionCounts,
  Destination,
  DestinationKey,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  ProtocolTimeouts,
  Service,
  ServiceIdentity,
  ServiceKey,
  SyncDaemon,
  TrafficStats,
} from "../model.ts";
import { destinationKey, serviceKey } from "../model.ts";
import { FakeClient } from "./fake-client.ts";
import { refuseDaemon, refuseDestination, refuseService, refuseTimeouts } from "./fake-rules.ts";

/** Counters of an entry that has seen nothing. */
export const ZERO_STATS: TrafficStats = {
  connections: 0n,
  inPackets: 0n,
  outPackets: 0n,
  inBytes: 0n,
  outBytes: 0n,
  connectionsPerSecond: 0n,
  inPacketsPerSecond: 0n,
  outPacketsPerSecond: 0n,
  inBytesPerSecond: 0n,
  outBytesPerSecond: 0n,
};

/** What the fake kernel offers; everything a Debian kernel has unless told otherwise. */
export interface FakeKernelOptions {
  readonly schedulers?: readonly string[];
  readonly engines?: readonly string[];
  readonly interfaces?: readonly string[];
}

/** Decides whether a command fails with an error of the test's choice. */
export type Fault = (command: IpvsCommand) => string | undefined;

const SCHEDULERS = "rr wrr lc wlc lblc lblcr dh sh sed nq mh fo ovf twos none".split(" ");
const NO_CONNECTIONS: ConnectionCounts = { active: 0, inactive: 0, persistent: 0 };
const DEFAULT_TIMEOUTS: ProtocolTimeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

interface Entry {
  destination: Destination;
  connections: ConnectionCounts;
  stats: TrafficStats;
}

interface Row {
  service: Service;
  stats: TrafficStats;
  readonly destinations: Map<DestinationKey, Entry>;
}

export class FakeKernel {
  readonly #rows = new Map<ServiceKey, Row>();
  readonly #trash = new Map<string, ConnectionCounts>();
  readonly #daemons = new Map<SyncDaemon["role"], SyncDaemon>();
  readonly #schedulers: ReadonlySet<string>;
  readonly #engines: ReadonlySet<string>;
  readonly #interfaces: ReadonlySet<string>;
  #timeouts = DEFAULT_TIMEOUTS;
  #fault: Fault = () => undefined;
  #answersLost = 0;
  #lose: () => Error = () => new Error("answers lost");

  constructor(options: FakeKernelOptions = {}) {
    this.#schedulers = new Set(options.schedulers ?? SCHEDULERS);
    this.#engines = new Set(options.engines ?? ["sip"]);
    this.#interfaces = new Set(options.interfaces ?? ["lo", "eth0"]);
  }

  /** A client of this kernel; several see the same table. */
  open(): IpvsClient {
    return new FakeClient(this);
  }

  /** From now on, commands for which `fault` names an error fail with it; nothing is changed. */
  failWhen(fault: Fault): void {
    this.#fault = fault;
  }

  /** The next `batches` are executed and their answers lost: `execute` throws `error()`. */
  loseAnswers(batches: number, error: () => Error): void {
    this.#answersLost = batches;
    this.#lose = error;
  }

  /** Sets the live counts of a destination. @throws Error when it does not exist */
  setConnections(
    identity: ServiceIdentity,
    destination: Pick<Destination, "address" | "port">,
    counts: Partial<ConnectionCounts>,
  ): void {
    const entry = this.#rows
      .get(serviceKey(identity))
      ?.destinations.get(destinationKey(destination));
    if (entry === undefined) throw new Error("no such destination");
    entry.connections = { ...NO_CONNECTIONS, ...counts };
  }

  /** The whole table, as a dump gives it. */
  table(): ObservedTable {
    const services = new Map<ServiceKey, ObservedService>();
    for (const [key, row] of this.#rows) services.set(key, observe(row));
    return { services };
  }

  service(identity: ServiceIdentity): ObservedService | undefined {
    const row = this.#rows.get(serviceKey(identity));
    return row && observe(row);
  }

  timeouts(): ProtocolTimeouts {
    return this.#timeouts;
  }

  daemons(): readonly SyncDaemon[] {
    return [...this.#daemons.values()];
  }

  /** Whether the answers to this batch get lost; counts down. */
  takeLoss(): Error | undefined {
    if (this.#answersLost === 0) return undefined;
    this.#answersLost -= 1;
    return this.#lose();
  }

  /** @returns name of the error, or undefined when the command was executed */
  execute(command: IpvsCommand): string | undefined {
    const fault = this.#fault(command);
    if (fault !== undefined) return fault;
    switch (command.op) {
      case "create-service":
      case "update-service":
        return this.#writeService(command.op === "create-service", command.service);
      case "delete-service":
        return this.#deleteService(command.identity);
      case "create-destination":
      case "update-destination":
        return this.#writeDestination(command);
      case "delete-destination":
        return this.#deleteDestination(command);
      default:
        return this.#executeOther(command);
    }
  }

  #writeService(create: boolean, service: Service): string | undefined {
    const refusal = refuseService(service);
    if (refusal !== undefined) return refusal;
    const key = serviceKey(service.identity);
    const row = this.#rows.get(key);
    if (create && row !== undefined) return "EEXIST";
    if (!create && row === undefined) return "ESRCH";
    if (!this.#schedulers.has(service.scheduler)) return "ENOENT";
    const engine = service.persistenceEngine;
    if (engine !== undefined && !this.#engines.has(engine)) return "ENOENT";
    if (row === undefined) {
      this.#rows.set(key, { service, stats: ZERO_STATS, destinations: new Map() });
    } else {
      row.service = service;
    }
    return undefined;
  }

  #deleteService(identity: ServiceIdentity): string | undefined {
    const key = serviceKey(identity);
    const row = this.#rows.get(key);
    if (row === undefined) return "ESRCH";
    for (const entry of row.destinations.values()) this.#throwAway(key, entry);
    this.#rows.delete(key);
    return undefined;
  }

  #writeDestination(
    command: Extract<IpvsCommand, { readonly op: "create-destination" | "update-destination" }>,
  ): string | undefined {
    const { identity, destination } = command;
    const service = serviceKey(identity);
    const row = this.#rows.get(service);
    if (row === undefined) return "ESRCH";
    const refusal = refuseDestination(identity, destination, this.#daemons.size > 0);
    if (refusal !== undefined) return refusal;
    const key = destinationKey(destination);
    const entry = row.destinations.get(key);
    if (command.op === "update-destination") {
      if (entry === undefined) return "ENOENT";
      entry.destination = destination;
      return undefined;
    }
    if (entry !== undefined) return "EEXIST";
    const trashKey = `${service} ${key}`;
    const connections = this.#trash.get(trashKey) ?? NO_CONNECTIONS;
    this.#trash.delete(trashKey);
    row.destinations.set(key, { destination, connections, stats: ZERO_STATS });
    return undefined;
  }

  #deleteDestination(
    command: Extract<IpvsCommand, { readonly op: "delete-destination" }>,
  ): string | undefined {
    const service = serviceKey(command.identity);
    const row = this.#rows.get(service);
    if (row === undefined) return "ESRCH";
    const key = destinationKey(command.destination);
    const entry = row.destinations.get(key);
    if (entry === undefined) return "ENOENT";
    this.#throwAway(service, entry);
    row.destinations.delete(key);
    return undefined;
  }

  /** A destination with connections lives on unlinked until they are gone. */
  #throwAway(service: ServiceKey, { destination, connections }: Entry): void {
    if (connections.active + connections.inactive + connections.persistent === 0) return;
    this.#trash.set(`${service} ${destinationKey(destination)}`, connections);
  }

  #executeOther(command: IpvsCommand): string | undefined {
    switch (command.op) {
      case "zero":
        return this.#zero(command.identity);
      case "set-timeouts":
        return this.#setTimeouts(command.timeouts);
      case "start-daemon":
        return this.#startDaemon(command.daemon);
      case "stop-daemon":
        return this.#daemons.delete(command.role) ? undefined : "ESRCH";
      default:
        return "EOPNOTSUPP";
    }
  }

  #zero(identity: ServiceIdentity | undefined): string | undefined {
    const row = identity && this.#rows.get(serviceKey(identity));
    if (identity !== undefined && row === undefined) return "ESRCH";
    for (const each of row === undefined ? this.#rows.values() : [row]) {
      each.stats = ZERO_STATS;
      for (const entry of each.destinations.values()) entry.stats = ZERO_STATS;
    }
    return undefined;
  }

  #setTimeouts(wanted: ProtocolTimeouts): string | undefined {
    const refusal = refuseTimeouts(wanted);
    if (refusal !== undefined) return refusal;
    // Zero means "leave as it is", as an absent value does.
    this.#timeouts = {
      tcpSeconds: wanted.tcpSeconds || this.#timeouts.tcpSeconds,
      tcpFinSeconds: wanted.tcpFinSeconds || this.#timeouts.tcpFinSeconds,
      udpSeconds: wanted.udpSeconds || this.#timeouts.udpSeconds,
    };
    return undefined;
  }

  #startDaemon(daemon: SyncDaemon): string | undefined {
    if (this.#daemons.has(daemon.role)) return "EEXIST";
    const refusal = refuseDaemon(daemon, this.#interfaces);
    if (refusal !== undefined) return refusal;
    for (const { service, destinations } of this.#rows.values()) {
      for (const { destination } of destinations.values()) {
        if (destination.family !== service.identity.family) return "EINVAL";
      }
    }
    this.#daemons.set(daemon.role, {
      ...daemon,
      maxMessageBytes: daemon.maxMessageBytes ?? 1472,
      multicastGroup: daemon.multicastGroup ?? "224.0.0.81",
      multicastPort: daemon.multicastPort ?? 8848,
      multicastTtl: daemon.multicastTtl ?? 1,
    });
    return undefined;
  }
}

function observe(row: Row): ObservedService {
  const destinations: ObservedDestination[] = [...row.destinations.values()].map((entry) => ({
    destination: entry.destination,
    connections: entry.connections,
    stats: entry.stats,
  }));
  return { service: row.service, destinations, stats: row.stats };
}
