import { expect, it } from "vitest";

import { parseObject, type ApiObject } from "../api/parse.ts";
import { compact } from "./compact.ts";

function parsed(name: string, port: number): ApiObject {
  const { ok, problems } = parseObject({
    apiVersion: "lvs-operator.io/v1alpha1",
    kind: "VirtualService",
    metadata: { name },
    spec: {
      addresses: [{ ip: "192.0.2.10" }],
      ports: [{ port }],
      forwarding: { method: "DR" },
      backends: [{ type: "Servers", servers: [{ address: "192.0.2.21" }] }],
    },
  });
  if (ok === undefined) throw new Error(JSON.stringify(problems));
  return ok;
}

it("changes nothing about an object", () => {
  expect(compact(parsed("a", 80))).toStrictEqual(parsed("a", 80));
});

it("shares equal parts, and only those", () => {
  const [a, b, c] = [compact(parsed("a", 80)), compact(parsed("b", 80)), compact(parsed("c", 81))];
  if (a.kind !== "VirtualService" || b.kind !== "VirtualService" || c.kind !== "VirtualService") {
    throw new Error("not a VirtualService");
  }
  expect(b.spec.ports).toBe(a.spec.ports);
  expect(b.spec.drain).toBe(a.spec.drain);
  expect(c.spec.ports).not.toBe(a.spec.ports);
});
