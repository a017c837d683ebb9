/**
 * Route look-ups for many addresses: a hundred requests per send, because a director asks for every
 * real server at once. Each request is answered by a route or by an error; the last of a send also
 * by an ack, which ends the exchange.
 */
import { throwIfAborted } from "../lib/abort.ts";
import { NetlinkLostError } from "../netlink/errors.ts";
import { NLMSG_ERROR, NLM_F_ACK, NLM_F_REQUEST, type NetlinkMessage } from "../netlink/messages.ts";
import { type SessionOptions, SocketSession } from "../netlink/socket-session.ts";
import { TurnQueue } from "../netlink/turn-queue.ts";
import { MessageWriter } from "../netlink/writer.ts";
import { RTM_GETROUTE, RTM_NEWROUTE } from "./uapi.ts";
import { type WireRoute, decodeRoute, encodeRouteLookup } from "./address-wire.ts";

const NAME = "look up routes";
const REQUESTS_PER_SEND = 100;

export class RouteLookup {
  readonly #session: SocketSession;
  readonly #turns = new TurnQueue();
  readonly #writer = new MessageWriter();
  #sequence = 1;

  constructor(options: SessionOptions) {
    this.#session = new SocketSession(options);
  }

  /**
   * The route to each address; absent = the kernel has none that carries a packet.
   * @throws NetlinkLostError, SocketError, AbortedError, NativeMissingError
   */
  lookUp(
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, WireRoute>> {
    this.#session.assertOpen(NAME);
    return this.#turns.run(() => this.#lookUpAll(addresses, signal), signal, NAME);
  }

  /** Safe to call again. */
  close(): void {
    this.#session.close();
  }

  async #lookUpAll(
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, WireRoute>> {
    const routes = new Map<string, WireRoute>();
    for (let start = 0; start < addresses.length; start += REQUESTS_PER_SEND) {
      throwIfAborted(signal, NAME);
      const some = addresses.slice(start, start + REQUESTS_PER_SEND);
      try {
        await this.#exchange(some, routes, signal);
      } catch (error) {
        // An answer may still be on its way: no later exchange may see it.
        this.#session.drop();
        throw error;
      }
    }
    return routes;
  }

  async #exchange(
    addresses: readonly string[],
    routes: Map<string, WireRoute>,
    signal: AbortSignal,
  ): Promise<void> {
    const first = this.#encode(addresses);
    const last = addresses.length - 1;
    await this.#session.exchange({ name: NAME, signal }, this.#writer, (message) => {
      const index = message.sequence - first;
      const address = addresses[index];
      if (address === undefined) throw new NetlinkLostError(NAME, "confused");
      note(routes, address, message);
      return message.type === NLMSG_ERROR && index === last;
    });
  }

  /** @returns the sequence number of the first request */
  #encode(addresses: readonly string[]): number {
    if (this.#sequence > 0xffffffff - REQUESTS_PER_SEND) this.#sequence = 1;
    const first = this.#sequence;
    this.#sequence += addresses.length;
    this.#writer.reset();
    for (const [index, address] of addresses.entries()) {
      const ack = index === addresses.length - 1 ? NLM_F_ACK : 0;
      this.#writer.begin(RTM_GETROUTE, NLM_F_REQUEST | ack, first + index);
      encodeRouteLookup(this.#writer, address);
      this.#writer.end();
    }
    return first;
  }
}

function note(routes: Map<string, WireRoute>, address: string, message: NetlinkMessage): void {
  // An error says that there is no route, or one that refuses; the ack says nothing.
  if (message.type === NLMSG_ERROR) return;
  if (message.type !== RTM_NEWROUTE) throw new NetlinkLostError(NAME, "confused");
  const route = decodeRoute(message.payload);
  if (route !== undefined) routes.set(address, route);
}
