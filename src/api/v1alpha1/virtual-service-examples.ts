/** What each rule of a VirtualService accepts and refuses. */
import type { RuleExample, SpecPatch } from "./examples.ts";

const servers = (...list: readonly object[]): object => ({ type: "Servers", servers: list });
const serverAt = (address: string): SpecPatch => ({ backends: [servers({ address })] });
const realServers = (member: object): SpecPatch => ({
  backends: [{ type: "RealServers", realServers: member }],
});
const weighted = (fields: object): SpecPatch => ({
  backends: [servers({ address: "192.0.2.81", ...fields })],
});
const twoBackends = (first: object, second: object): SpecPatch => ({
  backends: [
    { name: "blue", ...servers({ address: "192.0.2.81" }), ...first },
    { name: "green", ...servers({ address: "192.0.2.82" }), ...second },
  ],
});

/** By rule id; a rule that applies in several places has one pair for each. */
export const VIRTUAL_SERVICE_RULE_EXAMPLES: Readonly<Record<string, readonly RuleExample[]>> = {
  "address-canonical": [
    {
      accepted: { addresses: [{ ip: "2001:db8::80" }] },
      refused: { addresses: [{ ip: "2001:DB8:0::80" }] },
    },
    { accepted: serverAt("192.0.2.81"), refused: serverAt("192.0.2.081") },
  ],
  "address-unicast": [
    {
      accepted: { addresses: [{ ip: "10.0.0.1" }] },
      refused: { addresses: [{ ip: "224.0.0.1" }] },
    },
    { accepted: serverAt("fd00::1"), refused: serverAt("fe80::1") },
  ],
  "port-range-order": [
    {
      accepted: { ports: [{ port: 8000, endPort: 8009 }] },
      refused: { ports: [{ port: 8000, endPort: 7999 }] },
    },
    {
      accepted: { ports: [{ port: 1, endPort: 1 }] },
      refused: { ports: [{ port: 0, endPort: 9 }], persistence: {} },
    },
  ],
  "target-port-single": [
    {
      accepted: { ports: [{ port: 80, targetPort: 8080 }], forwarding: { method: "NAT" } },
      refused: {
        ports: [{ port: 80, endPort: 81, targetPort: 8080 }],
        forwarding: { method: "NAT" },
      },
    },
    {
      accepted: { ports: [{ port: 0 }], persistence: {} },
      refused: {
        ports: [{ port: 0, targetPort: 8080 }],
        forwarding: { method: "NAT" },
        persistence: {},
      },
    },
  ],
  "one-packet-udp": [
    {
      accepted: { ports: [{ port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }] },
      refused: { ports: [{ port: 53, onePacketScheduling: "Enabled" }] },
    },
  ],
  "tunnel-method": [
    {
      accepted: { forwarding: { method: "TUN", tunnel: { type: "IPIP" } } },
      refused: { forwarding: { method: "DR", tunnel: { type: "IPIP" } } },
    },
  ],
  "threshold-order": [
    {
      accepted: weighted({ upperThreshold: 1000, lowerThreshold: 1000 }),
      refused: weighted({ upperThreshold: 1000, lowerThreshold: 1001 }),
    },
    { accepted: weighted({ upperThreshold: 1000 }), refused: weighted({ lowerThreshold: 1000 }) },
  ],
  "backend-servers": [
    { accepted: serverAt("192.0.2.81"), refused: { backends: [{ type: "Servers" }] } },
    {
      accepted: realServers({ names: ["web1"] }),
      refused: {
        backends: [
          {
            type: "RealServers",
            realServers: { names: ["web1"] },
            servers: [{ address: "192.0.2.81" }],
          },
        ],
      },
    },
  ],
  "backend-real-servers": [
    {
      accepted: realServers({ names: ["web1"] }),
      refused: { backends: [{ type: "RealServers" }] },
    },
    {
      accepted: serverAt("192.0.2.81"),
      refused: {
        backends: [{ ...servers({ address: "192.0.2.81" }), realServers: { names: ["web1"] } }],
      },
    },
  ],
  "selector-or-names": [
    {
      accepted: realServers({ selector: { matchLabels: { app: "web" } } }),
      refused: realServers({ selector: { matchLabels: { app: "web" } }, names: ["web1"] }),
    },
    { accepted: realServers({ selector: {} }), refused: realServers({}) },
  ],
  "selector-values": [
    {
      accepted: realServers({
        selector: { matchExpressions: [{ key: "app", operator: "In", values: ["web"] }] },
      }),
      refused: realServers({
        selector: { matchExpressions: [{ key: "app", operator: "In" }] },
      }),
    },
    {
      accepted: realServers({
        selector: { matchExpressions: [{ key: "app", operator: "Exists" }] },
      }),
      refused: realServers({
        selector: { matchExpressions: [{ key: "app", operator: "Exists", values: ["web"] }] },
      }),
    },
  ],
  "label-keys": [
    {
      accepted: realServers({ selector: { matchLabels: { "example.org/app": "web" } } }),
      refused: realServers({ selector: { matchLabels: { "my app": "web" } } }),
    },
  ],
  "all-ports-persistence": [
    { accepted: { ports: [{ port: 0 }], persistence: {} }, refused: { ports: [{ port: 0 }] } },
  ],
  "one-packet-method": [
    {
      accepted: {
        ports: [{ port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }],
        forwarding: { method: "TUN" },
      },
      refused: {
        ports: [{ port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }],
        forwarding: { method: "NAT" },
      },
    },
  ],
  "port-change-method": [
    {
      accepted: { ports: [{ port: 80, targetPort: 80 }] },
      refused: { ports: [{ port: 80, targetPort: 8080 }] },
    },
  ],
  "server-port-single": [
    {
      accepted: { ...weighted({ port: 8080 }), forwarding: { method: "NAT" } },
      refused: weighted({ port: 8080 }),
    },
    {
      accepted: { ports: [{ port: 80 }, { port: 443 }] },
      refused: {
        ...weighted({ port: 8080 }),
        ports: [{ port: 80 }, { port: 443 }],
        forwarding: { method: "NAT" },
      },
    },
  ],
  "hashing-scheduler": [
    {
      accepted: { scheduler: "mh", hashing: { key: "SourceAddressAndPort" } },
      refused: { scheduler: "dh", hashing: { key: "SourceAddressAndPort" } },
    },
  ],
  "service-count": [
    {
      accepted: { ports: [{ port: 1024, endPort: 2047 }] },
      refused: { ports: [{ port: 1024, endPort: 2048 }] },
    },
    {
      accepted: {
        ports: [{ port: 1024, endPort: 65_535 }],
        firewallMark: { type: "External", value: 7 },
      },
      refused: {
        addresses: [{ ip: "192.0.2.80" }, { name: "second", ip: "192.0.2.90" }],
        ports: [{ port: 443 }, { port: 1024, endPort: 1535 }],
      },
    },
  ],
  "ports-overlap": [
    {
      accepted: {
        ports: [{ port: 80, endPort: 89 }, { port: 90 }, { port: 85, protocol: "UDP" }],
      },
      refused: { ports: [{ port: 80, endPort: 90 }, { port: 90 }] },
    },
  ],
  "port-names-unique": [
    {
      accepted: {
        ports: [
          { port: 80, name: "http" },
          { port: 443, name: "https" },
        ],
      },
      refused: {
        ports: [
          { port: 80, name: "web" },
          { port: 443, name: "web" },
        ],
      },
    },
  ],
  "addresses-unique": [
    {
      accepted: { addresses: [{ ip: "192.0.2.80" }, { name: "v6", ip: "2001:db8::80" }] },
      refused: { addresses: [{ ip: "192.0.2.80" }, { name: "again", ip: "192.0.2.80" }] },
    },
  ],
  "mark-target-port": [
    {
      accepted: {
        ports: [{ port: 80, targetPort: 8080 }],
        forwarding: { method: "NAT" },
        firewallMark: { type: "External", value: 7 },
      },
      refused: {
        ports: [{ port: 80, targetPort: 8080 }, { port: 443 }],
        forwarding: { method: "NAT" },
        firewallMark: { type: "External", value: 7 },
      },
    },
  ],
  "mark-one-packet": [
    {
      accepted: {
        ports: [{ port: 53 }, { port: 53, protocol: "UDP", onePacketScheduling: "Enabled" }],
        firewallMark: { type: "External", value: 7 },
      },
      refused: {
        ports: [
          { port: 53, protocol: "UDP", onePacketScheduling: "Enabled" },
          { port: 54, protocol: "UDP" },
        ],
        firewallMark: { type: "External", value: 7 },
      },
    },
  ],
  "shares-all-or-none": [
    {
      accepted: twoBackends({ weight: 95 }, { weight: 5 }),
      refused: twoBackends({ weight: 95 }, {}),
    },
  ],
  "shares-scheduler": [
    {
      accepted: { ...twoBackends({ weight: 95 }, { weight: 5 }), scheduler: "wrr" },
      refused: { ...twoBackends({ weight: 95 }, { weight: 5 }), scheduler: "rr" },
    },
  ],
};
