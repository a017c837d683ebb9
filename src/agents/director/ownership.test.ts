import { describe, expect, it } from "vitest";
import type { ServiceIdentity } from "../../ipvs/model.ts";
import { ownershipOf, servicesToRemember } from "./ownership.ts";

const WEB: ServiceIdentity = {
  kind: "address",
  family: "IPv4",
  protocol: "TCP",
  address: "192.0.2.10",
  port: 80,
};
const KEY = "TCP 192.0.2.10:80";
const OWNED = new Map([[KEY, "VirtualService shop/web"]]);
const NONE = new Map<string, string>();

describe("ownershipOf", () => {
  it.each([
    { name: "holds for a service in the journal", owned: OWNED, vips: [], ours: true },
    { name: "holds for a service on our VIP", owned: NONE, vips: ["192.0.2.10"], ours: true },
    { name: "does not hold for another VIP", owned: NONE, vips: ["192.0.2.11"], ours: false },
  ])("$name", ({ owned, vips, ours }) => {
    const ownership = ownershipOf(owned, () => new Set(vips), { services: new Map() });
    expect(ownership.isOurs(WEB, KEY)).toBe(ours);
  });

  it("needs a record for a mark: marks belong to nobody's VIP", () => {
    const mark: ServiceIdentity = { kind: "mark", family: "IPv4", mark: 7 };
    const ownership = ownershipOf(OWNED, () => new Set(["192.0.2.10"]), { services: new Map() });
    expect(ownership.isOurs(mark, "IPv4 mark 7")).toBe(false);
  });
});

describe("servicesToRemember", () => {
  it("keeps what is wanted or still in the kernel, without dry runs", () => {
    const observed = { services: new Map([["old", undefined as never]]) };
    const state = {
      owners: new Map([
        ["new", "a"],
        ["dry", "b"],
      ]),
      withheld: new Map([["dry", "DryRun" as const]]),
    };
    const owned = new Map([
      ["old", "a"],
      ["gone", "a"],
    ]);
    expect([...servicesToRemember(state, owned, observed).keys()]).toEqual(["old", "new"]);
  });
});
