/**
 * Reads and writes one network namespace's IPVS table. Implemented over generic netlink
 * (`netlink-client.ts`) and in memory (`testing/fake-kernel.ts`); one contract suite runs on both.
 */
import type {
  Destination,
  IpvsInfo,
  ObservedService,
  ObservedTable,
  ProtocolTimeouts,
  Service,
  ServiceIdentity,
  SyncDaemon,
} from "./model.ts";

/** One write command of the kernel's interface. */
export type IpvsCommand =
  | { readonly op: "create-service" | "update-service"; readonly service: Service }
  | { readonly op: "delete-service"; readonly identity: ServiceIdentity }
  | {
      readonly op: "create-destination" | "update-destination";
      readonly identity: ServiceIdentity;
      readonly destination: Destination;
    }
  | {
      readonly op: "delete-destination";
      readonly identity: ServiceIdentity;
      readonly destination: Pick<Destination, "family" | "address" | "port">;
    }
  | { readonly op: "zero"; readonly identity: ServiceIdentity | undefined }
  | { readonly op: "set-timeouts"; readonly timeouts: ProtocolTimeouts }
  | { readonly op: "start-daemon"; readonly daemon: SyncDaemon }
  | { readonly op: "stop-daemon"; readonly role: SyncDaemon["role"] };

/** A command that the kernel answered with an error; all others of the batch were executed. */
export interface CommandFailure {
  /** Position in the list given to `execute`. */
  readonly index: number;
  readonly command: IpvsCommand;
  /** Name of the errno, for example `EEXIST`, `ESRCH`, `ENOENT`. */
  readonly errno: string;
}

/** Outcome of a list of commands. */
export interface ExecutionReport {
  /** Commands handed to the kernel (equal to the length of the list unless aborted). */
  readonly sent: number;
  readonly failures: readonly CommandFailure[];
}

/** What this client has asked of the kernel since it was made; for proofs and metrics. */
export interface ClientCounters {
  /** Write commands sent, refused ones included. */
  readonly commands: number;
  /** Sends that carried write commands. */
  readonly batches: number;
  /** Read requests: dumps and single reads. */
  readonly reads: number;
}

export interface ReadOptions {
  /** false = leave the traffic counters out, which makes a large table much smaller. */
  readonly stats?: boolean;
}

export interface IpvsClient {
  readonly counters: ClientCounters;
  /** Also proves that IPVS is there and that we may use it. @throws KernelUnavailableError */
  info(signal: AbortSignal): Promise<IpvsInfo>;
  /** A full read: one dump of services and one of destinations for each. Never during a write. */
  readTable(signal: AbortSignal, options?: ReadOptions): Promise<ObservedTable>;
  /** One service with its destinations, or undefined when the kernel has none of that identity. */
  readService(
    identity: ServiceIdentity,
    signal: AbortSignal,
    options?: ReadOptions,
  ): Promise<ObservedService | undefined>;
  /**
   * Executes the commands in order, in batches. A refused command does not stop the ones after it
   * (the kernel works that way); the report names each refusal. When the signal fires between two
   * batches the report says how many were sent. A deletion and the creation of the same destination
   * right after it always go out in one send.
   * @throws AbortedError when the signal had fired before the first batch
   * @throws NetlinkLostError when answers were lost: read the table again before the next write
   */
  execute(commands: readonly IpvsCommand[], signal: AbortSignal): Promise<ExecutionReport>;
  timeouts(signal: AbortSignal): Promise<ProtocolTimeouts>;
  daemons(signal: AbortSignal): Promise<readonly SyncDaemon[]>;
  close(): void;
}
