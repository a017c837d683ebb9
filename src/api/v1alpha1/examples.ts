/**
 * Examples of every rule and of every kind: the documentation shows them, and the tests give them
 * to our own parser and to the code of a real API server.
 */

import { VIRTUAL_SERVICE_RULE_EXAMPLES } from "./virtual-service-examples.ts";

/** Top-level fields of a spec, put over those of the base example. */
export type SpecPatch = Readonly<Record<string, unknown>>;

/** One spec that a rule accepts, close to one that breaks this rule and no other. */
export interface RuleExample {
  readonly accepted: SpecPatch;
  readonly refused: SpecPatch;
}

/** Examples of one kind. */
export interface KindExamples {
  /** A complete object that is accepted. */
  readonly base: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly metadata: object;
    readonly spec: SpecPatch;
  };
  /** By rule id; rules that apply in several places have one example for each. */
  readonly rules: Readonly<Record<string, readonly RuleExample[]>>;
}

const API_VERSION = "lvs-operator.io/v1alpha1";

export const VIRTUAL_SERVICE_EXAMPLES: KindExamples = {
  base: {
    apiVersion: API_VERSION,
    kind: "VirtualService",
    metadata: { name: "web", namespace: "shop" },
    spec: {
      addresses: [{ ip: "192.0.2.80" }],
      ports: [{ port: 80 }],
      forwarding: { method: "DR" },
      backends: [
        {
          type: "Servers",
          servers: [
            { address: "192.0.2.81" },
            { address: "192.0.2.82" },
            { address: "192.0.2.83", weight: 2 },
          ],
        },
      ],
    },
  },
  rules: VIRTUAL_SERVICE_RULE_EXAMPLES,
};

export const REAL_SERVER_EXAMPLES: KindExamples = {
  base: {
    apiVersion: API_VERSION,
    kind: "RealServer",
    metadata: { name: "web1", namespace: "shop", labels: { app: "web" } },
    spec: { address: "192.0.2.81" },
  },
  rules: {
    "address-canonical": [
      { accepted: { address: "2001:db8::81" }, refused: { address: "::ffff:192.0.2.81" } },
    ],
    "address-unicast": [
      { accepted: { address: "198.51.100.1" }, refused: { address: "127.0.0.1" } },
    ],
    "threshold-order": [
      { accepted: { upperThreshold: 2, lowerThreshold: 1 }, refused: { lowerThreshold: 1 } },
    ],
    "tunnel-method": [
      {
        accepted: { forwarding: { method: "TUN", tunnel: {} } },
        refused: { forwarding: { method: "NAT", tunnel: {} } },
      },
    ],
  },
};

/** Examples by kind. */
export const EXAMPLES: Readonly<Record<string, KindExamples>> = {
  VirtualService: VIRTUAL_SERVICE_EXAMPLES,
  RealServer: REAL_SERVER_EXAMPLES,
};
