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
  const candidates: Candidate[] = [];
  for (const server of servers) {
    const port = destinationPort(server, frontend);
    if (typeof port === "number") {
      candidates.push({ server, destination: toDestination(server, port) });
    } else {
      problems.push(unsupported(`${server.title}: ${port}`));
    }
  }
  const shared = candidates.some(({ server }) => server.share !== undefined);
  const destinations = inOrderOnce(shared ? withShares(candidates) : candidates, problems);
  return {
    destinations:
      frontend.scheduler === "sh" ? forSourceHash(destinations, problems) : destinations,
    problems: problems.length === 0 ? NO_PROBLEMS : problems,
  };
}

interface Candidate {
  readonly server: Server;
  readonly destination: Destination;
}

/** Sorts, and makes one of the candidates that turn out to be one destination. */
function inOrderOnce(candidates: Candidate[], problems: Problem[]): readonly Destination[] {
  // The sort is stable, so of equal ones the first of the spec comes first.
  candidates.sort((a, b) => compareDestinations(a.destination, b.destination));
  const once: Candidate[] = [];
  for (const candidate of candidates) {
    const last = once.at(-1);
    if (last === undefined || compareDestinations(last.destination, candidate.destination) !== 0) {
      once.push(candidate);
    } else if (inOtherShare(last.server, candidate.server)) {
      const weight = addWeights(last.destination.weight, candidate.destination.weight);
      once[once.length - 1] = { ...last, destination: { ...last.destination, weight } };
    } else {
      problems.push(twice(last, candidate));
    }
  }
  return once.map(({ destination }) => destination);
}

/** A server in two backends gets from both; in one backend it is a mistake. */
function inOtherShare(a: Server, b: Server): boolean {
  return b.share !== undefined && a.backend !== b.backend;
}

/** Port of the destination, or why the server cannot have one. */
function destinationPort(server: Server, frontend: Frontend): number | string {
  const { method } = server.forwarding;
  if (method === "NAT" && frontend.onePacket) {
    return "one-packet scheduling does not work with method NAT; use DR or TUN, or disable it";
  }
  const wanted = server.port === 0 ? frontend.targetPort : server.port;
  if (wanted === undefined || wanted === frontend.clientPort) return frontend.servicePort;
  return whyNoPortChange(server, frontend, wanted) ?? wanted;
}

function whyNoPortChange(server: Server, frontend: Frontend, wanted: number): string | undefined {
  const { method } = server.forwarding;
  const { clientPort, single, keepsClientPort } = frontend;
  const change = clientPort === undefined ? `to ${wanted}` : `from ${clientPort} to ${wanted}`;
  if (method !== "NAT") {
    return `method ${method} cannot change the port ${change}; set the server's \`port\` to 0, or use method NAT`;
  }
  if (server.port !== 0 && !single) {
    return `its own port ${server.port} needs a VirtualService with one entry in \`ports\`; set the server's \`port\` to 0, or split the VirtualService`;
  }
  if (!keepsClientPort) return undefined;
  return `the kernel cannot change the port ${change} for port 0 and for a mark with persistence; set the server's \`port\` to 0`;
}

/** Weights by the shares of the backends in place of those of the servers. */
function withShares(candidates: readonly Candidate[]): Candidate[] {
  const totals = new Map<number, number>();
  for (const { server } of candidates) {
    totals.set(server.backend, (totals.get(server.backend) ?? 0) + server.weight);
  }
  const weights = kernelWeights(
    candidates.map(({ server: { share = 0, weight, backend } }) => ({
      share,
      weight,
      total: totals.get(backend) ?? 0,
    })),
  );
  return candidates.map(({ server, destination }, i) => ({
    server,
    destination: { ...destination, weight: weights[i] ?? 0 },
  }));
}

function toDestination(server: Server, port: number): Destination {
  const { method } = server.forwarding;
  return {
    family: server.family,
    address: server.address,
    port,
    method,
    weight: server.weight,
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

function twice({ server: first, destination }: Candidate, { server: second }: Candidate): Problem {
  const endpoint = formatEndpoint(destination.address, destination.port);
  const both = first.title === second.title ? "twice" : `also as ${second.title}`;
  return unsupported(
    `${first.title}: ${endpoint} is listed ${both}, and only the first counts; remove one`,
  );
}

function unsupported(message: string): Problem {
  return { type: "ResolvedRefs", reason: "UnsupportedValue", message };
}
