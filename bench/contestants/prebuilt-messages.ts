/**
 * The messages that the C program sends, for packages that frame messages themselves: they are
 * spared all encoding, so that only their transport is measured.
 */
import { readFileSync } from "node:fs";
import { endianness } from "node:os";

export interface PrebuiltMessage {
  /** The family's number. */
  readonly type: number;
  /** What follows the netlink header. */
  readonly payload: Buffer;
}

const HEADER_BYTES = 16;

/** Reads what `floor messages` wrote. */
export function readMessages(file: string): readonly PrebuiltMessage[] {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = endianness() === "LE"; // netlink speaks the machine's own byte order
  const messages: PrebuiltMessage[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, little);
    const type = view.getUint16(at + 4, little);
    messages.push({ type, payload: bytes.subarray(at + HEADER_BYTES, at + length) });
    at += length;
  }
  return messages;
}

/** Sends nothing that changes a table: the kernel acknowledges it, and the code gets warm. */
export const NOOP_TYPE = 1;
/** Rehearsals before the measured run. */
export const REHEARSALS = 2;
