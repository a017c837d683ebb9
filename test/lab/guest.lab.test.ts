import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { guestDirectory } from "./guest.ts";
import { defaultKernel, findKernel } from "./kernel.ts";
import { PROJECT_ROOT } from "./paths.ts";
import { GUEST_DIED, runInGuest, type RunOptions, type RunResult } from "./run.ts";
import { endSession, execInSession, sessionIsUp, startSession } from "./session.ts";

const kernel = defaultKernel();

beforeEach((context) => {
  context.skip(findKernel(kernel) === undefined, "no kernel for a guest is cached");
});

interface Heard extends RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

async function guest(argv: readonly string[], options: Partial<RunOptions> = {}): Promise<Heard> {
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const result = await runInGuest({
    argv,
    cwd: PROJECT_ROOT,
    kernel,
    timeoutMs: 60_000,
    onStdout: (chunk) => stdout.push(chunk),
    onStderr: (chunk) => stderr.push(chunk),
    ...options,
  });
  const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString("utf8");
  return { ...result, stdout: text(stdout), stderr: text(stderr) };
}

describe("one command in a guest", { timeout: 60_000 }, () => {
  it("has its output kept apart and its exit code passed on", async () => {
    expect(await guest(["sh", "-c", "pwd; echo wrong >&2; exit 7"])).toEqual({
      exitCode: 7,
      stdout: `${PROJECT_ROOT}\n`,
      stderr: "wrong\n",
    });
  });

  it("gets words as they are, whatever they hold, and what it is given to read", async () => {
    const words = ["a b", "it's", '"$HOME"', "*", "\\", ""];
    const result = await guest(["sh", "-c", 'cat; printf "<%s>" "$@"', "sh", ...words], {
      stdin: Buffer.from("given\n"),
    });
    expect(result.stdout).toBe(`given\n${words.map((word) => `<${word}>`).join("")}`);
  });

  it("finds IPVS and the project's own Node", async () => {
    const script = "cat /proc/net/ip_vs; node --version";
    const result = await guest(["sh", "-c", script]);
    expect(result.stdout).toContain("IP Virtual Server version");
    expect(result.stdout).toContain(process.version);
  });

  it("leaves no trace on this machine but in the project and the mounted directories", async () => {
    const shared = mkdtempSync(join(tmpdir(), "lvs-lab-test-"));
    onTestFinished(() => rmSync(shared, { recursive: true }));
    const trace = join(tmpdir(), "lvs-lab-trace");
    const script = `echo x >/etc/lvs-lab-trace && echo x >${trace} && echo kept >${shared}/file`;
    expect(await guest(["sh", "-c", script], { mounts: [shared] })).toMatchObject({ exitCode: 0 });
    expect(existsSync("/etc/lvs-lab-trace")).toBe(false);
    expect(existsSync(trace)).toBe(false);
    expect(readFileSync(join(shared, "file"), "utf8")).toBe("kept\n");
  });

  it("is reported as dead, with its console, when the guest panics", async () => {
    const result = await guest(["sh", "-c", "echo c >/proc/sysrq-trigger; sleep 10"]);
    expect(result.exitCode).toBe(GUEST_DIED);
    expect(result.failure).toMatch(/without an exit code/);
    const log = /its console: (.*)$/.exec(result.failure ?? "")?.[1] ?? "";
    expect(readFileSync(log, "utf8")).toContain("panic");
  });

  it("is ended when its time is over, and when its caller gives up", async () => {
    expect(await guest(["sleep", "60"], { timeoutMs: 1_500 })).toMatchObject({
      exitCode: GUEST_DIED,
      failure: expect.stringContaining("not done after 1.5 s"),
    });
    const signal = AbortSignal.timeout(1_000);
    expect(await guest(["sleep", "60"], { signal })).toMatchObject({
      failure: expect.stringContaining("interrupted"),
    });
  });
});

describe("a lab that stays up", { timeout: 60_000 }, () => {
  it("keeps its state between commands and is gone after its end", async () => {
    const name = `test-${process.pid}`;
    onTestFinished(() => endSession(name));
    await startSession({ name, kernel });
    expect(sessionIsUp(name)).toBe(true);
    const run = (...argv: readonly string[]): Promise<number> =>
      execInSession(name, argv, { cwd: PROJECT_ROOT });
    expect(await run("ip", "netns", "add", "kept")).toBe(0);
    expect(await run("sh", "-c", "test -e /run/netns/kept && exit 9")).toBe(9);
    await expect(startSession({ name, kernel })).rejects.toThrow("is up already");
    await endSession(name);
    expect(sessionIsUp(name)).toBe(false);
    expect(existsSync(guestDirectory(name))).toBe(false);
    await expect(run("true")).rejects.toThrow("is up; start it with");
  });
});
