/**
 * Asks the network, before a VIP is bound, whether another machine has it. Probes take a second or
 * so each and run beside the loop: a weight change must not wait for them. A verdict wakes the loop.
 *
 * ```text
 *            want()                silence
 *   (none) ─────────► probing ───────────────► free ──► bound() ──► (none)
 *      ▲                 │ somebody answers      │ older than freeForMs
 *      │                 ▼                       ▼
 *      └── recheck ── occupied                (none)
 * ```
 */
import type { Clock } from "../../lib/clock.ts";
import { isAbort } from "../../lib/abort.ts";
import { toError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/logger.ts";
import type { ProbeVerdict } from "../../host/address-probe.ts";
import type { DesiredAddress } from "../../host/model.ts";

export interface VipWatchOptions {
  /** One address probe; ends within a few seconds. Throws when the interface cannot be probed. */
  probe(address: DesiredAddress, signal: AbortSignal): Promise<ProbeVerdict>;
  readonly clock: Clock;
  readonly log: Logger;
  /** A verdict is there: run a pass. */
  onVerdict(): void;
  readonly limits?: VipWatchLimits;
}

export interface VipWatchLimits {
  /** A silent answer older than this is asked again, milliseconds. */
  readonly freeForMs: number;
  /** Time until an occupied address is asked for again, milliseconds. */
  readonly recheckMs: number;
  /** Probes at one time. */
  readonly concurrency: number;
}

export const DEFAULT_VIP_WATCH: VipWatchLimits = {
  freeForMs: 10_000,
  recheckMs: 15_000,
  concurrency: 256,
};

type Entry =
  | { readonly kind: "waiting" | "probing" }
  | { readonly kind: "free" | "failed"; readonly untilMs: number }
  | {
      readonly kind: "occupied";
      readonly macAddress: string;
      readonly untilMs: number;
      /** What to ask for again. */
      readonly address: DesiredAddress;
    };

export class VipWatch {
  readonly #options: VipWatchOptions;
  readonly #limits: VipWatchLimits;
  readonly #entries = new Map<string, Entry>();
  #queue: DesiredAddress[] = [];
  #running = 0;

  constructor(options: VipWatchOptions) {
    this.#options = options;
    this.#limits = options.limits ?? DEFAULT_VIP_WATCH;
  }

  /**
   * Says which addresses are wanted and not bound. Starts probes for those without a fresh verdict.
   * @param refused addresses that are not wanted only because they are occupied: asked for again
   *   from time to time; everything else is forgotten
   */
  want(
    missing: readonly DesiredAddress[],
    refused: ReadonlySet<string>,
    signal: AbortSignal,
  ): void {
    const wanted = new Map(missing.map((m) => [m.address, m]));
    for (const [address, entry] of this.#entries) {
      if (wanted.has(address)) continue;
      if (entry.kind === "occupied" && refused.has(address)) wanted.set(address, entry.address);
      else this.#entries.delete(address);
    }
    this.#queue = this.#queue.filter((q) => wanted.has(q.address));
    const now = this.#options.clock.monotonicMs();
    for (const address of wanted.values()) {
      const entry = this.#entries.get(address.address);
      if (entry !== undefined && (!("untilMs" in entry) || entry.untilMs > now)) continue;
      // An occupied address stays occupied until the new probe has said otherwise.
      if (entry?.kind !== "occupied") this.#entries.set(address.address, { kind: "waiting" });
      else this.#entries.set(address.address, { ...entry, untilMs: Number.POSITIVE_INFINITY });
      this.#queue.push(address);
    }
    this.#startProbes(signal);
  }

  /** Whether a fresh probe heard nobody. */
  mayBind(address: string): boolean {
    const entry = this.#entries.get(address);
    return entry?.kind === "free" && entry.untilMs > this.#options.clock.monotonicMs();
  }

  /** Probes that have not answered yet. */
  get pending(): number {
    return this.#queue.length + this.#running;
  }

  /** VIPs that another machine answers for, with its link-layer address. */
  occupied(): ReadonlyMap<string, string> {
    const occupied = new Map<string, string>();
    for (const [address, entry] of this.#entries) {
      if (entry.kind === "occupied") occupied.set(address, entry.macAddress);
    }
    return occupied;
  }

  #startProbes(signal: AbortSignal): void {
    while (this.#running < this.#limits.concurrency) {
      const address = this.#queue.shift();
      if (address === undefined) return;
      this.#running += 1;
      void this.#probe(address, signal).finally(() => {
        this.#running -= 1;
        this.#startProbes(signal);
      });
    }
  }

  async #probe(address: DesiredAddress, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let entry: Entry;
    try {
      const verdict = await this.#options.probe(address, signal);
      entry =
        verdict.kind === "free"
          ? { kind: "free", untilMs: clock.monotonicMs() + this.#limits.freeForMs }
          : { ...verdict, address, untilMs: clock.monotonicMs() + this.#limits.recheckMs };
      if (verdict.kind === "occupied") {
        log.warn(
          { address: address.address, macAddress: verdict.macAddress },
          "vip is in use by another machine",
        );
      }
    } catch (thrown) {
      if (isAbort(thrown)) return;
      log.error({ address: address.address, err: toError(thrown) }, "address probe failed");
      entry = { kind: "failed", untilMs: clock.monotonicMs() + this.#limits.recheckMs };
    }
    if (!this.#entries.has(address.address)) return;
    this.#entries.set(address.address, entry);
    this.#options.onVerdict();
  }
}
