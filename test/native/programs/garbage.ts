/** Opens sockets and forgets them; garbage collection must close every descriptor. */
import { NETLINK_ROUTE } from "../../../src/netlink/messages.ts";
import { loadAddon, nativeTransport } from "../../../src/netlink/transport-native.ts";
import { collectGarbage, openSockets, report } from "./support.ts";

const ROUNDS = 20;
const SOCKETS = 50;

/** In a function of its own, so that no register or stack slot keeps the last socket alive. */
function openAndForget(count: number): void {
  for (let i = 0; i < count; i++) {
    const socket = nativeTransport.open(NETLINK_ROUTE);
    socket.receive();
    // A watch whose callback holds its socket keeps it in use, so these are ended.
    if (i % 5 === 0) socket.watch(() => socket.receive());
    if (i % 5 === 0) socket.watch(null);
    if (i % 2 === 0) socket.close();
  }
}

/** A watch whose callback does not hold the socket does not keep it from being collected. */
function watchAndForget(count: number): void {
  const addon = loadAddon();
  for (let i = 0; i < count; i++) {
    const handle = addon.open(16, 3, NETLINK_ROUTE);
    if (typeof handle === "number") throw new Error(`open: ${handle}`);
    addon.watch(handle, onReadable);
  }
}

function onReadable(): void {
  throw new Error("nothing is ever sent");
}

const before = openSockets();
let most = 0;
for (let round = 0; round < ROUNDS; round++) {
  openAndForget(SOCKETS);
  watchAndForget(SOCKETS);
  most = Math.max(most, openSockets() - before);
  await collectGarbage();
}
report({ opened: 2 * ROUNDS * SOCKETS, most, left: openSockets() - before });
