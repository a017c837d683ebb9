/** From a VirtualService's backends to the list of its servers. Pure. */
import type { Backend } from "../api/v1alpha1/backend.ts";
import type { Forwarding } from "../api/v1alpha1/forwarding.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import { ipFamily, type IpFamily } from "../lib/ip-address.ts";
import type { Problem } from "./problems.ts";
import type { RealServerIndex } from "./real-server-index.ts";
import { formatSelector } from "./selector.ts";

/** A server of a VirtualService, wherever it is written. */
export interface Server {
  /** For messages: `server 192.0.2.81` or `RealServer shop/www1`. */
  readonly title: string;
  readonly address: string;
  readonly family: IpFamily;
  /** Its own port; 0 = it has none. */
  readonly port: number;
  /** 0 while it drains. */
  readonly weight: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly forwarding: Forwarding;
  /** Taken out by its owner; a real server keeps the VIP all the same until it is drained. */
  readonly disabled: boolean;
  /** Share of its backend, where backends have shares. */
  readonly share: number | undefined;
  /** Tells backends apart; position in the list. */
  readonly backend: number;
}

/** Servers in the order of the spec; those of a selector by name. */
export interface ResolvedBackends {
  readonly servers: readonly Server[];
  readonly problems: readonly Problem[];
}

/** Finds all servers of a VirtualService. What is not found becomes a problem, not an error. */
export function resolveBackends(
  service: VirtualService,
  realServers: RealServerIndex,
): ResolvedBackends {
  const problems: Problem[] = [];
  const servers: Server[] = [];
  service.spec.backends.forEach((backend, index) => {
    const context = { forwarding: service.spec.forwarding, share: backend.weight, backend: index };
    for (const server of backend.servers ?? []) {
      servers.push(makeServer(`server ${server.address}`, server, context));
    }
    for (const object of referenced(service, backend, realServers, problems)) {
      const { namespace, name } = object.metadata;
      servers.push(makeServer(`RealServer ${namespace}/${name}`, object.spec, context));
    }
  });
  return { servers, problems };
}

interface ServerFields {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly upperThreshold?: number | undefined;
  readonly lowerThreshold?: number | undefined;
  readonly adminState?: RealServer["spec"]["adminState"];
  readonly forwarding?: Forwarding | undefined;
}

function makeServer(
  title: string,
  fields: ServerFields,
  context: { forwarding: Forwarding; share: number | undefined; backend: number },
): Server {
  return {
    title,
    address: fields.address,
    family: ipFamily(fields.address),
    port: fields.port,
    weight: (fields.adminState ?? "Enabled") === "Enabled" ? fields.weight : 0,
    upperThreshold: fields.upperThreshold ?? 0,
    lowerThreshold: fields.lowerThreshold ?? 0,
    forwarding: fields.forwarding ?? context.forwarding,
    disabled: fields.adminState === "Disabled",
    share: context.share,
    backend: context.backend,
  };
}

function referenced(
  service: VirtualService,
  backend: Backend,
  realServers: RealServerIndex,
  problems: Problem[],
): readonly RealServer[] {
  const { namespace } = service.metadata;
  const reference = backend.realServers;
  if (reference?.names !== undefined) {
    return reference.names.flatMap((name) => {
      const found = realServers.get(namespace, name);
      if (found === undefined) problems.push(nameNotFound(namespace, name, backend));
      return found ?? [];
    });
  }
  if (reference?.selector === undefined) return [];
  const found = realServers.select(namespace, reference.selector);
  if (found.length > 0) return found;
  problems.push({
    type: "ResolvedRefs",
    reason: "BackendNotFound",
    message: `backend ${backend.name}: no RealServer in namespace ${namespace} matches ${formatSelector(reference.selector)}; label one or correct the selector`,
  });
  return [];
}

function nameNotFound(namespace: string, name: string, backend: Backend): Problem {
  return {
    type: "ResolvedRefs",
    reason: "BackendNotFound",
    message: `backend ${backend.name}: RealServer ${namespace}/${name} does not exist; create it or remove the name`,
  };
}
