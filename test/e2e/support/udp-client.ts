/**
 * udp-client HOST PORT COUNT [SOURCEPORT]: sends COUNT datagrams one after the other from one
 * socket, each after the answer to the one before, and prints the answers, one a line.
 */
import { createSocket } from "node:dgram";

const [host = "", port = "", count = "", sourcePort = "0"] = process.argv.slice(2);
const ANSWER_MS = 2_000;

const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
let left = Number(count);
const timer = setTimeout(() => {
  process.stderr.write("no answer\n");
  process.exit(1);
}, ANSWER_MS);

function send(): void {
  if (left === 0) process.exit(0);
  left -= 1;
  timer.refresh();
  socket.send("?", Number(port), host);
}

socket.on("message", (answer) => {
  process.stdout.write(`${answer.toString("utf8")}\n`);
  send();
});
socket.bind(Number(sourcePort), send);
