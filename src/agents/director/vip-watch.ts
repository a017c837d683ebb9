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

type Entry = {
  /** What was asked for. A verdict about one interface says nothing about another. */
  readonly address: DesiredAddress;
} & (
  | { readonly kind: "asking" }
  | { readonly kind: "free"; readonly untilMs: number }
  | { readonly kind: "failed"; readonly untilMs: number; readonly detail: string }
  | {
      readonly kind: "occupied";
      readonly macAddress: string;
      /** When it is asked for again; infinite while that goes on. */
      readonly untilMs: number;
    }
);

interface Question {
  readonly address: DesiredAddress;
  /** The entry that waits for the answer. An answer for an older one is not used. */
  readonly entry: Entry;
}

/** What keeps a VIP from being bound, for a person. */
export type VipTrouble =
  { readonly kind: "asking" } | { readonly kind: "failed"; readonly detail: string };

export class VipWatch {
  readonly #options: VipWatchOptions;
  readonly #limits: VipWatchLimits;
  readonly #entries = new Map<string, Entry>();
  #queue: Question[] = [];
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
    const now = this.#options.clock.monotonicMs();
    for (const address of wanted.values()) this.#askUnlessKnown(address, now);
    this.#queue = this.#queue.filter(
      ({ address, entry }) => this.#entries.get(address.address) === entry,
    );
    this.#startProbes(signal);
  }

  /** Whether a fresh probe on its interface heard nobody. */
  mayBind({ address, interfaceName }: DesiredAddress): boolean {
    const entry = this.#entries.get(address);
    return (
      entry?.kind === "free" &&
      entry.address.interfaceName === interfaceName &&
      entry.untilMs > this.#options.clock.monotonicMs()
    );
  }

  /** Probes that have not answered yet. */
  get pending(): number {
    return this.#queue.length + this.#running;
  }

  /** Time until a verdict is too old and `want` asks again, milliseconds; Infinity = never. */
  get nextQuestionInMs(): number {
    let soonest = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      if (entry.kind !== "asking") soonest = Math.min(soonest, entry.untilMs);
    }
    return Math.max(0, soonest - this.#options.clock.monotonicMs());
  }

  /** What is known of a VIP that is wanted and not bound. */
  trouble(address: string): VipTrouble | undefined {
    const entry = this.#entries.get(address);
    return entry?.kind === "asking" || entry?.kind === "failed" ? entry : undefined;
  }

  /** VIPs that another machine answers for, with its link-layer address. */
  occupied(): ReadonlyMap<string, string> {
    const occupied = new Map<string, string>();
    for (const [address, entry] of this.#entries) {
      if (entry.kind === "occupied") occupied.set(address, entry.macAddress);
    }
    return occupied;
  }

  #askUnlessKnown(address: DesiredAddress, now: number): void {
    const known = this.#entries.get(address.address);
    const moved = known !== undefined && known.address.interfaceName !== address.interfaceName;
    const fresh = known !== undefined && (known.kind === "asking" || known.untilMs > now);
    if (fresh && !moved) return;
    // An occupied address stays occupied until the new probe has said otherwise.
    const entry: Entry =
      known?.kind === "occupied" && !moved
        ? { ...known, untilMs: Number.POSITIVE_INFINITY }
        : { kind: "asking", address };
    this.#entries.set(address.address, entry);
    this.#queue.push({ address, entry });
  }

  #startProbes(signal: AbortSignal): void {
    while (this.#running < this.#limits.concurrency) {
      const question = this.#queue.shift();
      if (question === undefined) return;
      this.#running += 1;
      void this.#probe(question, signal).finally(() => {
        this.#running -= 1;
        this.#startProbes(signal);
      });
    }
  }

  async #probe({ address, entry }: Question, signal: AbortSignal): Promise<void> {
    let answer: Entry;
    try {
      answer = this.#entryOf(address, await this.#options.probe(address, signal));
    } catch (thrown) {
      if (isAbort(thrown)) return;
      answer = this.#failure(address, toError(thrown));
    }
    if (this.#entries.get(address.address) !== entry) return;
    this.#tell(entry, answer);
    this.#entries.set(address.address, answer);
    this.#options.onVerdict();
  }

  #entryOf(address: DesiredAddress, verdict: ProbeVerdict): Entry {
    const now = this.#options.clock.monotonicMs();
    if (verdict.kind === "free") {
      return { kind: "free", address, untilMs: now + this.#limits.freeForMs };
    }
    return { ...verdict, address, untilMs: now + this.#limits.recheckMs };
  }

  #failure(address: DesiredAddress, error: Error): Entry {
    const untilMs = this.#options.clock.monotonicMs() + this.#limits.recheckMs;
    return { kind: "failed", address, untilMs, detail: error.message };
  }

  /** Says what is news. */
  #tell(before: Entry, { address: { address }, ...now }: Entry): void {
    const { log } = this.#options;
    if (now.kind === "failed") {
      log.error({ address, detail: now.detail }, "address probe failed");
    } else if (now.kind === "occupied") {
      const { macAddress } = now;
      if (before.kind === "occupied" && before.macAddress === macAddress) return;
      log.warn({ address, macAddress }, "vip is in use by another machine");
    }
  }
}
