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
  /**
   * ours / peer: below 1 is less time or memory than the peer's. Where both have a sample for each
   * round, the median of the rounds' ratios; else the ratio of the medians.
   */
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

export interface Peer {
  readonly name: string;
  readonly samples: readonly number[];
}

export interface RowInput {
  readonly name: string;
  readonly size: string;
  readonly unit: Row["unit"];
  /** Samples, one a round. */
  readonly ours: readonly number[];
  readonly peer?: Peer | undefined;
  readonly goal?: Goal | undefined;
}

/** Condenses the samples of both sides into a row and judges it. */
export function toRow(input: RowInput): Row {
  const { name, size, unit } = input;
  const ours = summarize(input.ours);
  const beside = compare(input.ours, input.peer);
  return {
    name,
    size,
    ours: round(ours.median),
    oursRange: rangeOf(ours),
    ...beside,
    unit,
    ...judge(input.goal, ours.median, beside.ratio),
  };
}

function compare(
  ours: readonly number[],
  peer: Peer | undefined,
): Pick<Row, "peer" | "peerRange" | "peerName" | "ratio"> {
  if (peer === undefined) return { peer: null, peerRange: null, peerName: null, ratio: null };
  const summary = summarize(peer.samples);
  return {
    peer: round(summary.median),
    peerRange: rangeOf(summary),
    peerName: peer.name,
    ratio: round(ratioOf(ours, peer.samples)),
  };
}

function judge(
  goal: Goal | undefined,
  ours: number,
  ratio: number | null,
): Pick<Row, "goal" | "met"> {
  if (goal === undefined) return { goal: null, met: null };
  const judged = goal.of === "ratio" ? ratio : ours;
  const met = judged !== null && judged <= goal.atMost;
  return { goal: `${goal.of} <= ${goal.atMost}`, met };
}

/** Both sides of a round see the same machine; between rounds its speed changes. */
function ratioOf(ours: readonly number[], peer: readonly number[]): number {
  if (ours.length !== peer.length) return summarize(ours).median / summarize(peer).median;
  return summarize(ours.map((value, round) => value / (peer[round] ?? NaN))).median;
}

function rangeOf(summary: Summary): readonly [number, number] {
  return [round(summary.min), round(summary.max)];
}

/** Four significant digits: more would be noise. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
