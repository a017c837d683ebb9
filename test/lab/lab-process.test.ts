import { describe, expect, it } from "vitest";
import { execCommand, LabCommandError, LabProcess } from "./lab-process.ts";

describe("a command that runs to its end", () => {
  it("gives its output apart, with what it was given to read", async () => {
    const result = await execCommand(["sh", "-c", "cat; echo wrong >&2"], { input: "given" });
    expect(result).toEqual({ code: 0, signal: undefined, stdout: "given", stderr: "wrong\n" });
  });

  it("throws with what it said when it fails, unless that is expected", async () => {
    const failing = ["sh", "-c", "echo no such thing >&2; exit 3"];
    await expect(execCommand(failing)).rejects.toThrow(LabCommandError);
    await expect(execCommand(failing)).rejects.toThrow(/exit code 3\nno such thing/);
    expect(await execCommand(failing, { check: false })).toMatchObject({ code: 3 });
  });

  it("is killed when its time is over", async () => {
    const result = await execCommand(["sleep", "30"], { timeoutMs: 100, check: false });
    expect(result).toMatchObject({ code: undefined, signal: "SIGKILL" });
  });

  it("cannot be a program that does not exist", async () => {
    await expect(execCommand(["/does/not/exist"])).rejects.toThrow("ENOENT");
    await expect(LabProcess.start("none", ["/does/not/exist"])).rejects.toThrow("ENOENT");
  });
});

describe("a process that goes on", () => {
  it("keeps its lines in the order of arrival, and waits for one", async () => {
    const echo = await LabProcess.start("echo", ["sh", "-c", "while read x; do echo got $x; done"]);
    echo.write("one\n");
    expect(await echo.waitForLine(/^got/)).toBe("got one");
    echo.write("two\n");
    expect(await echo.waitForLine(/^got/, 10_000, 1)).toBe("got two");
    echo.closeInput();
    expect(await echo.exited).toEqual({ code: 0, signal: undefined });
    expect(echo.lines).toEqual(["got one", "got two"]);
  });

  it("shows its output when a line does not come", async () => {
    const quiet = await LabProcess.start("quiet", ["sh", "-c", "echo something else; sleep 30"]);
    await expect(quiet.waitForLine(/never/, 200)).rejects.toThrow(
      /quiet: no line \/never\/ within 200 ms:\nsomething else/,
    );
    expect(await quiet.stop()).toEqual({ code: undefined, signal: "SIGTERM" });
    await expect(quiet.waitForLine(/never/)).rejects.toThrow("before it ended");
  });

  it("has ended when it has, although what it started lives on", { timeout: 10_000 }, async () => {
    const script = "sleep 20 & echo $!; exit 4";
    const parent = await LabProcess.start("parent", ["sh", "-c", script]);
    expect(await parent.exited).toEqual({ code: 4, signal: undefined });
    process.kill(Number(parent.lines[0]));
  });

  it("is killed when it does not stop when asked", async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    const stubborn = await LabProcess.start("stubborn", ["sh", "-c", script]);
    await stubborn.waitForLine(/ready/);
    expect(await stubborn.stop(100)).toEqual({ code: undefined, signal: "SIGKILL" });
    expect(stubborn.end).toEqual({ code: undefined, signal: "SIGKILL" });
  });
});
