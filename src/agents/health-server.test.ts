import { afterEach, describe, expect, it } from "vitest";
import { startHealthServer, type HealthServer, type HealthSource } from "./health-server.ts";

const open: HealthServer[] = [];
const errors: string[] = [];
afterEach(async () => {
  errors.length = 0;
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function start(source: Partial<HealthSource> = {}): Promise<string> {
  const server = await startHealthServer("127.0.0.1", 0, {
    notReady: () => undefined,
    status: () => ({ role: "director" }),
    onError: ({ message }) => errors.push(message),
    ...source,
  });
  open.push(server);
  return `http://127.0.0.1:${server.port}`;
}

describe("health server", () => {
  it.each([
    { path: "/healthz", status: 200, body: "ok\n" },
    { path: "/readyz", status: 200, body: "ok\n" },
    { path: "/readyz?verbose", status: 200, body: "ok\n" },
    { path: "/status", status: 200, body: '{"role":"director"}\n' },
    { path: "/metrics", status: 404, body: "try /healthz, /readyz or /status\n" },
  ])("answers $path with $status", async ({ path, status, body }) => {
    const response = await fetch((await start()) + path);
    expect(response.status).toBe(status);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toBe(body);
  });

  it("says what is missing while it is not ready", async () => {
    const response = await fetch(`${await start({ notReady: () => "no objects yet" })}/readyz`);
    expect(response.status).toBe(503);
    expect(await response.text()).toBe("no objects yet\n");
  });

  it("answers nothing but GET and HEAD", async () => {
    const url = await start();
    const response = await fetch(`${url}/status`, { method: "POST" });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect((await fetch(`${url}/status`, { method: "HEAD" })).status).toBe(200);
  });

  it("outlives a status that cannot be made", async () => {
    const url = await start({ status: () => ({ count: 1n }) });
    expect((await fetch(`${url}/status`)).status).toBe(500);
    expect(errors).toHaveLength(1);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it("refuses a port that is taken", async () => {
    const port = Number(new URL(await start()).port);
    const second = startHealthServer("127.0.0.1", port, {
      notReady: () => undefined,
      status: () => ({}),
      onError: () => undefined,
    });
    await expect(second).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
