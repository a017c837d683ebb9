/** One line of the result. `--json` writes a list of these; its names are part of the interface. */
import { summarize, type Summary } from "./stats.ts";

export interface Row {
  /** What was measured: `program warm`. */
  readonly name: string;
  /** How much of it: `10000 x 2` = services x destinations of each. */
  readonly size: string;
  /** Median of our figure. */
  readonly ours: number;
  readonly oursRange: readonly [min: number, max: number];
  /** Median of the other's figure from the same run; null where the row has no other. */
  readonly peer: number | null;
  readonly peerRange: readonly [min: number, max: number] | null;
  readonly peerName: string | null;
  readonly unit: "ms" | "writes" | "MB" | "MB per 1000 services";
  /** ours / peer: below 1 is less time or memory than the peer's. */
  readonly ratio: number | null;
  /** `ratio <= 3`, `ours <= 0`; null where nothing was promised. */
  readonly goal: string | null;
  readonly met: boolean | null;
}

/** An upper bound for our figure or for our figure over the peer's. */
export interface Goal {
  readonly of: "ratio" | "ours";
  readonly atMost: number;
}

export interface RowInput {
  readonly name: string;
  readonly size: string;
  readonly unit: Row["unit"];
  /** Samples, one a round. */
  readonly ours: readonly number[];
  readonly peer?: { readonly name: string; readonly samples: readonly number[] };
  readonly goal?: Goal;
}

/** Condenses the samples of both sides into a row and judges it. */
export function toRow(input: RowInput): Row {
  const ours = summarize(input.ours);
  const peer = input.peer === undefined ? undefined : summarize(input.peer.samples);
  const ratio = peer === undefined || peer.median === 0 ? null : ours.median / peer.median;
  const judged = input.goal?.of === "ratio" ? ratio : ours.median;
  return {
    name: input.name,
    size: input.size,
    ours: round(ours.median),
    oursRange: rangeOf(ours),
    peer: peer === undefined ? null : round(peer.median),
    peerRange: peer === undefined ? null : rangeOf(peer),
    peerName: input.peer?.name ?? null,
    unit: input.unit,
    ratio: ratio === null ? null : round(ratio),
    goal: input.goal === undefined ? null : `${input.goal.of} <= ${input.goal.atMost}`,
    met: input.goal === undefined ? null : judged !== null && judged <= input.goal.atMost,
  };
}

function rangeOf(summary: Summary): readonly [number, number] {
  return [round(summary.min), round(summary.max)];
}

/** Four significant digits: more would be noise. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
