import { describe, expect, it } from "vitest";

import { parseManifest, type ManifestDocument } from "./yaml-document.ts";

const GOOD = `apiVersion: lvs-operator.io/v1alpha1
kind: VirtualService
metadata:
  name: web
  namespace: shop
spec:
  addresses:
    - ip: 192.0.2.10
  ports:
    - port: 80
  forwarding:
    method: DR
  backends:
    - type: Servers
      servers:
        - address: 192.0.2.21
        - address: 192.0.2.22
`;

/** All findings as `line:column message`. */
const findingsOf = (document: ManifestDocument): readonly string[] =>
  [...document.findings, ...document.items.flatMap((item) => item.findings)].map(
    ({ line, column, message }) => `${line}:${column} ${message}`,
  );

const edit = (from: string, to: string): string => {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, to);
};

const NAMED = { identified: true, key: "VirtualService shop/web" };
const UNKNOWN = { identified: false, key: undefined };

describe("a broken manifest says where and what", () => {
  it.each([
    {
      name: "an unknown field",
      text: edit("spec:", "spec:\n  schedular: rr"),
      finding: "7:3 spec.schedular: unknown field `schedular`, did you mean `scheduler`?",
      ...NAMED,
    },
    {
      name: "an unknown field deep inside",
      text: edit(
        "        - address: 192.0.2.22",
        "        - address: 192.0.2.22\n          wieght: 3",
      ),
      finding:
        "18:11 spec.backends[0].servers[1].wieght: unknown field `wieght`, did you mean `weight`?",
      ...NAMED,
    },
    {
      name: "an unknown field of metadata",
      text: edit("  name: web", "  name: web\n  lables: {a: b}"),
      finding: "5:3 metadata.lables: unknown field `lables`, did you mean `labels`?",
      ...NAMED,
    },
    {
      name: "a value that is not in the list",
      text: edit("method: DR", "method: dr"),
      finding:
        '12:5 spec.forwarding.method: must be one of NAT, DR or TUN, not the string "dr"; did you mean DR?',
      ...NAMED,
    },
    {
      name: "an address with a prefix",
      text: edit("ip: 192.0.2.10", "ip: 192.0.2.10/32"),
      finding: "8:7 spec.addresses[0].ip: must be an IP address",
      ...NAMED,
    },
    {
      name: "an address that is not canonical",
      text: edit("ip: 192.0.2.10", "ip: 2001:DB8::1"),
      finding: "8:7 spec.addresses[0].ip: must be an IP address",
      ...NAMED,
    },
    {
      name: "a port that is too large",
      text: edit("port: 80", "port: 65536"),
      finding: "10:7 spec.ports[0].port: must be less than or equal to 65535, not 65536",
      ...NAMED,
    },
    {
      name: "a port in quotes",
      text: edit("port: 80", 'port: "80"'),
      finding: '10:7 spec.ports[0].port: must be a number, not the string "80"',
      ...NAMED,
    },
    {
      name: "a field that must be set",
      text: edit("  forwarding:\n    method: DR\n", ""),
      finding: "6:1 spec.forwarding: must be set",
      ...NAMED,
    },
    {
      name: "a rule between two fields",
      text: edit("port: 80", "port: 80\n      targetPort: 8080"),
      finding: "11:7 spec.ports[0].targetPort: must be equal to `port`",
      ...NAMED,
    },
    {
      name: "two servers of one address",
      text: edit("192.0.2.22", "192.0.2.21"),
      finding: "17:11 spec.backends[0].servers[1]: may not repeat `address` 192.0.2.21",
      ...NAMED,
    },
    {
      name: "a name that is no DNS name",
      text: edit("name: web", "name: Web_1"),
      finding: "4:3 metadata.name:",
      identified: true,
      key: "VirtualService shop/Web_1",
    },
    {
      name: "no name",
      text: edit("  name: web\n", ""),
      finding: "3:1 metadata.name: must be set",
      ...UNKNOWN,
    },
    {
      name: "a version that is not known",
      text: edit("v1alpha1", "v1"),
      finding: "1:1 apiVersion: must be lvs-operator.io/v1alpha1",
      ...NAMED,
    },
    {
      name: "a group with a typing mistake",
      text: edit("lvs-operator.io", "lvs-operater.io"),
      finding: "1:1 apiVersion: must be lvs-operator.io/v1alpha1",
      ...NAMED,
    },
    {
      name: "a kind with a typing mistake",
      text: edit("kind: VirtualService", "kind: VirtualServise"),
      finding: "2:1 kind: must be VirtualService or RealServer; did you mean VirtualService?",
      ...UNKNOWN,
    },
    {
      name: "no kind",
      text: edit("kind: VirtualService\n", ""),
      finding: "1:1 kind: must be",
      ...UNKNOWN,
    },
    {
      name: "no apiVersion",
      text: edit("apiVersion: lvs-operator.io/v1alpha1\n", ""),
      finding: "1:1 apiVersion: must be lvs-operator.io/v1alpha1",
      ...NAMED,
    },
    {
      name: "a list in place of an object",
      text: "- a\n- b\n",
      finding: "1:1 must be an object with apiVersion, kind, metadata and spec",
      ...UNKNOWN,
    },
    {
      name: "a tab as indentation",
      text: edit("    method: DR", "\tmethod: DR"),
      finding: "12:1 tab used for indentation; use spaces",
      ...UNKNOWN,
    },
    {
      name: "a field that occurs twice",
      text: edit("  ports:", "  addresses: []\n  ports:"),
      finding: '9:3 field "addresses" occurs twice',
      ...UNKNOWN,
    },
    {
      name: "a bracket that is not closed",
      text: edit("  ports:\n    - port: 80", "  ports: [{port: 80}"),
      finding:
        "10:3 not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
      ...UNKNOWN,
    },
    {
      name: "a quote that is not closed",
      text: edit("name: web", 'name: "web'),
      finding: "18:1 not valid YAML: Missing closing",
      ...UNKNOWN,
    },
    {
      name: "indentation that does not fit",
      text: edit("  namespace: shop", " namespace: shop"),
      finding: "5:1 not valid YAML: All mapping items must start at the same column",
      ...UNKNOWN,
    },
    {
      name: "an alias without an anchor",
      text: edit("name: web", "name: *web"),
      finding: "1:1 an alias names an anchor that is not set before it",
      ...UNKNOWN,
    },
    {
      name: "aliases that multiply",
      text: `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n`,
      finding: "1:1 aliases expand to more than 100 copies",
      ...UNKNOWN,
    },
    {
      name: "brackets without end",
      text: "[".repeat(100_000),
      finding: " nested too deeply",
      ...UNKNOWN,
    },
    {
      name: "a tag of another program",
      text: edit("name: web", "name: !secret web"),
      finding: "4:9 tag !secret is not supported",
      ...UNKNOWN,
    },
    {
      name: "content after the end of the document",
      text: `${GOOD}...\nkind: RealServer\n`,
      finding: "19:1 content after the end of the document",
      ...UNKNOWN,
    },
    {
      name: "a List without items",
      text: "apiVersion: v1\nkind: List\n",
      finding: "1:1 items: must be a list; write `items: []` for none",
      ...UNKNOWN,
    },
    {
      name: "a List with a misspelled field",
      text: "kind: List\nitem: []\nitems: []\n",
      finding: "2:1 item: unknown field `item`, did you mean `items`?",
      ...UNKNOWN,
    },
  ])("$name", ({ text, finding, identified, key }) => {
    const document = parseManifest(text);
    expect(findingsOf(document)[0]).toContain(finding);
    expect(document.identified).toBe(identified);
    expect(document.emptyList).toBe(false);
    expect(document.items[0]?.key).toBe(key);
    expect(document.items.every(({ object }) => object === undefined)).toBe(true);
  });

  it("names all problems of an object at once", () => {
    const text = edit("port: 80", "port: 70000").replace("method: DR", "method: X");
    expect(findingsOf(parseManifest(text))).toHaveLength(2);
  });
});

describe("parseManifest", () => {
  it("reads an object with its defaults", () => {
    const { items, findings, identified } = parseManifest(GOOD);
    expect(findings).toEqual([]);
    expect(identified).toBe(true);
    expect(items[0]?.object).toMatchObject({ kind: "VirtualService", spec: { scheduler: "wlc" } });
  });

  it("gives an object without a namespace the namespace `default`", () => {
    expect(parseManifest(edit("  namespace: shop\n", "")).items[0]?.key).toBe(
      "VirtualService default/web",
    );
  });

  it("reads JSON, tabs and all", () => {
    const { items } = parseManifest(
      '{\n\t"apiVersion": "lvs-operator.io/v1alpha1", "kind": "RealServer",\n\t"metadata": {"name": "rs1"}, "spec": {"address": "192.0.2.21"}\n}',
    );
    expect(items.map(({ key, object }) => [key, object !== undefined])).toEqual([
      ["RealServer default/rs1", true],
    ]);
  });

  it("reads anchors and aliases", () => {
    const text = edit("192.0.2.21", "&rs 192.0.2.21").replace(
      "- address: 192.0.2.22",
      "- address: 192.0.2.22\n          port: 0",
    );
    expect(findingsOf(parseManifest(text))).toEqual([]);
  });

  it("reads the items of a List, each on its own", () => {
    const item = (name: string, address: string): string =>
      `  - apiVersion: lvs-operator.io/v1alpha1\n    kind: RealServer\n    metadata: {name: ${name}}\n    spec: {address: ${address}}\n`;
    const text = `apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ""}\nitems:\n${item("a", "192.0.2.21")}${item("b", "nowhere")}`;
    const document = parseManifest(text);
    expect(
      document.items.map(({ key, object, line }) => [key, object !== undefined, line]),
    ).toEqual([
      ["RealServer default/a", true, 5],
      ["RealServer default/b", false, 9],
    ]);
    expect(findingsOf(document)[0]).toContain("12:12 spec.address: must be an IP address");
    expect(document.identified).toBe(true);
  });

  it.each([
    "kind: List\nitems: []\n",
    "apiVersion: lvs-operator.io/v1alpha1\nkind: VirtualServiceList\nitems: []\n",
  ])("takes %j as the wish for nothing", (text) => {
    expect(parseManifest(text)).toMatchObject({ emptyList: true, identified: true, items: [] });
  });

  it.each(["", "# nothing\n", "---\n", "null\n"])("takes %j for no wish at all", (text) => {
    expect(parseManifest(text)).toMatchObject({ emptyList: false, identified: true, items: [] });
  });

  it.each([
    {
      name: "a core object",
      text: "apiVersion: v1\nkind: ConfigMap\n",
      says: "ConfigMap of v1 skipped",
    },
    {
      name: "Istio's VirtualService",
      text: edit("lvs-operator.io/v1alpha1", "networking.istio.io/v1"),
      says: "VirtualService of networking.istio.io/v1 skipped",
    },
  ])("skips $name with a notice", ({ text, says }) => {
    const { items, findings, identified } = parseManifest(text);
    expect(items).toEqual([]);
    expect(identified).toBe(true);
    expect(findings.map(({ severity }) => severity)).toEqual(["Notice"]);
    expect(findings[0]?.message).toContain(says);
  });
});
