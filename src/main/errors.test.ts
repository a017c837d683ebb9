import { describe, expect, it } from "vitest";
import { UsageError } from "../cli/command-line.ts";
import { LockHeldError } from "../host/errors.ts";
import { KernelUnavailableError } from "../ipvs/errors.ts";
import { KernelRejectedError } from "../netlink/errors.ts";
import { describeError, exitStatus } from "./errors.ts";

describe("exitStatus", () => {
  it.each([
    { error: new UsageError("no"), status: 2 },
    { error: new KernelUnavailableError("NoModule", "ENOENT"), status: 4 },
    { error: new LockHeldError("role director", undefined), status: 6 },
    { error: new KernelRejectedError("add", "EINVAL", ""), status: 5 },
    { error: new Error("any"), status: 5 },
  ])("is $status for $error.name", ({ error, status }) => {
    expect(exitStatus(error)).toBe(status);
  });
});

describe("describeError", () => {
  it("tells the causes", () => {
    const cause = new Error("middle", { cause: new Error("root") });
    expect(describeError(new Error("top", { cause }))).toBe(
      "top\n  because: middle\n  because: root",
    );
  });

  it.each([
    { reason: "NoModule", errno: "ENOENT", cure: "modprobe ip_vs" },
    { reason: "NoPermission", errno: "EPERM", cure: "CAP_NET_ADMIN" },
    { reason: "Unloading", errno: "ENOPROTOOPT", cure: "load it again" },
  ] as const)("says what to do about IPVS: $reason", ({ reason, errno, cure }) => {
    const text = describeError(new KernelUnavailableError(reason, errno));
    expect(text).toMatch(/\n {2}to do: /);
    expect(text).toContain(cure);
  });
});
