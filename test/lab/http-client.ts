/** A client in a lab host that counts which real server answered. */
import { join } from "node:path";
import { z } from "zod";
import type { LabProcess } from "./lab-process.ts";
import type { HostName } from "./network.ts";
import type { Topology } from "./topology.ts";

const SPREAD = z.object({
  sent: z.int(),
  failed: z.int(),
  perServer: z.record(z.string(), z.int()),
  errors: z.record(z.string(), z.int()),
  longestGapMs: z.int(),
});
const REPLY = z.object({ id: z.int(), result: z.unknown(), error: z.string().optional() });

/** How a series of requests went. */
export interface Spread {
  readonly sent: number;
  readonly failed: number;
  /** Answers by the name that the server gave. */
  readonly perServer: Readonly<Record<string, number>>;
  /** Failures by code: `ECONNREFUSED`, `TIMEOUT`, `HTTP_503`. */
  readonly errors: Readonly<Record<string, number>>;
  /** Longest time without an answer, milliseconds. */
  readonly longestGapMs: number;
}

export interface RequestOptions {
  /** Requests in flight; default 1. Each request is a connection of its own. */
  readonly concurrency?: number;
  /** Default 2 seconds. */
  readonly timeoutMs?: number;
  readonly localAddress?: string;
}

/** Requests that go on until stopped. */
export interface Load {
  stop(): Promise<Spread>;
}

/** One TCP connection that carries one request after another. */
export interface KeptConnection {
  /** Asks once more; resolves with the server's name. @throws Error with the code as message */
  ask(): Promise<string>;
  close(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "programs/http-client.ts");
const REPLY_MARGIN_MS = 30_000;

/** Starts the client program in a host; it serves any number of orders, one after the other or at once. */
export async function startHttpClient(
  topology: Topology,
  host: HostName = "client",
): Promise<HttpClient> {
  const child = await topology.spawn(host, [process.execPath, PROGRAM]);
  await child.waitForLine(/^ready$/);
  return new HttpClient(child);
}

/** Handle of the client program. */
export class HttpClient {
  readonly #process: LabProcess;
  #orders = 0;

  constructor(child: LabProcess) {
    this.#process = child;
  }

  /** Sends `count` requests, each on a connection of its own, and reports on them. */
  async requests(url: string, count: number, options: RequestOptions = {}): Promise<Spread> {
    const slowest = count * (options.timeoutMs ?? 2_000);
    return SPREAD.parse(await this.#order("requests", { url, count, ...options }, slowest));
  }

  /** Starts requests that go on, `intervalMs` after the answer of the one before. */
  async startLoad(
    url: string,
    options: RequestOptions & { readonly intervalMs?: number } = {},
  ): Promise<Load> {
    const subject = z.int().parse(await this.#order("start", { url, ...options }, 0));
    return {
      stop: async () => SPREAD.parse(await this.#order("stop", { subject }, 0)),
    };
  }

  /** Prepares a connection; it is made by the first `ask`. */
  async connect(url: string, options: RequestOptions = {}): Promise<KeptConnection> {
    const subject = z.int().parse(await this.#order("connect", { url, ...options }, 0));
    return {
      ask: async () => z.string().parse(await this.#order("ask", { subject }, 0)),
      close: async () => void (await this.#order("disconnect", { subject }, 0)),
    };
  }

  /** Ends the program. */
  async close(): Promise<void> {
    await this.#process.stop();
  }

  async #order(op: string, fields: object, slowestMs: number): Promise<unknown> {
    this.#orders += 1;
    const id = this.#orders;
    const order = { id, op, concurrency: 1, timeoutMs: 2_000, intervalMs: 0, ...fields };
    this.#process.write(`${JSON.stringify(order)}\n`);
    const pattern = new RegExp(`^\\{"id":${id}[,}]`);
    const line = await this.#process.waitForLine(pattern, slowestMs + REPLY_MARGIN_MS);
    const reply = REPLY.parse(JSON.parse(line));
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply.result;
  }
}
