/**
 * Payloads of attributes, in both directions. Byte order and width are in the name; the size is
 * checked on the way in, the range on the way out. Reading arbitrary bytes returns a value or
 * throws WireFormatError, nothing else.
 */
import { formatIp, parseIp } from "../lib/ip-address.ts";
import { HOST_LITTLE_ENDIAN } from "./byte-order.ts";
import { WireFormatError } from "./errors.ts";
import type { MessageWriter } from "./writer.ts";

/** One payload format. */
export interface Codec<T> {
  /** Appends the payload, without header and padding. @throws RangeError on a value out of range */
  write(writer: MessageWriter, value: T): void;
  /**
   * @param length bytes from `offset` on; the caller guarantees that they are inside the view
   * @param attribute kernel name, for the error
   * @throws WireFormatError
   */
  read(view: DataView, offset: number, length: number, attribute: string): T;
  /** Bits that go into the attribute's type on the way out, for example NLA_F_NESTED. */
  readonly typeFlags?: number;
}

/** Unsigned 8-bit. */
export const u8: Codec<number> = {
  write: (writer, value) => writer.u8(value),
  read(view, offset, length, attribute) {
    assertLength(length, 1, attribute);
    return view.getUint8(offset);
  },
};

/** Unsigned 16-bit, host order. */
export const u16: Codec<number> = {
  write: (writer, value) => writer.u16(value),
  read(view, offset, length, attribute) {
    assertLength(length, 2, attribute);
    return view.getUint16(offset, HOST_LITTLE_ENDIAN);
  },
};

/** Unsigned 16-bit, network order: ports. */
export const u16be: Codec<number> = {
  write: (writer, value) => writer.u16be(value),
  read(view, offset, length, attribute) {
    assertLength(length, 2, attribute);
    return view.getUint16(offset, false);
  },
};

/** Unsigned 32-bit, host order. */
export const u32: Codec<number> = {
  write: (writer, value) => writer.u32(value),
  read(view, offset, length, attribute) {
    assertLength(length, 4, attribute);
    return view.getUint32(offset, HOST_LITTLE_ENDIAN);
  },
};

/** Unsigned 32-bit, network order. */
export const u32be: Codec<number> = {
  write: (writer, value) => writer.u32be(value),
  read(view, offset, length, attribute) {
    assertLength(length, 4, attribute);
    return view.getUint32(offset, false);
  },
};

/** Signed 32-bit, host order. */
export const i32: Codec<number> = {
  write: (writer, value) => writer.i32(value),
  read(view, offset, length, attribute) {
    assertLength(length, 4, attribute);
    return view.getInt32(offset, HOST_LITTLE_ENDIAN);
  },
};

/** Unsigned 64-bit, host order; the kernel does not promise eight-byte alignment. */
export const u64: Codec<bigint> = {
  write: (writer, value) => writer.u64(value),
  read(view, offset, length, attribute) {
    assertLength(length, 8, attribute);
    return view.getBigUint64(offset, HOST_LITTLE_ENDIAN);
  },
};

/** An attribute without payload: there or not. Reads as true; leave it out for false. */
export const flag: Codec<true> = {
  write: () => undefined,
  read(_view, _offset, length, attribute) {
    assertLength(length, 0, attribute);
    return true;
  },
};

/**
 * Text with a final NUL. Reads up to the first NUL, or all when there is none.
 * @param maxBytes including the NUL, as the kernel's policy counts
 */
export function cString(maxBytes: number): Codec<string> {
  return {
    write(writer, value) {
      const before = writer.length;
      writer.text(value);
      const bytes = writer.length - before;
      if (bytes > maxBytes) {
        throw new RangeError(`"${value}" needs ${bytes} bytes, at most ${maxBytes} fit`);
      }
    },
    read(view, offset, length, attribute) {
      if (length > maxBytes) {
        throw new WireFormatError(
          attribute,
          `${length} bytes of text, at most ${maxBytes} expected`,
        );
      }
      return readText(view, offset, length);
    },
  };
}

/** Exactly `size` bytes; what was read is a copy. */
export function rawBytes(size: number): Codec<Uint8Array> {
  return {
    write(writer, value) {
      if (value.length !== size) throw new RangeError(`${value.length} bytes instead of ${size}`);
      writer.raw(value);
    },
    read(view, offset, length, attribute) {
      assertLength(length, size, attribute);
      return copyOf(view, offset, length);
    },
  };
}

/** Any number of bytes; what was read is a copy. */
export const anyBytes: Codec<Uint8Array> = {
  write: (writer, value) => writer.raw(value),
  read: (view, offset, length) => copyOf(view, offset, length),
};

/**
 * An address of 4 or 16 network-order bytes where the family is in another attribute. IPVS answers
 * 16 for IPv4 too (the first 4 count), so the reader of the whole object cuts.
 */
export const inetAddress: Codec<Uint8Array> = {
  write(writer, value) {
    if (value.length !== 4 && value.length !== 16) {
      throw new RangeError(`an address of ${value.length} bytes`);
    }
    writer.raw(value);
  },
  read(view, offset, length, attribute) {
    assertAddressLength(length, attribute);
    return copyOf(view, offset, length);
  },
};

/** An address whose length tells its family (rtnetlink): canonical text, see lib/ip-address.ts. */
export const ipAddress: Codec<string> = {
  write: (writer, value) => writer.raw(parseIp(value)),
  read(view, offset, length, attribute) {
    assertAddressLength(length, attribute);
    return formatIp(new Uint8Array(view.buffer, view.byteOffset + offset, length));
  },
};

/** A flag word and the mask of the bits that it speaks about. */
export interface FlagsWithMask {
  readonly flags: number;
  readonly mask: number;
}

/** Two host-order u32: the value, then the mask. */
export const flagsWithMask: Codec<FlagsWithMask> = {
  write(writer, value) {
    writer.u32(value.flags);
    writer.u32(value.mask);
  },
  read(view, offset, length, attribute) {
    assertLength(length, 8, attribute);
    return {
      flags: view.getUint32(offset, HOST_LITTLE_ENDIAN),
      mask: view.getUint32(offset + 4, HOST_LITTLE_ENDIAN),
    };
  },
};

const decoder = new TextDecoder();

/** Text up to the first NUL. Bytes that are not UTF-8 become U+FFFD, never an error. */
export function readText(view: DataView, offset: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) {
    const byte = view.getUint8(offset + i);
    if (byte === 0) return text;
    if (byte > 0x7f) return readUtf8(view, offset, length);
    text += String.fromCharCode(byte);
  }
  return text;
}

function readUtf8(view: DataView, offset: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function copyOf(view: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length).slice();
}

function assertLength(length: number, expected: number, attribute: string): void {
  if (length !== expected) {
    throw new WireFormatError(attribute, `${length} bytes instead of ${expected}`);
  }
}

function assertAddressLength(length: number, attribute: string): void {
  if (length !== 4 && length !== 16) {
    throw new WireFormatError(attribute, `an address of ${length} bytes`);
  }
}
