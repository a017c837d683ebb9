/**
 * Arbitrary objects for comparing our checks with the API server's: plausible ones, so that many
 * are accepted and the rules decide, and the same with something broken.
 */
import fc from "fast-check";

import { mutate, mutation, type Json } from "./mutation.ts";

const API_VERSION = "lvs-operator.io/v1alpha1";

const goodAddress = fc.constantFrom(
  "192.0.2.1",
  "192.0.2.2",
  "10.0.0.1",
  "203.0.113.255",
  "240.0.0.1",
  "0.1.2.3",
  "2001:db8::1",
  "2001:db8::2",
  "fd00::a:0:0:1",
  "1::",
  "64:ff9b::102:304",
);
const badAddress = fc.constantFrom(
  "192.0.2.01",
  "192.0.2.256",
  "192.0.2",
  "192.0.2.1/32",
  " 192.0.2.1",
  "2001:DB8::1",
  "2001:db8:0::1",
  "2001:db8:0:0:0:0:0:1",
  "::ffff:192.0.2.1",
  "::192.0.2.1",
  "fe80::1",
  "fe80::1%eth0",
  "febf::1",
  "ff02::1",
  "::",
  "::1",
  "0.0.0.0",
  "127.0.0.1",
  "169.254.1.1",
  "224.0.0.1",
  "239.255.255.255",
  "255.255.255.255",
  "example",
  "1:2:3:4:5:6:7::",
  "0:0:1::",
  "::2:3:4:5:6:7:8",
);
const rarely = <T>(common: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 19, arbitrary: common }, { weight: 1, arbitrary: rare });
const address = rarely(goodAddress, badAddress);
const port = fc.constantFrom(0, 53, 80, 81, 90, 443, 8080, 65_535);
const name = rarely(fc.constantFrom("main", "a", "b", "web-1"), fc.constantFrom("A", "a.b", "-a"));
const toggle = fc.constantFrom("Enabled", "Disabled");

const thresholds = {
  upperThreshold: fc.constantFrom(1, 100, 1000),
  lowerThreshold: fc.constantFrom(1, 100, 1000),
};
const optionalThresholds = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.record(thresholds, { requiredKeys: [] }) },
);
const forwarding = fc.oneof(
  fc.record({ method: fc.constantFrom("NAT", "DR", "TUN") }),
  fc.record({
    method: fc.constantFrom("TUN", "TUN", "TUN", "DR"),
    tunnel: fc.record({ type: fc.constant("IPIP") }, { requiredKeys: [] }),
  }),
);
const server = fc
  .tuple(
    fc.record(
      {
        address,
        port: rarely(fc.constant(0), fc.constant(8080)),
        weight: fc.constantFrom(0, 1, 65_535),
      },
      { requiredKeys: ["address"] },
    ),
    optionalThresholds,
  )
  .map(([base, limits]) => ({ ...base, ...limits }));

const label = rarely(
  fc.constantFrom("app", "example.org/app", "A_b.c"),
  fc.constantFrom("", "my app", "/app", "a/b/c", "x".repeat(64), `${"y".repeat(300)}/app`),
);
const requirement = fc.oneof(
  fc.record({
    key: label,
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.array(fc.constantFrom("a", "b", ""), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key: label, operator: fc.constantFrom("Exists", "DoesNotExist", "In") }),
);
const selector = fc.record(
  {
    matchLabels: fc.dictionary(label, fc.constantFrom("", "web", "a b"), { maxKeys: 2 }),
    matchExpressions: fc.array(requirement, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const members = fc.oneof(
  { weight: 6, arbitrary: fc.record({ selector }) },
  { weight: 6, arbitrary: fc.record({ names: fc.array(name, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({}) },
);
const backend = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("Servers"),
      servers: fc.array(server, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("RealServers"), realServers: members }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom("Servers", "RealServers"), realServers: members }),
  },
);
const shareCount = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(3) },
  { weight: 1, arbitrary: fc.constant(1) },
);
const backends = fc
  .tuple(fc.array(backend, { minLength: 1, maxLength: 3 }), shareCount)
  .map(([list, shares]) =>
    list.map((item, index) => ({
      ...item,
      ...(index === 0 ? {} : { name: `b${index}` }),
      ...(index < shares ? { weight: 10 * index } : {}),
    })),
  );
const scheduler = fc.oneof(
  { weight: 6, arbitrary: fc.record({ scheduler: fc.constantFrom("wlc", "wrr", "nq", "mh") }) },
  {
    weight: 2,
    arbitrary: fc.record({
      scheduler: fc.constantFrom("sh", "mh"),
      hashing: fc.record(
        { key: fc.constantFrom("SourceAddress", "SourceAddressAndPort") },
        { requiredKeys: [] },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { scheduler: fc.constantFrom("rr", "fo"), hashing: fc.constant({}) },
      { requiredKeys: ["scheduler"] },
    ),
  },
);

const portEntry = fc.oneof(
  { weight: 12, arbitrary: fc.record({ port }) },
  { weight: 4, arbitrary: fc.record({ port, protocol: fc.constantFrom("TCP", "UDP", "SCTP") }) },
  { weight: 1, arbitrary: fc.record({ port, endPort: fc.constantFrom(80, 95, 600, 2000) }) },
  { weight: 1, arbitrary: fc.record({ port, targetPort: fc.constantFrom(80, 8080) }) },
  { weight: 3, arbitrary: fc.record({ port, name }) },
  {
    weight: 4,
    arbitrary: fc.record({
      port: fc.constantFrom(53, 54),
      protocol: fc.constantFrom("UDP", "UDP", "TCP"),
      onePacketScheduling: toggle,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ port, endPort: port, targetPort: port, protocol: fc.constant("UDP") }),
  },
);
const addressList = fc
  .array(address, { minLength: 1, maxLength: 3 })
  .map((list) => list.map((ip, index) => (index === 0 ? { ip } : { name: `a${index}`, ip })));

const options = fc.record(
  {
    persistence: fc.record({ timeoutSeconds: fc.constantFrom(1, 300) }, { requiredKeys: [] }),
    enforcement: fc.constantFrom("Enforce", "DryRun", "Paused"),
    drain: fc.record({ timeoutSeconds: fc.constantFrom(0, 86_400) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);
const mark = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1, 4_294_967_295).map((value) => ({
      firewallMark: { type: "External", value },
    })),
  },
);
const virtualServiceSpec = fc
  .tuple(
    fc.record({
      addresses: addressList,
      ports: fc.array(portEntry, { minLength: 1, maxLength: 3 }),
      forwarding,
      backends,
    }),
    scheduler,
    options,
    mark,
  )
  .map(([base, ...parts]) => Object.assign({}, base, ...parts) as object);
const realServerSpec = fc
  .tuple(
    fc.record(
      {
        address,
        weight: fc.constantFrom(0, 65_535),
        forwarding,
        adminState: fc.constant("Draining"),
      },
      { requiredKeys: ["address"] },
    ),
    optionalThresholds,
  )
  .map(([base, limits]) => ({ ...base, ...limits }));

const metadata = fc.record(
  {
    name: rarely(fc.constantFrom("web", "web.1"), fc.constantFrom("Web", "a..b", "x".repeat(254))),
    namespace: rarely(fc.constant("shop"), fc.constantFrom("a.b", "Shop")),
    labels: fc.dictionary(label, rarely(fc.constantFrom("", "web"), fc.constant("a b")), {
      maxKeys: 1,
    }),
  },
  { requiredKeys: ["name"] },
);

const spec = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("VirtualService"), spec: virtualServiceSpec }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("RealServer"), spec: realServerSpec }) },
);

/** Whole objects; about half of them are mutated. */
export const anyObject: fc.Arbitrary<object> = fc
  .tuple(spec, metadata, fc.array(mutation, { maxLength: 2 }), fc.boolean())
  .map(([{ kind, spec: body }, meta, mutations, broken]) => ({
    apiVersion: API_VERSION,
    kind,
    metadata: meta,
    // Specs are made of JSON values only; fast-check's types do not say so.
    spec: broken ? mutations.reduce<Json>(mutate, body as unknown as Json) : body,
  }));
