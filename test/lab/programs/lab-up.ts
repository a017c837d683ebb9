/**
 * lab-up: builds the machines of a lab that stays up, inside its guest, with plain names and a web
 * server on each real server. Nothing of the product runs yet: that is for the person to start.
 */
import { addressOf, HOST_NAMES } from "../network.ts";
import { createTopology } from "../topology.ts";
import { startWebServer } from "../web-server.ts";

const topology = await createTopology({ prefix: "", hosts: HOST_NAMES });
const realServers = HOST_NAMES.filter((host) => host.startsWith("rs"));
await Promise.all(realServers.map((host) => startWebServer(topology, host)));
for (const host of topology.hosts) {
  const address = addressOf(host, host === "client" ? "access" : "lan", "IPv4");
  process.stdout.write(`  ${host.padEnd(12)}${address}\n`);
}
// The servers go on without this process.
process.exit(0);
