/**
 * Framing: messages inside datagrams, and the two control messages that end an exchange. Numbers
 * are those of uapi linux/netlink.h.
 */
import { forEachAttribute } from "./attributes.ts";
import { HOST_LITTLE_ENDIAN, align4, viewOf } from "./byte-order.ts";
import { readText } from "./codecs.ts";
import { WireFormatError } from "./errors.ts";
import { NLMSG_HEADER_BYTES } from "./writer.ts";

/** Protocols of `NetlinkTransport.open`. */
export const NETLINK_ROUTE = 0;
export const NETLINK_GENERIC = 16;

/** Request flags. */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_ECHO = 0x8;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** Answer flags. */
export const NLM_F_MULTI = 0x2;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

/** Control messages. */
export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_OVERRUN = 4;
/** First number that belongs to a family. */
export const NLMSG_MIN_TYPE = 16;

/** One message. `payload` is a window of the receive buffer: copy what must outlive the call. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly payload: Uint8Array;
}

/**
 * Visits the messages of a datagram in order.
 * @throws WireFormatError when the lengths do not add up
 */
export function forEachMessage(
  datagram: Uint8Array,
  visit: (message: NetlinkMessage) => void,
): void {
  const view = viewOf(datagram);
  let at = 0;
  while (at < datagram.length) {
    const left = datagram.length - at;
    if (left < NLMSG_HEADER_BYTES) {
      throw new WireFormatError("nlmsghdr", `${left} bytes where a header belongs`);
    }
    const length = view.getUint32(at, HOST_LITTLE_ENDIAN);
    if (length < NLMSG_HEADER_BYTES || length > left) {
      throw new WireFormatError("nlmsghdr", `a message of ${length} bytes in ${left}`);
    }
    visit({
      type: view.getUint16(at + 4, HOST_LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, HOST_LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, HOST_LITTLE_ENDIAN),
      portId: view.getUint32(at + 12, HOST_LITTLE_ENDIAN),
      payload: datagram.subarray(at + NLMSG_HEADER_BYTES, at + length),
    });
    at += align4(length);
  }
}

/** What an ack, an error or the end of a dump says. */
export interface KernelAnswer {
  /** Positive error number; 0 = success. */
  readonly errno: number;
  /** The kernel's own text; IPVS gives none for nested attributes. */
  readonly text: string | undefined;
  /** Offset in the request of the attribute that the text is about. */
  readonly attributeOffset: number | undefined;
}

const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;

/** Reads NLMSG_ERROR. @throws WireFormatError */
export function decodeError(message: NetlinkMessage): KernelAnswer {
  const { payload, flags } = message;
  const errno = readErrno(payload, "nlmsgerr");
  const view = viewOf(payload);
  if (payload.length < 4 + NLMSG_HEADER_BYTES) {
    throw new WireFormatError("nlmsgerr", `${payload.length} bytes without the request's header`);
  }
  // An error without CAP_ACK repeats the whole request; a success never does.
  const repeated = errno !== 0 && (flags & NLM_F_CAPPED) === 0;
  const requestBytes = repeated ? view.getUint32(4, HOST_LITTLE_ENDIAN) : NLMSG_HEADER_BYTES;
  if (requestBytes > payload.length - 4) {
    throw new WireFormatError("nlmsgerr", `a request of ${requestBytes} bytes in the answer`);
  }
  return { errno, ...readExtAck(message, 4 + align4(requestBytes)) };
}

/** Reads NLMSG_DONE; one without a status is a success. @throws WireFormatError */
export function decodeDone(message: NetlinkMessage): KernelAnswer {
  if (message.payload.length === 0) {
    return { errno: 0, text: undefined, attributeOffset: undefined };
  }
  return { errno: readErrno(message.payload, "NLMSG_DONE"), ...readExtAck(message, 4) };
}

function readErrno(payload: Uint8Array, name: string): number {
  if (payload.length < 4)
    throw new WireFormatError(name, `${payload.length} bytes without a status`);
  const status = viewOf(payload).getInt32(0, HOST_LITTLE_ENDIAN);
  // A dump may end with a positive "more was written" count, which is no error.
  return status < 0 ? -status : 0;
}

function readExtAck(message: NetlinkMessage, start: number): Omit<KernelAnswer, "errno"> {
  let text: string | undefined;
  let attributeOffset: number | undefined;
  const { payload } = message;
  if ((message.flags & NLM_F_ACK_TLVS) !== 0) {
    const view = viewOf(payload);
    const range = { start, end: payload.length, name: "NLMSGERR_ATTR" };
    forEachAttribute(view, range, (type, offset, length) => {
      if (type === NLMSGERR_ATTR_MSG) text = readText(view, offset, length);
      if (type === NLMSGERR_ATTR_OFFS && length === 4) {
        attributeOffset = view.getUint32(offset, HOST_LITTLE_ENDIAN);
      }
    });
  }
  return { text, attributeOffset };
}
