/**
 * The table as the kernel acknowledged it, kept in memory so that a change needs no read. Pure
 * functions on one service and one table, and a holder that the agent updates in place: copying a
 * table of ten thousand services for each change would make small changes dear.
 */
import type { IpvsCommand } from "./client.ts";
import { serviceOf } from "./errors.ts";
import type {
  ConnectionCounts,
  ObservedDestination,
  ObservedService,
  ObservedTable,
  Service,
  ServiceKey,
} from "./model.ts";
import { serviceKey } from "./model.ts";

const NO_CONNECTIONS: ConnectionCounts = { active: 0, inactive: 0, persistent: 0 };

/**
 * The service after the kernel executed the command; undefined = it does not exist. A command that
 * the kernel would have refused changes nothing. Connection counts of a destination that was
 * written are marked stale: new connections may have come since they were read.
 */
export function applyToService(
  observed: ObservedService | undefined,
  command: IpvsCommand,
): ObservedService | undefined {
  switch (command.op) {
    case "create-service":
      return observed ?? newService(command.service);
    case "update-service":
      return observed && { ...observed, service: command.service };
    case "delete-service":
      return undefined;
    case "create-destination":
    case "update-destination":
    case "delete-destination":
      return observed && { ...observed, destinations: editDestinations(observed, command) };
    default:
      return observed;
  }
}

/** The table after the kernel executed the commands in order. */
export function applyToModel(table: ObservedTable, commands: Iterable<IpvsCommand>): ObservedTable {
  const model = new TableModel(table);
  for (const command of commands) model.acknowledge(command);
  return model.table;
}

/** A table that changes as the kernel acknowledges commands. */
export class TableModel {
  readonly #services: Map<ServiceKey, ObservedService>;

  /** @param observed a full read; copied */
  constructor(observed: ObservedTable = { services: new Map() }) {
    this.#services = new Map(observed.services);
  }

  /** A view of the current state, which later changes show through. */
  get table(): ObservedTable {
    return { services: this.#services };
  }

  /** The kernel executed this command. @param service its service's key, when that is known */
  acknowledge(command: IpvsCommand, service?: ServiceKey): void {
    const identity = serviceOf(command);
    if (identity === undefined) return;
    const key = service ?? serviceKey(identity);
    this.put(key, applyToService(this.#services.get(key), command));
  }

  /** What a fresh read of one service said; undefined = it does not exist. */
  put(key: ServiceKey, observed: ObservedService | undefined): void {
    if (observed === undefined) this.#services.delete(key);
    else this.#services.set(key, observed);
  }
}

function newService(service: Service): ObservedService {
  return { service, destinations: [], stats: undefined };
}

type DestinationCommand = Extract<IpvsCommand, { readonly destination: unknown }>;

function editDestinations(
  observed: ObservedService,
  command: DestinationCommand,
): readonly ObservedDestination[] {
  const { destinations } = observed;
  const { address, port } = command.destination;
  const at = destinations.findIndex(
    ({ destination }) => destination.port === port && destination.address === address,
  );
  const current = destinations[at];
  if (command.op === "create-destination") {
    if (current !== undefined) return destinations;
    // A destination that was deleted shortly before comes back with the connections it had.
    const { destination } = command;
    return [
      ...destinations,
      { destination, connections: NO_CONNECTIONS, stats: undefined, stale: true },
    ];
  }
  if (current === undefined) return destinations;
  if (command.op === "delete-destination") return destinations.toSpliced(at, 1);
  return destinations.with(at, { ...current, destination: command.destination, stale: true });
}
