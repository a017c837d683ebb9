/** IPv4 text as a number, without the cost of the full parser: encoding runs it very often. */

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Value of a canonical IPv4 address, 0..2^32-1; undefined for any other text, whose error is the
 * full parser's to name.
 */
export function checkedIpv4Value(text: string): number | undefined {
  let address = 0;
  let dots = 0;
  let digits = 0;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (!isPart(part, digits)) return undefined;
      address = address * 256 + part;
      dots += 1;
      digits = 0;
      part = 0;
    } else {
      if (code < ZERO || code > NINE) return undefined;
      part = part * 10 + code - ZERO;
      digits += 1;
    }
  }
  return dots === 3 && isPart(part, digits) ? address * 256 + part : undefined;
}

/** A byte, written without leading zeros. */
function isPart(value: number, digits: number): boolean {
  if (digits === 1) return true;
  return digits === 2 ? value >= 10 : digits === 3 && value >= 100 && value <= 255;
}
