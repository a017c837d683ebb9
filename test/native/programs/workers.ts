/**
 * Ends workers that hold open and watched sockets, by exit and by terminate, while they idle and
 * while they work. No descriptor may stay, and the process must live.
 */
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { fileURLToPath } from "node:url";
import { NetlinkConnection } from "../../../src/netlink/connection.ts";
import { NETLINK_ROUTE } from "../../../src/netlink/messages.ts";
import { nativeTransport } from "../../../src/netlink/transport-native.ts";
import { openSockets, report } from "./support.ts";

const ROUNDS = 6;
const SOCKETS = 10;
type End = "exit" | "terminate-idle" | "terminate-busy" | "throw";
const ENDS: readonly End[] = ["exit", "terminate-idle", "terminate-busy", "throw"];

if (isMainThread) await endWorkers();
else await beWorker();

async function endWorkers(): Promise<void> {
  // The first worker starts helpers of Node that stay.
  await runOne("exit");
  const before = openSockets();
  let ended = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const end of ENDS) {
      await runOne(end);
      ended += 1;
    }
  }
  report({ ended, left: openSockets() - before });
}

async function runOne(end: End): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: end });
  // A worker that throws reports it here; that is one of the ends.
  worker.on("error", () => undefined);
  const exited = new Promise((resolve) => worker.on("exit", resolve));
  await new Promise((resolve) => worker.on("message", resolve));
  if (end.startsWith("terminate")) await worker.terminate();
  await exited;
}

async function beWorker(): Promise<void> {
  const kept = Array.from({ length: SOCKETS }, () => nativeTransport.open(NETLINK_ROUTE));
  kept.forEach((socket, i) => socket.watch(i % 2 === 0 ? () => undefined : null));
  parentPort?.postMessage("ready");
  switch (workerData) {
    case "exit":
      process.exit(0);
      break;
    case "throw":
      throw new Error("a worker that fails");
    case "terminate-busy":
      await work();
      break;
    default:
      // Watched sockets keep the worker alive until it is terminated.
      break;
  }
}

async function work(): Promise<void> {
  const connection = new NetlinkConnection({ transport: nativeTransport, protocol: NETLINK_ROUTE });
  const list = {
    name: "list links",
    type: 18,
    write: (w: { zeros(n: number): void }) => w.zeros(16),
  };
  for (;;) await connection.dump(list, () => 0, new AbortController().signal);
}
