/** Shared by the programs that exercise the addon in a process of their own. */
import { readdirSync, readlinkSync } from "node:fs";

/** Sockets this process has open, by their kernel names; netlink has no other users in Node. */
export function openSockets(): number {
  let count = 0;
  for (const entry of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${entry}`).startsWith("socket:")) count += 1;
    } catch {
      // The descriptor of the directory listing itself is gone by now.
    }
  }
  return count;
}

/** Runs the collector and the finalizers that it queues. Needs --expose-gc. */
export async function collectGarbage(): Promise<void> {
  // Given by the flag; absent without it, and then the program cannot do its work.
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("run with --expose-gc");
  for (let round = 0; round < 4; round++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Prints the result for the test that started us. */
export function report(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
