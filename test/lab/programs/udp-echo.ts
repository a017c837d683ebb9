/** udp-echo NAME PORT ADDRESS...: answers each datagram with NAME, from the address it came to. */
import { createSocket } from "node:dgram";

const [name = "", port = "", ...addresses] = process.argv.slice(2);
let waiting = addresses.length;
for (const address of addresses) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (_, from) => socket.send(name, from.port, from.address));
  socket.bind(Number(port), address, () => {
    waiting -= 1;
    if (waiting === 0) process.stdout.write("ready\n");
  });
}
