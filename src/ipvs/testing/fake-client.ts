/** A client of the kernel in memory; `fake-kernel.ts` makes it. */
import { AbortedError } from "../../lib/errors.ts";
import type { CommandFailure, ExecutionReport, IpvsClient, IpvsCommand } from "../client.ts";
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

  info(signal: AbortSignal): ReturnType<IpvsClient["info"]> {
    return this.#read(signal, () => ({ version: "1.2.1", connectionTableSize: 4096 }));
  }

  readTable(signal: AbortSignal): Promise<ObservedTable> {
    return this.#read(signal, () => this.#kernel.table());
  }

  readService(
    identity: ServiceIdentity,
    signal: AbortSignal,
  ): Promise<ObservedService | undefined> {
    return this.#read(signal, () => this.#kernel.service(identity));
  }

  execute(commands: readonly IpvsCommand[], signal: AbortSignal): Promise<ExecutionReport> {
    return settle(() => this.#execute(commands, signal));
  }

  timeouts(signal: AbortSignal): Promise<ProtocolTimeouts> {
    return this.#read(signal, () => this.#kernel.timeouts());
  }

  daemons(signal: AbortSignal): Promise<readonly SyncDaemon[]> {
    return this.#read(signal, () => this.#kernel.daemons());
  }

  close(): void {
    // Nothing is open.
  }

  #execute(commands: readonly IpvsCommand[], signal: AbortSignal): ExecutionReport {
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

  #read<T>(signal: AbortSignal, read: () => T): Promise<T> {
    return settle(() => {
      if (signal.aborted) throw new AbortedError("read not begun", { cause: signal.reason });
      this.counters.reads += 1;
      return read();
    });
  }
}

/** A promise that has settled by what `run` returns or throws. */
function settle<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(run());
  });
}
