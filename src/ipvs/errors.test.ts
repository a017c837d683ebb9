import { describe, expect, it } from "vitest";
import type { IpvsCommand } from "./client.ts";
import { describeCommand, explainRefusal, rejected, serviceOf } from "./errors.ts";
import { aDestination, anIdentity, aService } from "./testing/builders.ts";

const identity = anIdentity();
const destination = aDestination();
const service = aService({ scheduler: "mh" });
const timeouts = { tcpSeconds: 1, tcpFinSeconds: undefined, udpSeconds: undefined };
const daemon = {
  role: "master",
  interfaceName: "eth0",
  syncId: 1,
  maxMessageBytes: undefined,
  multicastGroup: undefined,
  multicastPort: undefined,
  multicastTtl: undefined,
} as const;

describe("explainRefusal", () => {
  const rows: readonly (readonly [string, IpvsCommand, string, string])[] = [
    ["EEXIST", { op: "create-service", service }, "stale", "service exists"],
    ["EEXIST", { op: "create-destination", identity, destination }, "stale", "destination exists"],
    ["EEXIST", { op: "start-daemon", daemon }, "stale", "daemon exists"],
    [
      "ESRCH",
      { op: "update-destination", identity, destination },
      "stale",
      "service does not exist",
    ],
    ["ESRCH", { op: "stop-daemon", role: "master" }, "stale", "daemon does not run"],
    [
      "ENOENT",
      { op: "delete-destination", identity, destination },
      "stale",
      "destination does not",
    ],
    ["ENOENT", { op: "create-service", service }, "missing-module", "ip_vs_mh"],
    ["ENOENT", { op: "zero", identity }, "invalid", "not found"],
    ["EINVAL", { op: "create-destination", identity, destination }, "invalid", "GUE"],
    ["EINVAL", { op: "update-service", service }, "invalid", "netmask"],
    ["EINVAL", { op: "start-daemon", daemon }, "invalid", "multicast"],
    ["EINVAL", { op: "set-timeouts", timeouts }, "invalid", "range"],
    ["ERANGE", { op: "create-destination", identity, destination }, "invalid", "threshold"],
    ["EAFNOSUPPORT", { op: "create-service", service }, "invalid", "family"],
    ["EPERM", { op: "zero", identity }, "unavailable", "CAP_NET_ADMIN"],
    ["ENOPROTOOPT", { op: "create-service", service }, "unavailable", "unloaded"],
    ["EOPNOTSUPP", { op: "zero", identity }, "invalid", "does not know"],
    ["ENODEV", { op: "start-daemon", daemon }, "transient", "interface"],
    ["EBUSY", { op: "zero", identity }, "transient", "busy"],
    ["ENOMEM", { op: "zero", identity }, "transient", "memory"],
    ["E999", { op: "zero", identity }, "invalid", "unexpected"],
  ];

  it.each(rows)("says for %s what it means", (errno, command, kind, words) => {
    const refusal = explainRefusal(command, errno);
    expect(refusal.kind).toBe(kind);
    expect(refusal.meaning).toContain(words);
  });

  it("names the persistence engine beside the scheduler, and no scheduler for none", () => {
    const meaning = (over: object): string =>
      explainRefusal({ op: "create-service", service: aService(over) }, "ENOENT").meaning;
    expect(meaning({ persistenceEngine: "sip" })).toContain("ip_vs_wlc or ip_vs_pe_sip");
    expect(meaning({ scheduler: "none", persistenceEngine: "sip" })).toMatch(
      /module ip_vs_pe_sip$/,
    );
  });
});

describe("a command", () => {
  const rows: readonly (readonly [IpvsCommand, string])[] = [
    [{ op: "create-service", service }, "create-service TCP 192.0.2.10:80"],
    [{ op: "delete-service", identity }, "delete-service TCP 192.0.2.10:80"],
    [
      { op: "delete-destination", identity, destination },
      "delete-destination 192.0.2.21:80 of TCP 192.0.2.10:80",
    ],
    [{ op: "zero", identity }, "zero TCP 192.0.2.10:80"],
    [{ op: "zero", identity: undefined }, "zero all"],
    [{ op: "set-timeouts", timeouts }, "set-timeouts"],
    [{ op: "start-daemon", daemon }, "start-daemon master"],
    [{ op: "stop-daemon", role: "backup" }, "stop-daemon backup"],
  ];

  it.each(rows)("is named in one line: %#", (command, text) => {
    expect(describeCommand(command)).toBe(text);
  });

  it("becomes an error that names it, its errno and the meaning", () => {
    const error = rejected({ op: "create-service", service }, "ENOENT");
    expect(error).toMatchObject({ code: "LVS_KERNEL_REJECTED", errno: "ENOENT" });
    expect(error.message).toBe(
      "create-service TCP 192.0.2.10:80: ENOENT (the kernel has no module ip_vs_mh)",
    );
  });

  it("belongs to a service or to the whole namespace", () => {
    expect(serviceOf({ op: "update-service", service })).toBe(service.identity);
    expect(serviceOf({ op: "zero", identity })).toBe(identity);
    expect(serviceOf({ op: "set-timeouts", timeouts })).toBeUndefined();
  });
});
