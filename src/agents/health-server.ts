/**
 * The agent's window for probes and people: `/healthz` (the process turns), `/readyz` (the last
 * pass succeeded on complete input) and `/status` (what it knows, as JSON). Bound to loopback by
 * default, because `/status` names every object.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toError } from "../lib/errors.ts";

export interface HealthSource {
  /** undefined when ready, else what is missing, for a person. */
  notReady(): string | undefined;
  status(): unknown;
  /** Something went wrong that no client can be told of. */
  onError(error: Error): void;
}

export interface HealthServer {
  /** Port it listens on; the one asked for, or the kernel's choice for 0. */
  readonly port: number;
  close(): Promise<void>;
}

/** Longest time a client may take over its request, milliseconds. */
const REQUEST_TIMEOUT_MS = 5_000;

/** @throws Error with code EADDRINUSE and the like when it cannot listen */
export async function startHealthServer(
  address: string,
  port: number,
  source: HealthSource,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    try {
      answer(request, response, source);
    } catch (thrown) {
      source.onError(toError(thrown));
      send(response, 500, "text/plain", "the answer could not be made; see the log\n");
    }
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  await listen(server, address, port);
  // Without a listener a connection that cannot be accepted (EMFILE) would end the agent.
  server.on("error", (error) => source.onError(error));
  // A server that was not closed must not keep a stopping agent alive.
  server.unref();
  return {
    port: portOf(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portOf(server: Server): number {
  const bound: AddressInfo | string | null = server.address();
  return bound !== null && typeof bound === "object" ? bound.port : 0;
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answer(request: IncomingMessage, response: ServerResponse, source: HealthSource): void {
  const path = (request.url ?? "/").split("?")[0];
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return send(response, 405, "text/plain", "only GET is answered here\n");
  }
  switch (path) {
    case "/healthz":
      return send(response, 200, "text/plain", "ok\n");
    case "/readyz": {
      const reason = source.notReady();
      return reason === undefined
        ? send(response, 200, "text/plain", "ok\n")
        : send(response, 503, "text/plain", `${reason}\n`);
    }
    case "/status":
      return send(response, 200, "application/json", `${JSON.stringify(source.status())}\n`);
    default:
      return send(response, 404, "text/plain", "try /healthz, /readyz or /status\n");
  }
}

function send(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "no-store",
  });
  response.end(body);
}
