/** Speaks with the machines on the wire about VIPs: who has this address, and: I have it now. */
import { announceAddresses } from "../../host/announce.ts";
import { ownMacsOf, probeAddress, type ProbeVerdict } from "../../host/address-probe.ts";
import type { DesiredAddress, ObservedLink } from "../../host/model.ts";
import { isAbort } from "../../lib/abort.ts";
import type { Clock } from "../../lib/clock.ts";
import { toError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/logger.ts";
import type { LinkTransport } from "../../netlink/transport.ts";

export interface NeighbourOptions {
  readonly transport: LinkTransport;
  readonly clock: Clock;
  readonly log: Logger;
  /** The node's devices, as of now. */
  readonly links: (signal: AbortSignal) => Promise<readonly ObservedLink[]>;
}

export class Neighbours {
  readonly #options: NeighbourOptions;
  readonly #announcing = new Set<Promise<void>>();

  constructor(options: NeighbourOptions) {
    this.#options = options;
  }

  /**
   * Whether another machine answers for the address on its interface.
   * @throws Error when the interface is not there, or cannot be asked on
   */
  async probe(wanted: DesiredAddress, signal: AbortSignal): Promise<ProbeVerdict> {
    const { transport, clock } = this.#options;
    const links = await this.#options.links(signal);
    const link = links.find(({ name }) => name === wanted.interfaceName);
    if (link === undefined) throw new Error(`there is no interface ${wanted.interfaceName}`);
    const ownMacs = ownMacsOf(links);
    return probeAddress({ transport, clock, address: wanted.address, link, ownMacs }, signal);
  }

  /** Announces addresses that were bound just now, several times within a second or so. */
  announce(bound: readonly DesiredAddress[], signal: AbortSignal): void {
    const announcing = this.#announce(bound, signal).finally(() => {
      this.#announcing.delete(announcing);
    });
    this.#announcing.add(announcing);
  }

  /** Resolves when no announcement is under way. */
  async silent(): Promise<void> {
    await Promise.all(this.#announcing);
  }

  async #announce(bound: readonly DesiredAddress[], signal: AbortSignal): Promise<void> {
    const { transport, clock, log } = this.#options;
    try {
      const links = await this.#options.links(signal);
      const perLink = Map.groupBy(bound, ({ interfaceName }) => interfaceName);
      const announcements = [...perLink].map(async ([name, addresses]) => {
        const link = links.find((candidate) => candidate.name === name);
        if (link === undefined) return;
        const texts = addresses.map(({ address }) => address);
        await announceAddresses({ transport, clock, link, addresses: texts }, signal);
      });
      await Promise.all(announcements);
    } catch (thrown) {
      // Traffic moves all the same, as neighbours' caches expire; it only takes longer.
      if (!isAbort(thrown)) log.error({ err: toError(thrown) }, "vip could not be announced");
    }
  }
}
