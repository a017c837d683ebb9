/**
 * What the compiler derives from the facts of a node once, so that ten thousand objects can ask
 * cheaply: which addresses are the node's own, which interface a VIP belongs on, and whether a
 * server can be reached by a method.
 */
import type { ObservedAddress, ObservedLink } from "../host/model.ts";
import {
  HOST_PREFIX_LENGTH,
  ipFamily,
  networkOf,
  prefixContains,
  type IpPrefix,
} from "../lib/ip-address.ts";
import { ipv4Value } from "../ipvs/order.ts";
import type { Server } from "./backends.ts";
import type { NodeFacts } from "./model.ts";
import type { Problem } from "./problems.ts";

const QUIET_KINDS: ReadonlySet<string> = new Set(["dummy", "ipip", "ip6tnl", "sit", "gre"]);

/** A network that an interface of the node is in. */
interface ConnectedNetwork {
  readonly prefix: IpPrefix;
  readonly link: ObservedLink;
  /** IPv4 only, for speed: network and mask as unsigned numbers. */
  readonly value: number;
  readonly mask: number;
}

/** Where a VIP goes, or why nowhere. */
export type Placement =
  | {
      readonly interfaceName: string;
      readonly problem: undefined;
      /** It is only there because it is there already; look again when something changed. */
      readonly provisional: boolean;
    }
  | { readonly interfaceName: undefined; readonly problem: Problem; readonly provisional: true };

export class NodeView {
  readonly facts: NodeFacts;
  readonly #links: ReadonlyMap<string, ObservedLink>;
  readonly #networks: readonly ConnectedNetwork[];
  readonly #own: ReadonlySet<string>;

  constructor(facts: NodeFacts) {
    this.facts = facts;
    this.#links = new Map(facts.links.map((link) => [link.name, link]));
    const settled = facts.addresses.filter((address) => !address.ours);
    this.#own = new Set(settled.map(({ address }) => address));
    this.#networks = connectedNetworks(settled, this.#links);
  }

  /** Text that is equal for two views that answer alike, except about VIPs that are bound already. */
  fingerprint(): string {
    const networks = this.#networks.map(({ prefix, link }) => [prefix, link.name]);
    const { nodeName, groupName, interfaceName } = this.facts;
    const missing = [...this.facts.missingSchedulers].sort();
    const own = [...this.#own].sort();
    return JSON.stringify([nodeName, groupName, interfaceName, networks, own, missing]);
  }

  /** The address is the node's own, and not a VIP that we put there. */
  isOwn(address: string): boolean {
    return this.#own.has(address);
  }

  /**
   * The interface whose connected network holds the VIP (the longest prefix, then one that is up),
   * else the one the agent was started with. A VIP that is on an interface already stays there
   * when the network is gone or another machine answers, because taking it away would only add to
   * the damage.
   */
  placeVip(address: string): Placement {
    const wanted = this.#networkInterface(address) ?? this.facts.interfaceName;
    const rival = this.facts.occupiedAddresses.get(address);
    if (wanted !== undefined && rival === undefined) return at(wanted, false);
    const bound = this.#boundOn(address);
    if (bound !== undefined) return at(wanted ?? bound, true);
    return { interfaceName: undefined, problem: notPlaced(address, rival), provisional: true };
  }

  /** Interfaces, loopback apart, in whose connected network the address is. */
  interfacesNear(address: string): readonly string[] {
    return this.#networks
      .filter(({ prefix }) => prefixContains(prefix, address))
      .map(({ link }) => link.name);
  }

  isLoopback(interfaceName: string): boolean {
    return this.#links.get(interfaceName)?.loopback ?? interfaceName === "lo";
  }

  /** An address there is seen by no neighbour: loopback, dummy and tunnel devices. */
  isQuiet(interfaceName: string): boolean {
    const kind = this.#links.get(interfaceName)?.kind;
    return this.isLoopback(interfaceName) || (kind !== undefined && QUIET_KINDS.has(kind));
  }

  /** Why packets for the server would not get there; undefined = they would. */
  whyUnreachable({ title, address, forwarding }: Server): Problem | undefined {
    const route = this.facts.routes.get(address);
    if (this.isOwn(address) || route?.local === true) return isThisNode(title, address);
    if (route === undefined) return noRoute(title, address);
    if (forwarding.method !== "DR" || route.onLink) return undefined;
    return {
      type: "Programmed",
      reason: "NotOnLink",
      message: `${title}: method DR needs the server on a network that this node is connected to, and ${address} is behind a router; use method TUN or NAT for it`,
    };
  }

  #networkInterface(address: string): string | undefined {
    if (ipFamily(address) === "IPv6") {
      return this.#networks.find(({ prefix }) => prefixContains(prefix, address))?.link.name;
    }
    const value = ipv4Value(address);
    return this.#networks.find(
      (network) =>
        network.prefix.family === "IPv4" && (value & network.mask) >>> 0 === network.value,
    )?.link.name;
  }

  #boundOn(vip: string): string | undefined {
    return this.facts.addresses.find(
      ({ address, interfaceName }) => address === vip && !this.isLoopback(interfaceName),
    )?.interfaceName;
  }
}

function at(interfaceName: string, provisional: boolean): Placement {
  return { interfaceName, problem: undefined, provisional };
}

function notPlaced(address: string, rival: string | undefined): Problem {
  const message =
    rival === undefined
      ? `no interface of this node is in a network that holds ${address}; name one with --interface, or use an address of a connected network`
      : `another machine (${rival}) answers for ${address}; free the address there, or use another one here`;
  return { type: "Programmed", reason: "AddressNotUsable", message };
}

function isThisNode(title: string, address: string): Problem {
  return {
    type: "Programmed",
    reason: "LocalRealServer",
    message: `${title}: ${address} is this director itself, which cannot be its own real server yet; run the server on another node`,
  };
}

function noRoute(title: string, address: string): Problem {
  return {
    type: "Programmed",
    reason: "AddressNotUsable",
    message: `${title}: this node has no route to ${address}; add one, or correct the address`,
  };
}

/** Networks by choice: longest prefix, then interfaces that are up, then the order of the links. */
function connectedNetworks(
  addresses: readonly ObservedAddress[],
  links: ReadonlyMap<string, ObservedLink>,
): readonly ConnectedNetwork[] {
  const networks = addresses.flatMap(({ address, family, prefixLength, interfaceName }) => {
    const link = links.get(interfaceName);
    if (link === undefined || link.loopback || prefixLength >= HOST_PREFIX_LENGTH[family])
      return [];
    const prefix = networkOf(address, prefixLength);
    const isIpv4 = family === "IPv4";
    const value = isIpv4 ? ipv4Value(prefix.address) : 0;
    // A shift by 32 would be a shift by 0.
    const mask = isIpv4 && prefixLength > 0 ? (-1 << (32 - prefixLength)) >>> 0 : 0;
    return [{ prefix, link, value, mask }];
  });
  return networks.sort(
    (a, b) =>
      b.prefix.prefixLength - a.prefix.prefixLength ||
      Number(b.link.up) - Number(a.link.up) ||
      a.link.index - b.link.index,
  );
}
