/** HostClient on a node in memory; passes the same contract suite as the kernel's. */
import { setImmediate as nextLoopTurn } from "node:timers/promises";
import { throwIfAborted } from "../../lib/abort.ts";
import { parseIpPrefix, prefixContains } from "../../lib/ip-address.ts";
import { ERRNO } from "../../netlink/errno.ts";
import { SocketError } from "../../netlink/errors.ts";
import type { HostClient, HostWatch, HostWatchHandler } from "../client.ts";
import type {
  DesiredAddress,
  DesiredLink,
  HostOwner,
  ObservedAddress,
  ObservedHost,
  RouteFact,
  SysctlKey,
  SysctlValue,
} from "../model.ts";
import type { HostWorld } from "./host-world.ts";

/** A route of the fake: the most specific one decides. */
export interface FakeRoute {
  readonly prefix: string;
  readonly interfaceName: string;
  /** Reached by a router. */
  readonly gateway?: boolean;
}

export class FakeHost implements HostClient {
  readonly world: HostWorld;
  readonly #routes: readonly FakeRoute[];
  readonly #watches = new Set<HostWatchHandler>();
  #closed = false;

  constructor(world: HostWorld, routes: readonly FakeRoute[] = []) {
    this.world = world;
    this.#routes = routes;
  }

  /** Does something on the node as anybody might, and tells the watches. */
  async change(act: (world: HostWorld) => void): Promise<void> {
    act(this.world);
    await nextLoopTurn();
    for (const handler of this.#watches) handler.onChange();
  }

  observe(keys: readonly SysctlKey[], signal: AbortSignal): Promise<ObservedHost> {
    return this.#run("observe", signal, () => this.world.observe(keys));
  }

  lookUpRoutes(
    addresses: Iterable<string>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, RouteFact>> {
    return this.#run("look up routes", signal, () => {
      const facts = new Map<string, RouteFact>();
      for (const address of addresses) {
        const fact = this.#routeTo(address);
        if (fact !== undefined) facts.set(address, fact);
      }
      return facts;
    });
  }

  setSysctl(key: SysctlKey, value: SysctlValue, signal: AbortSignal): Promise<void> {
    // The kernel tells nobody about a setting.
    return this.#run("set", signal, () => this.world.setSysctl(key, value));
  }

  bringLinkUp(link: DesiredLink, signal: AbortSignal): Promise<void> {
    return this.#change("link up", signal, () => this.world.bringLinkUp(link));
  }

  takeLinkDown(name: string, remove: boolean, signal: AbortSignal): Promise<void> {
    return this.#change("link down", signal, () => this.world.takeLinkDown(name, remove));
  }

  addAddress(address: DesiredAddress, owner: HostOwner, signal: AbortSignal): Promise<void> {
    return this.#change("add address", signal, () => this.world.addAddress(address, owner));
  }

  removeAddress(address: ObservedAddress, signal: AbortSignal): Promise<void> {
    return this.#change("remove address", signal, () => this.world.removeAddress(address));
  }

  watch(handler: HostWatchHandler): HostWatch {
    this.#watches.add(handler);
    return { close: () => void this.#watches.delete(handler) };
  }

  close(): void {
    this.#closed = true;
    this.#watches.clear();
  }

  async #run<T>(name: string, signal: AbortSignal, act: () => T): Promise<T> {
    if (this.#closed) throw new SocketError(name, ERRNO.EBADF);
    await nextLoopTurn();
    throwIfAborted(signal, name);
    return act();
  }

  async #change(name: string, signal: AbortSignal, act: () => void): Promise<void> {
    await this.#run(name, signal, () => undefined);
    await this.change(act);
  }

  #routeTo(address: string): RouteFact | undefined {
    const { addresses } = this.world.observe([]);
    if (addresses.some((a) => a.address === address)) {
      return { local: true, onLink: true, interfaceName: "lo" };
    }
    const [best] = this.#routes
      .filter(({ prefix }) => prefixContains(parseIpPrefix(prefix), address))
      .sort((a, b) => parseIpPrefix(b.prefix).prefixLength - parseIpPrefix(a.prefix).prefixLength);
    if (best === undefined) return undefined;
    const { interfaceName, gateway = false } = best;
    return { local: false, onLink: !gateway, interfaceName };
  }
}
