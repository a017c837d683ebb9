/**
 * Programs a table with the npm package `node-netlink`, and prints the time as JSON.
 *
 *   node npm-node-netlink.ts PEERS_DIRECTORY MESSAGES
 *
 * One request at a time: when an answer arrives the package forgets all other requests.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { NOOP_TYPE, readMessages, REHEARSALS, type PrebuiltMessage } from "./prebuilt-messages.ts";

interface Request {
  readonly header: { readonly nlmsg_type: bigint; readonly nlmsg_flags: bigint };
  readonly payload: Buffer;
}
interface NetlinkSocket {
  talk(request: Request): Promise<unknown>;
  close(): Promise<void>;
}
interface NodeNetlinkPackage {
  readonly default: {
    open(options: { family: number }): Promise<NetlinkSocket>;
    readonly NLM_F_REQUEST: bigint;
    readonly NLM_F_ACK: bigint;
  };
}

const NETLINK_GENERIC = 16;

const [peersDirectory = "", file = ""] = process.argv.slice(2);
const main = createRequire(join(peersDirectory, "package.json")).resolve("node-netlink");
// The package is not there when the project is type-checked; what is used of it is declared above.
const { default: netlink } = (await import(pathToFileURL(main).href)) as NodeNetlinkPackage;
const socket = await netlink.open({ family: NETLINK_GENERIC });
const messages = readMessages(file);

async function send(list: readonly PrebuiltMessage[]): Promise<void> {
  const flags = netlink.NLM_F_REQUEST | netlink.NLM_F_ACK;
  for (const { type, payload } of list) {
    await socket.talk({ header: { nlmsg_type: BigInt(type), nlmsg_flags: flags }, payload });
  }
}

const noops = messages.map((message) => ({ ...message, type: NOOP_TYPE }));
for (let n = 0; n < REHEARSALS; n += 1) await send(noops);
const start = performance.now();
await send(messages);
console.log(JSON.stringify({ ms: performance.now() - start }));
await socket.close();
process.exit(0); // the package's poller keeps the process alive
