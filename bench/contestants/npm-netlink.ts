/**
 * Programs a table with the npm package `netlink`, and prints the time as JSON.
 *
 *   node npm-netlink.ts PEERS_DIRECTORY MESSAGES
 *
 * A hundred requests are in flight at a time, the package's fastest way that does not end the
 * process: at 256 unread answers its addon aborts.
 */
import { createRequire } from "node:module";
import { join } from "node:path";

import { NOOP_TYPE, readMessages, REHEARSALS, type PrebuiltMessage } from "./prebuilt-messages.ts";

interface NetlinkSocket {
  request(type: number, data: Uint8Array, options: { timeout: number }): Promise<unknown>;
  close(): void;
}
interface NetlinkPackage {
  createNetlink(protocol: number, options: { ref: boolean }): NetlinkSocket;
}

const NETLINK_GENERIC = 16;
const IN_FLIGHT = 100;

const [peersDirectory = "", file = ""] = process.argv.slice(2);
const load = createRequire(join(peersDirectory, "package.json"));
// The package is not there when the project is type-checked; what is used of it is declared above.
const netlink = load("netlink") as NetlinkPackage;
const socket = netlink.createNetlink(NETLINK_GENERIC, { ref: true });
const messages = readMessages(file);

async function send(list: readonly PrebuiltMessage[]): Promise<void> {
  for (let from = 0; from < list.length; from += IN_FLIGHT) {
    await Promise.all(
      list
        .slice(from, from + IN_FLIGHT)
        .map(({ type, payload }) => socket.request(type, payload, { timeout: 10_000 })),
    );
  }
}

const noops = messages.map((message) => ({ ...message, type: NOOP_TYPE }));
for (let n = 0; n < REHEARSALS; n += 1) await send(noops);
const start = performance.now();
await send(messages);
console.log(JSON.stringify({ ms: performance.now() - start }));
socket.close();
