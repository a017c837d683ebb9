/** keepalived as a peer: only its virtual servers, without VRRP. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { startDaemon, until, type Daemon } from "./daemon.ts";
import type { BenchContext } from "./measure.ts";
import type { Namespace } from "./namespace.ts";
import { figure, run, runJson } from "./process.ts";
import {
  keepalivedConf,
  SERVER_PORT,
  type Checks,
  type Size,
  type WeightChange,
} from "./workload.ts";

export interface Keepalived {
  /** Reloads with this weight; milliseconds until the kernel has it. */
  reload(change: WeightChange): Promise<number>;
  stop(): Promise<void>;
}

/** `keepalived 2.2.7`, as installed. */
export async function keepalivedName(signal: AbortSignal): Promise<string> {
  const banner = await run(["sh", "-c", "keepalived --version 2>&1"], signal);
  return `keepalived ${/v(\d[\d.]*\d)/.exec(banner)?.[1] ?? "of unknown version"}`;
}

/** Starts it and waits until the kernel has the whole table. */
export async function startKeepalived(
  context: BenchContext,
  namespace: Namespace,
  size: Size,
  checks: Checks,
): Promise<Keepalived> {
  const servers = await startServers(context, namespace, checks);
  const conf = join(context.scratch, "keepalived.conf");
  const next = join(context.scratch, "keepalived.next");
  await writeFile(conf, keepalivedConf(size, checks));
  const pidFiles = ["-p", "-c", "-r"].flatMap((flag) => [
    flag,
    join(context.scratch, `pid${flag}`),
  ]);
  // -G: without it each line of log costs a failed connection to a log daemon that is not there
  const argv = ["keepalived", "-n", "-l", "-G", "-C", "-f", conf, ...pidFiles];
  const daemon = startDaemon(namespace.inside(argv), join(context.scratch, "keepalived.log"));
  const read = namespace.inside([context.tools.floor, "read"]);
  await until(
    "keepalived's table",
    120_000,
    async () =>
      figure(await runJson(read, context.signal), "destinations") ===
      size.services * size.destinations,
    () => daemon.output(),
  );
  return {
    async reload(change) {
      await writeFile(next, keepalivedConf(size, checks, change));
      const { service, destination, weight } = change;
      const watch = [context.tools.stopwatch, "change", next, conf];
      const target = [service, destination, weight, daemon.pid].map(String);
      const figures = await runJson(namespace.inside([...watch, ...target]), context.signal);
      return figure(figures, "ms");
    },
    async stop() {
      await daemon.stop("SIGTERM");
      await servers?.stop("SIGTERM");
    },
  };
}

/** With checks, somebody has to answer: one process, on all the real servers' addresses. */
async function startServers(
  context: BenchContext,
  namespace: Namespace,
  checks: Checks,
): Promise<Daemon | undefined> {
  if (checks === "no checks") return undefined;
  const addRoute = ["ip", "route", "add", "local", "10.128.0.0/9", "dev", "lo"];
  await run(namespace.inside(addRoute), context.signal);
  const argv = [context.tools.stopwatch, "serve", String(SERVER_PORT)];
  return startDaemon(namespace.inside(argv), join(context.scratch, "servers.log"));
}
