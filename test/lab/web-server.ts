/** A real HTTP server (nginx) in a lab host, whose answer says which server gave it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LabProcess } from "./lab-process.ts";
import type { HostName } from "./network.ts";
import type { Topology } from "./topology.ts";

/** Ports that a lab web server listens on when the caller does not say. */
export const WEB_PORTS: readonly number[] = [80, 8080];

/**
 * Starts nginx in the host on the ports, on all its IPv4 and IPv6 addresses. It answers every
 * request with `NAME CLIENTADDRESS:CLIENTPORT SERVERPORT`. Resolves when it listens.
 */
export async function startWebServer(
  topology: Topology,
  host: HostName,
  ports: readonly number[] = WEB_PORTS,
): Promise<LabProcess> {
  const directory = join(topology.directory, `web-${host}`);
  mkdirSync(directory, { recursive: true });
  const configuration = join(directory, "nginx.conf");
  writeFileSync(configuration, nginxConfiguration(host, directory, ports));
  const server = await topology.spawn(host, ["nginx", "-p", directory, "-c", configuration]);
  // Said when the listening sockets are open.
  await server.waitForLine(/event method/);
  return server;
}

function nginxConfiguration(host: HostName, directory: string, ports: readonly number[]): string {
  const listens = ports.flatMap((port) => [`listen ${port};`, `listen [::]:${port};`]);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr notice;
events { worker_connections 4096; }
http {
  access_log off;
  default_type text/plain;
  client_max_body_size 0;
  keepalive_requests 1000000;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join("\n  ")}
  server {
    ${listens.join("\n    ")}
    location / { return 200 "${host} $remote_addr:$remote_port $server_port\\n"; }
  }
}
`;
}
