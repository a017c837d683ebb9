/** Netlink speaks the machine's own byte order; `DataView` speaks big-endian unless told. */

/** Third argument of every `DataView` access to a host-order field. */
export const HOST_LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A view of exactly these bytes, also when they are a window of a larger buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The next multiple of four: netlink pads messages and attributes to it. */
export function align4(length: number): number {
  return (length + 3) & ~3;
}
