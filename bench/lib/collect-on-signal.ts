/**
 * Loaded into a process before its program (`node --expose-gc --import …`): on SIGUSR2 it collects
 * garbage and writes what memory is left to the file named by BENCH_MEMORY_FILE. The program itself
 * is the product, unchanged.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

process.on("SIGUSR2", () => {
  // The kind that V8 does when memory is short: others keep the empty pages of the young generation.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  const file = process.env["BENCH_MEMORY_FILE"] ?? "";
  const { heapUsed } = process.memoryUsage();
  writeFileSync(`${file}.new`, JSON.stringify({ rssMb: residentMb(), heapMb: heapUsed / 1e6 }));
  renameSync(`${file}.new`, file);
});

/** The kernel's own figure; `process.memoryUsage` reads the same file. */
function residentMb(): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return (Number(kilobytes) * 1024) / 1e6;
}
