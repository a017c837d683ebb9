/** One wire in memory, with neighbours that answer. */
import { ERRNO } from "../../netlink/errno.ts";
import type { LinkBinding, LinkFrame, LinkSocket, LinkTransport } from "../../netlink/transport.ts";

/** A frame that somebody sent. */
export interface SentFrame {
  readonly etherType: number;
  readonly payload: Uint8Array;
  readonly destination: Uint8Array;
}

/** Answers a frame of ours; null = silence. */
export type Neighbour = (frame: SentFrame, number: number) => Partial<LinkFrame> | null;

/** Opens sockets on the wire; records what was sent and which are still open. */
export class FakeLink implements LinkTransport {
  readonly sent: SentFrame[] = [];
  openSockets = 0;
  /** -errno that sends are answered with; 0 = they succeed. */
  sendError = 0;
  readonly #neighbour: Neighbour;

  constructor(neighbour: Neighbour = () => null) {
    this.#neighbour = neighbour;
  }

  openLink(binding: LinkBinding): LinkSocket {
    this.openSockets += 1;
    const queue: LinkFrame[] = [];
    let wake: (() => void) | null = null;
    let open = true;
    return {
      send: (payload, destination) => {
        if (!open) return -ERRNO.EBADF;
        if (this.sendError !== 0) return this.sendError;
        const frame = { etherType: binding.etherType, payload, destination };
        this.sent.push(frame);
        const answer = this.#neighbour(frame, this.sent.length);
        if (answer !== null) queue.push(received(binding, answer));
        if (answer !== null) setImmediate(() => wake?.());
        return payload.length;
      },
      receive: () => (queue.length === 0 ? -ERRNO.EAGAIN : queue.splice(0)),
      joinMulticast: () => 0,
      watch: (onReadable) => {
        wake = onReadable;
      },
      close: () => {
        if (open) this.openSockets -= 1;
        open = false;
      },
    };
  }
}

function received(binding: LinkBinding, frame: Partial<LinkFrame>): LinkFrame {
  return {
    payload: new Uint8Array(),
    truncated: false,
    interfaceIndex: binding.interfaceIndex,
    etherType: binding.etherType,
    delivery: "broadcast",
    source: Uint8Array.of(2, 0, 0, 0, 0, 9),
    ...frame,
  };
}
