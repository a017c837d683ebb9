/**
 * Builds netlink messages one after the other in one growing buffer, without an object per
 * attribute. The hot path (thousands of IPVS commands) uses it directly; attribute tables
 * (`attributes.ts`) write through it.
 *
 *     writer.begin(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK, sequence);
 *     writer.u8(AF_INET); …                       // the family's fixed header
 *     writer.attrU32(IFA_FLAGS, IFA_F_NOPREFIXROUTE);
 *     const info = writer.nest(IFLA_LINKINFO);    // or nest(type | NLA_F_NESTED)
 *     writer.attrString(IFLA_INFO_KIND, "ipip");
 *     writer.endNest(info);
 *     writer.end();
 *
 * A value outside its field's range is a bug of ours and throws RangeError. Lengths are set and
 * padded here and nowhere else: a wrong one makes the kernel drop the rest of a batch silently.
 */
import { HOST_LITTLE_ENDIAN, align4 } from "./byte-order.ts";

/** Bytes of a message header and of an attribute header. */
export const NLMSG_HEADER_BYTES = 16;
export const NLA_HEADER_BYTES = 4;
const NO_MESSAGE = -1;
const encoder = new TextEncoder();

export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  #message = NO_MESSAGE;

  /** @param capacityBytes initial size; grows by doubling and never shrinks */
  constructor(capacityBytes = 32 * 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The whole buffer; the first `length` bytes count. Replaced when it grows. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets everything written and keeps the memory. */
  reset(): void {
    this.#length = 0;
    this.#message = NO_MESSAGE;
  }

  /** Starts a message. @returns its offset, for `orFlags` */
  begin(type: number, flags: number, sequence: number): number {
    if (this.#message !== NO_MESSAGE) throw new Error("the message before has no end");
    const at = this.#grow(NLMSG_HEADER_BYTES);
    this.#view.setUint16(at + 4, type, HOST_LITTLE_ENDIAN);
    this.#view.setUint16(at + 6, flags, HOST_LITTLE_ENDIAN);
    this.#view.setUint32(at + 8, sequence, HOST_LITTLE_ENDIAN);
    // Port 0: the kernel fills in the sender's own.
    this.#view.setUint32(at + 12, 0, HOST_LITTLE_ENDIAN);
    this.#message = at;
    return at;
  }

  /** Ends the message: sets its length, which is a multiple of four by then. */
  end(): void {
    if (this.#message === NO_MESSAGE) throw new Error("no message was begun");
    this.#pad();
    this.#view.setUint32(this.#message, this.#length - this.#message, HOST_LITTLE_ENDIAN);
    this.#message = NO_MESSAGE;
  }

  /** Sets flags of an ended message, for example NLM_F_ACK on the last of a batch. */
  orFlags(messageOffset: number, flags: number): void {
    const before = this.#view.getUint16(messageOffset + 6, HOST_LITTLE_ENDIAN);
    this.#view.setUint16(messageOffset + 6, before | flags, HOST_LITTLE_ENDIAN);
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#view.setUint8(at, checkUint(value, 0xff));
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, checkUint(value, 0xffff), HOST_LITTLE_ENDIAN);
  }

  u16be(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, checkUint(value, 0xffff), false);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, checkUint(value, 0xffffffff), HOST_LITTLE_ENDIAN);
  }

  u32be(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, checkUint(value, 0xffffffff), false);
  }

  i32(value: number): void {
    if ((value | 0) !== value) throw new RangeError(`${value} is not a signed 32-bit number`);
    const at = this.#grow(4);
    this.#view.setInt32(at, value, HOST_LITTLE_ENDIAN);
  }

  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) {
      throw new RangeError(`${value} is not an unsigned 64-bit number`);
    }
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, HOST_LITTLE_ENDIAN);
  }

  /** Copies bytes as they are, without padding. */
  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  zeros(count: number): void {
    const at = this.#grow(count);
    this.#bytes.fill(0, at, at + count);
  }

  /** UTF-8 text and its final NUL. @throws RangeError when the text holds a NUL itself */
  text(text: string): void {
    const start = this.#length;
    const at = this.#grow(text.length + 1);
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit === 0) throw new RangeError("text may not hold a NUL");
      if (unit > 0x7f) {
        this.#length = start;
        this.#textUtf8(text);
        return;
      }
      this.#bytes[at + i] = unit;
    }
    this.#bytes[at + text.length] = 0;
  }

  /**
   * Starts an attribute whose payload the caller writes next; for containers too.
   * @param type number, with NLA_F_NESTED where the family wants it
   * @returns a token for `endNest`
   */
  nest(type: number): number {
    const at = this.#grow(NLA_HEADER_BYTES);
    this.#view.setUint16(at + 2, checkUint(type, 0xffff), HOST_LITTLE_ENDIAN);
    return at;
  }

  /** Ends the attribute: sets its length and pads. */
  endNest(token: number): void {
    const length = checkUint(this.#length - token, 0xffff);
    this.#view.setUint16(token, length, HOST_LITTLE_ENDIAN);
    this.#pad();
  }

  attrU8(type: number, value: number): void {
    const at = this.#attr(type, 1);
    this.#view.setUint8(at, checkUint(value, 0xff));
  }

  attrU16(type: number, value: number): void {
    const at = this.#attr(type, 2);
    this.#view.setUint16(at, checkUint(value, 0xffff), HOST_LITTLE_ENDIAN);
  }

  attrU16be(type: number, value: number): void {
    const at = this.#attr(type, 2);
    this.#view.setUint16(at, checkUint(value, 0xffff), false);
  }

  attrU32(type: number, value: number): void {
    const at = this.#attr(type, 4);
    this.#view.setUint32(at, checkUint(value, 0xffffffff), HOST_LITTLE_ENDIAN);
  }

  attrU32be(type: number, value: number): void {
    const at = this.#attr(type, 4);
    this.#view.setUint32(at, checkUint(value, 0xffffffff), false);
  }

  attrBytes(type: number, bytes: Uint8Array): void {
    const at = this.#attr(type, bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** UTF-8 text with its final NUL, as the kernel wants names. */
  attrString(type: number, text: string): void {
    const token = this.nest(type);
    this.text(text);
    this.endNest(token);
  }

  #textUtf8(text: string): void {
    const bytes = encoder.encode(text);
    if (bytes.includes(0)) throw new RangeError("text may not hold a NUL");
    this.raw(bytes);
    this.u8(0);
  }

  /** Header and padding of an attribute of known size. @returns offset of its payload */
  #attr(type: number, payloadBytes: number): number {
    const length = checkUint(NLA_HEADER_BYTES + payloadBytes, 0xffff);
    const at = this.#grow(align4(length));
    this.#view.setUint16(at, length, HOST_LITTLE_ENDIAN);
    this.#view.setUint16(at + 2, checkUint(type, 0xffff), HOST_LITTLE_ENDIAN);
    if ((length & 3) !== 0) this.#view.setUint32(this.#length - 4, 0);
    return at + NLA_HEADER_BYTES;
  }

  #pad(): void {
    const missing = align4(this.#length) - this.#length;
    if (missing > 0) this.zeros(missing);
  }

  /** Reserves bytes. @returns their offset */
  #grow(count: number): number {
    const at = this.#length;
    const length = at + count;
    if (length > this.#bytes.length) this.#resize(length);
    this.#length = length;
    return at;
  }

  #resize(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

function checkUint(value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new RangeError(`${value} is not an integer from 0 to ${max}`);
}
