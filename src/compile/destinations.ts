/** From servers to the destinations of one kernel service: ports, weights, order. Pure. */
import { formatEndpoint, type Destination, type Tunnel } from "../ipvs/model.ts";
import { compareDestinations } from "../ipvs/order.ts";
import type { Server } from "./backends.ts";
import type { Problem } from "./problems.ts";
import { addWeights, fitToSlots, kernelWeights, SH_SLOTS } from "./weights.ts";

/** What a kernel service means for the ports of its destinations. */
export interface Frontend {
  /** Port of the kernel service; 0 for all ports and for marks. */
  readonly servicePort: number;
  /** The port that clients use, where it is just one. */
  readonly clientPort: number | undefined;
  readonly targetPort: number | undefined;
  /** The VirtualService has one entry in `ports`, so a server's own port can belong to no other. */
  readonly single: boolean;
  /** The kernel sends to the client's port whatever the destination says. */
  readonly keepsClientPort: boolean;
  readonly onePacket: boolean;
  readonly scheduler: string;
}

export interface Destinations {
  /** In canonical order, each address and port once. */
  readonly destinations: readonly Destination[];
  readonly problems: readonly Problem[];
}

const IPIP: Tunnel = { type: "IPIP", port: 0, checksum: "None" };
const NO_PROBLEMS: readonly Problem[] = [];

/** @param servers of one address family, in the order of the spec */
export function makeDestinations(servers: readonly Server[], frontend: Frontend): Destinations {
  const problems: Problem[] = [];
  const accepted: { server: Server; port: number }[] = [];
  for (const server of servers) {
    const port = destinationPort(server, frontend);
    if (typeof port === "number") accepted.push({ server, port });
    else problems.push(unsupported(`${server.title}: ${port}`));
  }
  const weights = weightsOf(accepted.map(({ server }) => server));
  const byEndpoint = new Map<string, { first: Server; destination: Destination }>();
  accepted.forEach(({ server, port }, i) => {
    const endpoint = formatEndpoint(server.address, port);
    const weight = weights[i] ?? 0;
    const known = byEndpoint.get(endpoint);
    if (known === undefined) {
      byEndpoint.set(endpoint, { first: server, destination: toDestination(server, port, weight) });
    } else if (server.share !== undefined && server.backend !== known.first.backend) {
      const sum = addWeights(known.destination.weight, weight);
      byEndpoint.set(endpoint, { ...known, destination: { ...known.destination, weight: sum } });
    } else {
      problems.push(twice(known.first, server, endpoint));
    }
  });
  const destinations = [...byEndpoint.values()].map(({ destination }) => destination);
  if (destinations.length > 1) destinations.sort(compareDestinations);
  return {
    destinations:
      frontend.scheduler === "sh" ? forSourceHash(destinations, problems) : destinations,
    problems: problems.length === 0 ? NO_PROBLEMS : problems,
  };
}

/** Port of the destination, or why the server cannot have one. */
function destinationPort(server: Server, frontend: Frontend): number | string {
  const { method } = server.forwarding;
  if (method === "NAT" && frontend.onePacket) {
    return "one-packet scheduling does not work with method NAT; use DR or TUN, or disable it";
  }
  const wanted = server.port === 0 ? frontend.targetPort : server.port;
  if (wanted === undefined || wanted === frontend.clientPort) return frontend.servicePort;
  const change =
    frontend.clientPort === undefined ? `to ${wanted}` : `from ${frontend.clientPort} to ${wanted}`;
  if (method !== "NAT") {
    return `method ${method} cannot change the port ${change}; set the server's \`port\` to 0, or use method NAT`;
  }
  if (server.port !== 0 && !frontend.single) {
    return `its own port ${server.port} needs a VirtualService with one entry in \`ports\`; set the server's \`port\` to 0, or split the VirtualService`;
  }
  if (frontend.keepsClientPort) {
    return `the kernel cannot change the port ${change} for port 0 and for a mark with persistence; set the server's \`port\` to 0`;
  }
  return wanted;
}

function weightsOf(servers: readonly Server[]): readonly number[] {
  if (servers.every(({ share }) => share === undefined)) return servers.map((s) => s.weight);
  const totals = new Map<number, number>();
  for (const { backend, weight } of servers) {
    totals.set(backend, (totals.get(backend) ?? 0) + weight);
  }
  return kernelWeights(
    servers.map(({ share = 0, weight, backend }) => ({
      share,
      weight,
      total: totals.get(backend) ?? 0,
    })),
  );
}

function toDestination(server: Server, port: number, weight: number): Destination {
  const { method } = server.forwarding;
  return {
    family: server.family,
    address: server.address,
    port,
    method,
    weight,
    upperThreshold: server.upperThreshold,
    lowerThreshold: server.lowerThreshold,
    tunnel: method === "TUN" ? IPIP : undefined,
  };
}

function forSourceHash(
  destinations: readonly Destination[],
  problems: Problem[],
): readonly Destination[] {
  const given = destinations.map(({ weight }) => weight);
  const fitted = fitToSlots(given);
  if (fitted === given) return destinations;
  if (given.filter((weight) => weight > 0).length > SH_SLOTS) {
    problems.push(
      unsupported(`scheduler sh reaches at most ${SH_SLOTS} servers; use mh or fewer servers`),
    );
  }
  return destinations.map((destination, i) => ({ ...destination, weight: fitted[i] ?? 0 }));
}

function twice(first: Server, second: Server, endpoint: string): Problem {
  const both = first.title === second.title ? "twice" : `also as ${second.title}`;
  return unsupported(
    `${first.title}: ${endpoint} is listed ${both}, and only the first counts; remove one`,
  );
}

function unsupported(message: string): Problem {
  return { type: "ResolvedRefs", reason: "UnsupportedValue", message };
}
