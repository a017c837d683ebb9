/**
 * HTTP requests from inside a lab host, driven by lines of JSON on stdin, so that a test pays for
 * one process and not for one per request. ../http-client.ts is the other end.
 */
import { Agent, get } from "node:http";
import { createInterface } from "node:readline";

interface Order {
  readonly id: number;
  readonly op: "requests" | "start" | "stop" | "connect" | "ask" | "disconnect";
  readonly url: string;
  readonly count: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly localAddress?: string;
  /** The load or connection that an order is about: the id of the order that made it. */
  readonly subject: number;
}

/** What a series of requests met. */
class Tally {
  sent = 0;
  failed = 0;
  readonly perServer: Record<string, number> = {};
  readonly errors: Record<string, number> = {};
  longestGapMs = 0;
  #lastAnswer = performance.now();

  answer(server: string): void {
    this.perServer[server] = (this.perServer[server] ?? 0) + 1;
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, Math.round(now - this.#lastAnswer));
    this.#lastAnswer = now;
  }

  fail(code: string): void {
    this.failed += 1;
    this.errors[code] = (this.errors[code] ?? 0) + 1;
  }
}

/** One request; resolves with the first word of the answer, the server's name. */
function request(order: Order, agent: Agent | false): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      timeout: order.timeoutMs,
      ...(order.localAddress === undefined ? {} : { localAddress: order.localAddress }),
    };
    const sent = get(order.url, options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => {
        if (response.statusCode === 200) resolve(body.split(" ")[0] ?? "");
        else reject(failure(`HTTP_${response.statusCode ?? 0}`));
      });
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(failure("TIMEOUT")));
    sent.on("error", reject);
  });
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

async function countOne(order: Order, tally: Tally): Promise<void> {
  tally.sent += 1;
  try {
    tally.answer(await request(order, false));
  } catch (error) {
    tally.fail(codeOf(error));
  }
}

async function requests(order: Order): Promise<Tally> {
  const tally = new Tally();
  let left = order.count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await countOne(order, tally);
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, worker));
  return tally;
}

interface Load {
  stopping: boolean;
  readonly done: Promise<Tally>;
}

const loads = new Map<number, Load>();
const connections = new Map<number, { order: Order; agent: Agent }>();

function startLoad(order: Order): Load {
  const tally = new Tally();
  const load: Load = { stopping: false, done: run() };
  async function run(): Promise<Tally> {
    // The workers look at `load`, which exists once this function has returned for the first time.
    await Promise.resolve();
    const worker = async (): Promise<void> => {
      while (!load.stopping) {
        await countOne(order, tally);
        if (order.intervalMs > 0) await new Promise((go) => setTimeout(go, order.intervalMs));
      }
    };
    await Promise.all(Array.from({ length: order.concurrency }, worker));
    return tally;
  }
  return load;
}

async function stopLoad(subject: number): Promise<Tally | undefined> {
  const load = loads.get(subject);
  if (load === undefined) return undefined;
  load.stopping = true;
  loads.delete(subject);
  return load.done;
}

async function obey(order: Order): Promise<unknown> {
  switch (order.op) {
    case "requests":
      return requests(order);
    case "start":
      loads.set(order.id, startLoad(order));
      return order.id;
    case "stop":
      return stopLoad(order.subject);
    case "connect":
      connections.set(order.id, { order, agent: new Agent({ keepAlive: true, maxSockets: 1 }) });
      return order.id;
    case "ask": {
      const connection = connections.get(order.subject);
      if (connection === undefined) throw failure("NOT_CONNECTED");
      return request(connection.order, connection.agent);
    }
    case "disconnect":
      connections.get(order.subject)?.agent.destroy();
      connections.delete(order.subject);
      return order.subject;
  }
}

async function handle(line: string): Promise<void> {
  // The only writer of these lines is ../http-client.ts, which types them.
  const order = JSON.parse(line) as Order;
  let reply: Record<string, unknown>;
  try {
    reply = { id: order.id, result: await obey(order) };
  } catch (error) {
    reply = { id: order.id, error: codeOf(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

const input = createInterface({ input: process.stdin });
input.on("line", (line) => void handle(line));
input.on("close", () => process.exit(0));
process.stdout.write("ready\n");
