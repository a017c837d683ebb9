/**
 * Network namespaces, a new one for each measured run: IPVS keeps deleted destinations for two
 * minutes and searches them at each add, so a namespace that was used before measures its past.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { run } from "./process.ts";

export interface Namespace {
  readonly name: string;
  readonly path: string;
  /** The command, to be run inside. */
  inside(argv: readonly string[]): readonly string[];
}

/** The kernel takes a namespace apart after `ip` has returned; a table of 30,000 needs about this. */
const TEARDOWN_MS = 300;

let made = 0;

/**
 * Runs `body` in a new namespace whose loopback is up (IPVS refuses destinations where nothing has
 * a route), and takes it away.
 */
export async function withNamespace<T>(
  signal: AbortSignal,
  body: (namespace: Namespace) => Promise<T>,
): Promise<T> {
  made += 1;
  const name = `bench-${process.pid}-${made}`;
  await run(["ip", "netns", "add", name], signal);
  try {
    await run(["ip", "-n", name, "link", "set", "lo", "up"], signal);
    return await body({
      name,
      path: `/run/netns/${name}`,
      // `ip netns exec` mounts /sys anew, which is dear and not needed; the namespace is all we want
      inside: (argv) => ["nsenter", `--net=/run/netns/${name}`, ...argv],
    });
  } finally {
    await run(["ip", "netns", "del", name], AbortSignal.timeout(10_000));
    await sleep(TEARDOWN_MS);
  }
}
