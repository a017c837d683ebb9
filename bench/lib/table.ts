/** Rows as text for a person. */
import type { Row } from "./row.ts";

const HEAD = ["measure", "size", "ours", "peer", "", "unit", "ours/peer", "goal", ""];

/** A column-aligned table, one line a row. A goal that was not reached says MISSED. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(cells)];
  const widths = HEAD.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function cells(row: Row): string[] {
  return [
    row.name,
    row.size,
    figure(row.ours, row.oursRange),
    row.peer === null || row.peerRange === null ? "" : figure(row.peer, row.peerRange),
    row.peerName ?? "",
    row.unit,
    row.ratio === null ? "" : times(row.ratio),
    row.goal ?? "",
    verdict(row.met),
  ];
}

function figure(median: number, range: readonly [number, number]): string {
  return range[0] === range[1] ? `${median}` : `${median} [${range[0]}-${range[1]}]`;
}

/** 0.02 reads as a fifth of a tenth; "50x less" does not have to be worked out. */
function times(ratio: number): string {
  return ratio >= 0.1 || ratio === 0 ? `${ratio}` : `${ratio} (${Math.round(1 / ratio)}x less)`;
}

function verdict(met: boolean | null): string {
  if (met === null) return "";
  return met ? "met" : "MISSED";
}
