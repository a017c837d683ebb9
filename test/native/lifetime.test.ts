import { describe, expect, it } from "vitest";
import { runProgram } from "./run-program.ts";

describe("the addon", { timeout: 110_000 }, () => {
  it("closes every socket that is forgotten", async () => {
    await expect(runProgram("garbage")).resolves.toEqual({
      opened: 2000,
      most: expect.any(Number),
      left: 0,
    });
  });

  it("closes the sockets of a worker however it ends, and the process lives", async () => {
    await expect(runProgram("workers")).resolves.toEqual({ ended: 24, left: 0 });
  });

  it("answers 10,000 wrong calls with a number or TypeError and leaks no descriptor", async () => {
    const result = await runProgram("misuse", ["10000"]);
    expect(result).toEqual({ calls: 10_000, refused: expect.any(Number), left: 0 });
    expect(result["refused"]).toBeGreaterThan(1000);
  });
});
