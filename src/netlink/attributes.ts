/**
 * Attributes as data: one table per kernel structure serves both directions, and the type of the
 * object follows from it. Keys are the kernel's names without the prefix, so that an error and a
 * search in the header agree.
 *
 *     const ADDRESS_ATTRS = attributeSet("IFA", {
 *       ADDRESS: required(1, ipAddress),
 *       LABEL: optional(3, cString(16)),
 *       FLAGS: optional(8, u32),
 *     });
 *     type AddressAttrs = AttributesOf<typeof ADDRESS_ATTRS>; // { ADDRESS: string; LABEL?: … }
 *
 *     ADDRESS_ATTRS.encode(writer, { ADDRESS: "192.0.2.1", FLAGS: 0x200 });
 *     const seen = ADDRESS_ATTRS.decode(message.payload, 8); // after the 8-byte ifaddrmsg
 *
 * Unknown attributes are skipped, of one that comes twice the last counts, a known one of a wrong
 * size throws. Decoding arbitrary bytes returns a value or throws WireFormatError.
 */
import { HOST_LITTLE_ENDIAN, align4, viewOf } from "./byte-order.ts";
import type { Codec } from "./codecs.ts";
import { WireFormatError } from "./errors.ts";
import { NLA_HEADER_BYTES, type MessageWriter } from "./writer.ts";

/** The payload is attributes itself. Optional for IPVS and most of rtnetlink, never set by IPVS. */
export const NLA_F_NESTED = 0x8000;
// Without NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const NLA_TYPE_MASK = 0x3fff;

/** One row of a table. */
export interface Field<T, IsRequired extends boolean> {
  readonly type: number;
  readonly codec: Codec<T>;
  readonly required: IsRequired;
}

/** The rows of a table by kernel name. */
export type Fields = Readonly<Record<string, Field<unknown, boolean>>>;

type RequiredKey<F extends Fields> = {
  [K in keyof F]: F[K]["required"] extends true ? K : never;
}[keyof F];

type ValueOf<R> = R extends Field<infer T, boolean> ? T : never;

/** The object a table describes. An optional key may also hold undefined, which means absent. */
export type Attributes<F extends Fields> = {
  readonly [K in RequiredKey<F>]: ValueOf<F[K]>;
} & {
  readonly [K in Exclude<keyof F, RequiredKey<F>>]?: ValueOf<F[K]> | undefined;
};

/** As `Attributes`, with every key optional: an identity, or one part of an object. */
export type PartialAttributes<F extends Fields> = {
  readonly [K in keyof F]?: ValueOf<F[K]> | undefined;
};

/** The object type of a table. */
export type AttributesOf<S> = S extends AttributeSet<infer F> ? Attributes<F> : never;

/** A table with its two directions. */
export interface AttributeSet<F extends Fields> {
  /** Appends the attributes in the order of the table. @throws RangeError naming the attribute */
  encode(writer: MessageWriter, values: Attributes<F>): void;
  /** As `encode`, and required ones may be missing. */
  encodePartial(writer: MessageWriter, values: PartialAttributes<F>): void;
  /** @param offset where the attributes begin, after the family's fixed header */
  decode(payload: Uint8Array, offset?: number): Attributes<F>;
  /** As `decode`, and required ones may be missing. */
  decodePartial(payload: Uint8Array, offset?: number): PartialAttributes<F>;
  /** As `decode` on a part of a view; for nesting. */
  decodeRange(view: DataView, start: number, end: number): Attributes<F>;
}

/** A row whose absence in a reply is an error. */
export function required<T>(type: number, codec: Codec<T>): Field<T, true> {
  return { type, codec, required: true };
}

/** A row that may be absent. */
export function optional<T>(type: number, codec: Codec<T>): Field<T, false> {
  return { type, codec, required: false };
}

/** @param prefix kernel prefix of the names, for example `IPVS_SVC_ATTR` */
export function attributeSet<F extends Fields>(prefix: string, fields: F): AttributeSet<F> {
  return new Table(prefix, fields);
}

/** A payload that is itself a table. @param typeFlags 0 where the family predates NLA_F_NESTED */
export function nested<F extends Fields>(
  set: AttributeSet<F>,
  typeFlags: number = NLA_F_NESTED,
): Codec<Attributes<F>> {
  return {
    typeFlags,
    write: (writer, value) => set.encode(writer, value),
    read: (view, offset, length) => set.decodeRange(view, offset, offset + length),
  };
}

/** As `nested`, where a part of the table is enough: the identity of an object. */
export function nestedPartial<F extends Fields>(
  set: AttributeSet<F>,
  typeFlags: number = NLA_F_NESTED,
): Codec<PartialAttributes<F>> {
  return {
    typeFlags,
    write: (writer, value) => set.encodePartial(writer, value),
    read: (view, offset, length) => set.decodePartial(bytesOf(view, offset, length)),
  };
}

/** A payload of attributes that are all the same table; their numbers are only an order. */
export function listOf<F extends Fields>(
  set: AttributeSet<F>,
  name: string,
): Codec<readonly Attributes<F>[]> {
  return {
    typeFlags: NLA_F_NESTED,
    write(writer, values) {
      values.forEach((value, index) => {
        const token = writer.nest((index + 1) | NLA_F_NESTED);
        set.encode(writer, value);
        writer.endNest(token);
      });
    },
    read(view, offset, length) {
      const values: Attributes<F>[] = [];
      forEachAttribute(view, { start: offset, end: offset + length, name }, (_type, at, size) => {
        values.push(set.decodeRange(view, at, at + size));
      });
      return values;
    },
  };
}

/** Part of a view that holds attributes; `name` goes into errors. */
export interface AttributeRange {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/**
 * Visits every attribute with its number (flag bits removed), payload offset and payload length.
 * @throws WireFormatError when lengths do not fit into one another
 */
export function forEachAttribute(
  view: DataView,
  range: AttributeRange,
  visit: (type: number, offset: number, length: number) => void,
): void {
  let at = range.start;
  while (at < range.end) {
    const left = range.end - at;
    if (left < NLA_HEADER_BYTES) {
      throw new WireFormatError(range.name, `${left} bytes where an attribute header belongs`);
    }
    const length = view.getUint16(at, HOST_LITTLE_ENDIAN);
    if (length < NLA_HEADER_BYTES || length > left) {
      throw new WireFormatError(range.name, `an attribute of ${length} bytes in ${left}`);
    }
    const type = view.getUint16(at + 2, HOST_LITTLE_ENDIAN) & NLA_TYPE_MASK;
    visit(type, at + NLA_HEADER_BYTES, length - NLA_HEADER_BYTES);
    at += align4(length);
  }
}

interface Row {
  readonly key: string;
  readonly name: string;
  readonly type: number;
  readonly headerType: number;
  readonly codec: Codec<unknown>;
  readonly required: boolean;
}

class Table<F extends Fields> implements AttributeSet<F> {
  readonly #prefix: string;
  readonly #rows: readonly Row[];
  readonly #byType: readonly (Row | undefined)[];

  constructor(prefix: string, fields: F) {
    this.#prefix = prefix;
    this.#rows = Object.entries(fields).map(([key, field]) => ({
      key,
      name: `${prefix}_${key}`,
      type: field.type,
      headerType: field.type | (field.codec.typeFlags ?? 0),
      codec: field.codec,
      required: field.required,
    }));
    const byType: (Row | undefined)[] = [];
    for (const row of this.#rows) {
      if (byType[row.type] !== undefined) throw new Error(`${row.name}: number used twice`);
      byType[row.type] = row;
    }
    this.#byType = Array.from(byType);
  }

  encode(writer: MessageWriter, values: Attributes<F>): void {
    this.#write(writer, values, true);
  }

  encodePartial(writer: MessageWriter, values: PartialAttributes<F>): void {
    this.#write(writer, values, false);
  }

  decode(payload: Uint8Array, offset = 0): Attributes<F> {
    return this.decodeRange(viewOf(payload), Math.min(offset, payload.length), payload.length);
  }

  decodePartial(payload: Uint8Array, offset = 0): PartialAttributes<F> {
    return this.#read(viewOf(payload), Math.min(offset, payload.length), payload.length);
  }

  decodeRange(view: DataView, start: number, end: number): Attributes<F> {
    const values = this.#read(view, start, end);
    for (const row of this.#rows) {
      if (row.required && !(row.key in values)) throw new WireFormatError(row.name, "missing");
    }
    // Every required key is there by the loop above, and #read makes values by the row's codec.
    return values as Attributes<F>;
  }

  #read(view: DataView, start: number, end: number): PartialAttributes<F> {
    const values: Record<string, unknown> = {};
    forEachAttribute(view, { start, end, name: this.#prefix }, (type, offset, length) => {
      const row = this.#byType[type];
      if (row === undefined) return;
      values[row.key] = row.codec.read(view, offset, length, row.name);
    });
    // Keys and value types come from the same rows that the type is made of.
    return values as PartialAttributes<F>;
  }

  #write(writer: MessageWriter, values: object, complete: boolean): void {
    // The parameter types of encode and encodePartial say that the keys are the table's.
    const byKey = values as Readonly<Record<string, unknown>>;
    for (const row of this.#rows) {
      const value = byKey[row.key];
      if (value !== undefined) writeAttribute(writer, row, value);
      else if (complete && row.required) throw new RangeError(`${row.name}: missing`);
    }
  }
}

function writeAttribute(writer: MessageWriter, row: Row, value: unknown): void {
  const token = writer.nest(row.headerType);
  try {
    row.codec.write(writer, value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`${row.name}: ${error.message}`, { cause: error });
  }
  writer.endNest(token);
}

function bytesOf(view: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length);
}
