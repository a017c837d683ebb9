import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";

import { parseObject, type ParseOutcome } from "./parse.ts";
import { REAL_SERVER_EXAMPLES, VIRTUAL_SERVICE_EXAMPLES } from "./v1alpha1/examples.ts";

const VIRTUAL_SERVICE = VIRTUAL_SERVICE_EXAMPLES.base;

function virtualService(spec: object, rest: object = {}): object {
  return { ...VIRTUAL_SERVICE, spec: { ...VIRTUAL_SERVICE.spec, ...spec }, ...rest };
}

function realServer(spec: object): object {
  return { ...REAL_SERVER_EXAMPLES.base, spec };
}

/** `path: message` of each problem. */
function complaints(outcome: ParseOutcome): readonly string[] {
  return (outcome.problems ?? []).map(({ path, message }) => `${path}: ${message}`);
}

describe("parseObject", () => {
  it("applies every default of a VirtualService", () => {
    const outcome = parseObject({
      ...VIRTUAL_SERVICE,
      metadata: { name: "web" },
      spec: {
        ...VIRTUAL_SERVICE.spec,
        scheduler: "sh",
        hashing: {},
        persistence: {},
        forwarding: { method: "TUN", tunnel: {} },
        backends: [{ type: "Servers", servers: [{ address: "192.0.2.81" }] }],
      },
    });
    expect(outcome.ok).toEqual({
      apiVersion: "lvs-operator.io/v1alpha1",
      kind: "VirtualService",
      metadata: { name: "web", namespace: "default" },
      spec: {
        directorGroupName: "default",
        enforcement: "Enforce",
        addresses: [{ name: "main", ip: "192.0.2.80" }],
        ports: [{ port: 80, protocol: "TCP", onePacketScheduling: "Disabled" }],
        scheduler: "sh",
        hashing: { key: "SourceAddress", fallback: "Enabled" },
        forwarding: { method: "TUN", tunnel: { type: "IPIP" } },
        persistence: { timeoutSeconds: 300, ipv4PrefixLength: 32, ipv6PrefixLength: 128 },
        backends: [
          {
            name: "main",
            type: "Servers",
            servers: [{ address: "192.0.2.81", port: 0, weight: 1 }],
          },
        ],
        drain: { timeoutSeconds: 300, whenExpired: "Remove" },
      },
    });
  });

  it("applies every default of a RealServer", () => {
    expect(parseObject(realServer({ address: "192.0.2.81" })).ok?.spec).toEqual({
      address: "192.0.2.81",
      port: 0,
      weight: 1,
      adminState: "Enabled",
    });
  });

  it("takes an object as the API server gives it, and leaves out its status", () => {
    const outcome = parseObject(
      virtualService(
        {},
        {
          metadata: {
            ...VIRTUAL_SERVICE.metadata,
            uid: "7f6a",
            generation: 3,
            resourceVersion: "12",
            creationTimestamp: "2026-11-21T10:00:00Z",
            managedFields: [{ manager: "kubectl" }],
          },
          status: { observedGeneration: 3, conditions: [] },
        },
      ),
    );
    expect(outcome.ok?.metadata).toEqual({
      name: "web",
      namespace: "shop",
      uid: "7f6a",
      generation: 3,
      creationTimestamp: "2026-11-21T10:00:00Z",
    });
    expect(outcome.ok).not.toHaveProperty("status");
  });

  it("treats a field without a value as absent, as the API server does", () => {
    const outcome = parseObject(
      virtualService({ drain: null, persistence: null, scheduler: null }),
    );
    expect(outcome.ok?.spec).toMatchObject({ scheduler: "wlc", drain: { timeoutSeconds: 300 } });
    expect(outcome.ok?.spec).not.toHaveProperty("persistence");
    expect(complaints(parseObject(virtualService({ helth: null })))).toEqual([
      "spec.helth: unknown field `helth`",
    ]);
  });

  it("does not change its input", () => {
    const raw = Object.freeze(virtualService({ drain: null, schedular: "rr" }));
    const copy = structuredClone(raw);
    parseObject(raw);
    expect(raw).toEqual(copy);
  });

  it("lists all problems of an object, of every sort, at once", () => {
    const outcome = parseObject({
      ...virtualService({
        schedular: "rr",
        method: "DR",
        scheduler: "wcl",
        addresses: [{ ip: "192.0.2.080" }],
        ports: [{ port: "80" }, { port: 70_000, endPort: 4 }],
        forwarding: { method: "DR", tunnel: { type: "IPIP" } },
        backends: [{ type: "Servers", servers: [{ address: "192.0.2.81", weigth: 3 }] }, null],
      }),
      metadata: { name: "Web" },
      statuss: {},
    });
    expect(complaints(outcome)).toEqual([
      "spec.backends[0].servers[0].weigth: unknown field `weigth`, did you mean `weight`?",
      "spec.schedular: unknown field `schedular`, did you mean `scheduler`?",
      "spec.method: unknown field `method`, did you mean `forwarding.method`?",
      "statuss: unknown field `statuss`, did you mean `status`?",
      "metadata.name: must consist of lower-case letters, digits, `-` and `.`, and start and end with a letter or digit",
      'spec.addresses[0].ip: must be an IP address in canonical form: no prefix length, no leading zeros, IPv6 in its shortest lower-case spelling and not IPv4-mapped ("192.0.2.080": 080 has a leading zero)',
      'spec.ports[0].port: must be a number, not the string "80"',
      "spec.ports[1].port: must be less than or equal to 65535, not 70000",
      "spec.ports[1].endPort: must be greater than or equal to `port` where `endPort` is set, and `port` may not be 0",
      'spec.scheduler: must be one of rr, wrr, lc, wlc, lblc, lblcr, dh, sh, sed, nq, mh, fo, ovf or twos, not the string "wcl"; did you mean wlc?',
      "spec.forwarding.tunnel: may not set `tunnel` unless `method` is TUN",
      "spec.backends[1]: must be a map of fields, not null",
    ]);
  });

  it.each([
    {
      name: "a missing field",
      spec: { forwarding: undefined },
      says: "spec.forwarding: must be set",
    },
    {
      name: "an empty list",
      spec: { ports: [] },
      says: "spec.ports: must have at least one entry",
    },
    {
      name: "a fraction",
      spec: { drain: { timeoutSeconds: 1.5 } },
      says: "spec.drain.timeoutSeconds: must be a whole number, not 1.5",
    },
    {
      name: "a scalar for a list",
      spec: { ports: 80 },
      says: "spec.ports: must be a list, not 80",
    },
    {
      name: "a list for a map",
      spec: { drain: [] },
      says: "spec.drain: must be a map of fields, not a list",
    },
    {
      name: "an address that is used twice",
      spec: { addresses: [{ ip: "192.0.2.80" }, { name: "b", ip: "192.0.2.80" }] },
      says: "spec.addresses[1].ip: may not use an `ip` twice",
    },
    {
      name: "ranges that overlap",
      spec: { ports: [{ port: 80, endPort: 90 }, { port: 85 }] },
      says: "spec.ports[1].port: may not have port ranges of one `protocol` that overlap (TCP 85 overlaps 80-90)",
    },
    {
      name: "a label value that is a number",
      spec: {
        backends: [{ type: "RealServers", realServers: { selector: { matchLabels: { v: 1 } } } }],
      },
      says: "spec.backends[0].realServers.selector.matchLabels.v: must be a string, not 1",
    },
    {
      name: "too many services",
      spec: { ports: [{ port: 1, endPort: 65_535 }] },
      says: "spec.ports: must come to at most 1,024 kernel services (addresses times single ports); use `firewallMark` for more (1 x 65535 = 65535)",
    },
  ])("explains $name", ({ spec, says }) => {
    expect(complaints(parseObject(virtualService(spec)))).toContain(says);
  });

  it.each([
    [{ kind: "Pod", apiVersion: "v1" }, "apiVersion: must be lvs-operator.io/v1alpha1"],
    [
      { ...VIRTUAL_SERVICE, kind: "VirtualServer" },
      "kind: must be VirtualService or RealServer; did you mean VirtualService?",
    ],
    [{ ...VIRTUAL_SERVICE, kind: undefined }, "kind: must be VirtualService or RealServer"],
    ["text", ": must be a map of fields: an object of this API"],
    [null, ": must be a map of fields: an object of this API"],
  ])("refuses %j", (raw, says) => {
    expect(complaints(parseObject(raw))).toEqual([says]);
  });

  it("gives the place of a problem as text and as segments", () => {
    expect(parseObject(virtualService({ ports: [{ port: -1 }] })).problems).toMatchObject([
      { path: "spec.ports[0].port", segments: ["spec", "ports", 0, "port"] },
    ]);
  });

  it("drops a label called __proto__ instead of setting a prototype", () => {
    const text = JSON.stringify(realServer({ address: "192.0.2.81" }));
    const raw: unknown = JSON.parse(text.replace('"labels":{', '"labels":{"__proto__":{"a":"b"},'));
    const labels = parseObject(raw).ok?.metadata.labels;
    expect(labels).toEqual({ app: "web" });
    expect(labels?.["a"]).toBeUndefined();
  });

  it("accepts its own output unchanged", () => {
    const first = parseObject(VIRTUAL_SERVICE).ok;
    expect(parseObject(first).ok).toEqual(first);
  });

  it("answers arbitrary values with an outcome, never with an exception", () => {
    const spec = fc.dictionary(
      fc.constantFrom("ports", "addresses", "backends", "forwarding", "drain", "x", "hashing"),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), spec.map(virtualService)), (raw) => {
        const outcome = parseObject(raw);
        expect(outcome.ok !== undefined || outcome.problems.length > 0).toBe(true);
      }),
    );
  });
});

describe("the manifests in examples/", () => {
  const root = join(import.meta.dirname, "..", "..", "examples");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.ya?ml$/.test(name),
  );
  it.each(files)("%s is accepted", (name) => {
    for (const document of parseAllDocuments(readFileSync(join(root, name), "utf8"))) {
      expect(complaints(parseObject(document.toJS()))).toEqual([]);
    }
  });
});
