/** A client of the kernel in memory; `fake-kernel.ts` makes it. */
import { AbortedError } from "../../lib/errors.ts";
import type { CommandFailure, IpvsClient, IpvsCommand } from "../client.ts";
import { KernelUnavailableError, unavailableReason } from "../errors.ts";
import type {
  ObservedService,
  ObservedTable,
  ProtocolTimeouts,
  ServiceIdentity,
  SyncDaemon,
} from "../model.ts";

/** What the client needs of the kernel. */
export interface FakeKernelState {
  table(): ObservedTable;
  service(identity: ServiceIdentity): ObservedService | undefined;
  timeouts(): ProtocolTimeouts;
  daemons(): readonly SyncDaemon[];
  takeLoss(): Error | undefined;
  /** Name of the error, or undefined. */
  execute(command: IpvsCommand): string | undefined;
}

/** One client; the batches are as large as the list. */
export class FakeClient implements IpvsClient {
  readonly counters = { commands: 0, batches: 0, reads: 0 };
  readonly #kernel: FakeKernelState;

  constructor(kernel: FakeKernelState) {
    this.#kernel = kernel;
  }

  async info(signal: AbortSignal): ReturnType<IpvsClient["info"]> {
    this.#read(signal);
    return { version: "1.2.1", connectionTableSize: 4096 };
  }

  async readTable(signal: AbortSignal): Promise<ObservedTable> {
    this.#read(signal);
    return this.#kernel.table();
  }

  async readService(
    identity: ServiceIdentity,
    signal: AbortSignal,
  ): Promise<ObservedService | undefined> {
    this.#read(signal);
    return this.#kernel.service(identity);
  }

  async execute(
    commands: readonly IpvsCommand[],
    signal: AbortSignal,
  ): ReturnType<IpvsClient["execute"]> {
    if (signal.aborted) throw new AbortedError("commands not sent", { cause: signal.reason });
    if (commands.length === 0) return { sent: 0, failures: [] };
    this.counters.batches += 1;
    this.counters.commands += commands.length;
    const failures: CommandFailure[] = [];
    commands.forEach((command, index) => {
      const errno = this.#kernel.execute(command);
      if (errno !== undefined) failures.push({ index, command, errno });
    });
    const lost = this.#kernel.takeLoss();
    if (lost !== undefined) throw lost;
    for (const { errno } of failures) {
      const reason = unavailableReason(errno);
      if (reason !== undefined) throw new KernelUnavailableError(reason, errno);
    }
    return { sent: commands.length, failures };
  }

  async timeouts(signal: AbortSignal): Promise<ProtocolTimeouts> {
    this.#read(signal);
    return this.#kernel.timeouts();
  }

  async daemons(signal: AbortSignal): Promise<readonly SyncDaemon[]> {
    this.#read(signal);
    return this.#kernel.daemons();
  }

  close(): void {
    // Nothing is open.
  }

  #read(signal: AbortSignal): void {
    if (signal.aborted) throw new AbortedError("read not begun", { cause: signal.reason });
    this.counters.reads += 1;
  }
}
