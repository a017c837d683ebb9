import { constants } from "node:os";
import { describe, expect, it } from "vitest";
import { ERRNO, errnoName } from "./errno.ts";

describe("ERRNO", () => {
  it("agrees with every error number that Node knows on this machine", () => {
    const numbers: ReadonlyMap<string, number> = new Map(Object.entries(ERRNO));
    const disagreeing = Object.entries(constants.errno).filter(
      ([name, value]) => numbers.has(name) && numbers.get(name) !== value,
    );
    expect(disagreeing).toEqual([]);
    // Node also lists EWOULDBLOCK, ENOTSUP and the like: second names of numbers we have.
    const unnamed = Object.values(constants.errno).filter(
      (value) => errnoName(value) === `E${value}`,
    );
    expect(unnamed).toEqual([]);
  });

  it("has a name for 1 to 133 except the two gaps of the kernel's list", () => {
    const missing = Array.from({ length: 133 }, (_, i) => i + 1).filter(
      (value) => errnoName(value) === `E${value}`,
    );
    expect(missing).toEqual([41, 58]);
  });

  it("goes both ways", () => {
    for (const [name, value] of Object.entries(ERRNO)) expect(errnoName(value)).toBe(name);
  });
});
