import { describe, expect, it } from "vitest";
import type { Retention } from "../../compile/model.ts";
import type { ServiceIdentity } from "../../ipvs/model.ts";
import { mayRemove, servicesToRemember } from "./ownership.ts";

const NOTHING: Retention = {
  everything: false,
  owners: new Set(),
  services: new Set(),
  addresses: new Set(),
  settings: false,
};
const KEY = "TCP 192.0.2.10:80";
const WEB: ServiceIdentity = {
  kind: "address",
  family: "IPv4",
  protocol: "TCP",
  address: "192.0.2.10",
  port: 80,
};
const OWNED = new Map([[KEY, "VirtualService shop/web"]]);
const NONE = new Map<string, string>();

describe("mayRemove", () => {
  it.each([
    { name: "a service of the journal goes", owned: OWNED, vips: [], retained: NOTHING, may: true },
    { name: "a foreign service stays", owned: NONE, vips: [], retained: NOTHING, may: false },
    { name: "an unknown port on our VIP goes", owned: NONE, vips: ["192.0.2.10"], retained: NOTHING, may: true },
    {
      name: "nothing goes while part of the input is unreadable",
      owned: OWNED,
      vips: [],
      retained: { ...NOTHING, everything: true },
      may: false,
    },
    {
      name: "a service of a refused object stays",
      owned: OWNED,
      vips: [],
      retained: { ...NOTHING, owners: new Set(["VirtualService shop/web"]) },
      may: false,
    },
    {
      name: "a service of another object goes while one is refused",
      owned: OWNED,
      vips: [],
      retained: { ...NOTHING, owners: new Set(["VirtualService shop/other"]) },
      may: true,
    },
    {
      name: "a service without a record stays while an object is refused",
      owned: NONE,
      vips: ["192.0.2.10"],
      retained: { ...NOTHING, owners: new Set(["VirtualService shop/other"]) },
      may: false,
    },
    {
      name: "a service on a retained VIP stays",
      owned: OWNED,
      vips: [],
      retained: { ...NOTHING, addresses: new Set(["192.0.2.10"]) },
      may: false,
    },
  ])("$name", ({ owned, vips, retained, may }) => {
    expect(mayRemove({ owned, vips: new Set(vips), retained }, WEB, KEY)).toBe(may);
  });

  it("needs a record for a mark: marks belong to nobody's VIP", () => {
    const mark: ServiceIdentity = { kind: "mark", family: "IPv4", mark: 7 };
    const input = { owned: NONE, vips: new Set(["192.0.2.10"]), retained: NOTHING };
    expect(mayRemove(input, mark, "IPv4 mark 7")).toBe(false);
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
