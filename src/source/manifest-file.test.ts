import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { firstLine, looksUnfinished, readManifest, type ManifestFile } from "./manifest-file.ts";

const read = (text: string, before?: ManifestFile): ManifestFile =>
  readManifest(Buffer.from(text), before);

const object = (name: string, weight = 1): string =>
  `apiVersion: lvs-operator.io/v1alpha1
kind: RealServer
metadata: {name: ${name}, namespace: shop}
spec: {address: 192.0.2.21, weight: ${weight}}
`;

const keys = (file: ManifestFile): readonly string[] =>
  file.documents.flatMap(({ items }) => items.map(({ key }) => key));

describe("readManifest", () => {
  it("parses only the document that changed", () => {
    const parts = ["a", "b", "c", "d"].map((name) => object(name));
    const before = read(parts.join("---\n"));
    const after = read(parts.with(2, object("c", 12)).join("---\n"), before);
    expect(after.documents.map((document, i) => document === before.documents[i])).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(after.documents.map((document) => firstLine(after, document))).toEqual([1, 5, 10, 15]);
  });

  it("keeps documents that only move, and knows their new lines", () => {
    const before = read([object("a"), object("b")].join("---\n"));
    const after = read(["# new\n", object("x"), object("a"), object("b")].join("---\n"), before);
    expect(keys(after).map((key) => key.split("/")[1])).toEqual(["x", "a", "b"]);
    const [, , a, b] = after.documents;
    expect(b).toBe(before.documents[1]);
    expect(
      a === undefined || b === undefined ? [] : [firstLine(after, a), firstLine(after, b)],
    ).toEqual([7, 12]);
  });

  it("keeps two documents of the same text apart", () => {
    const twice = [object("a"), object("b"), object("b"), object("c")].join("---\n");
    const before = read(twice);
    const after = read(`# comment\n${twice.replace("c,", "x,")}`, before);
    expect(new Set(after.documents).size).toBe(4);
  });

  it("takes a byte order mark for nothing", () => {
    expect(keys(read(`\u{feff}${object("a")}`))).toEqual(["RealServer shop/a"]);
  });

  it.each([
    {
      name: "a stray byte",
      bytes: [Buffer.from("a: 1\nb: "), Buffer.from([0xff]), Buffer.from("\n")],
      line: 2,
    },
    { name: "UTF-16", bytes: [Buffer.from("\u{feff}a: 1\n", "utf16le")], line: 1 },
  ])("refuses $name and names the line", ({ bytes, line }) => {
    expect(readManifest(Buffer.concat(bytes)).failure).toBe(
      `line ${line} is not valid UTF-8; save the file as UTF-8`,
    );
  });

  it("comes to the same from a version before as from scratch", { timeout: 30_000 }, () => {
    const line = fc.constantFrom(
      "---",
      "--- ",
      "---x",
      "a: 1",
      "  b",
      "%YAML 1.2",
      "# c",
      "",
      "...",
      "\u{feff}",
      "é: ü",
    );
    const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join("\n"));
    const edit = fc.record({ at: fc.nat(60), drop: fc.nat(8), insert: text });
    fc.assert(
      fc.property(text, fc.array(edit, { minLength: 1, maxLength: 3 }), (first, edits) => {
        let known = read(first);
        let current = first;
        for (const { at, drop, insert } of edits) {
          current = current.slice(0, at) + insert + current.slice(at + drop);
          known = read(current, known);
          const fresh = read(current);
          expect(known.starts).toEqual(fresh.starts);
          expect(known.documents).toEqual(fresh.documents);
          expect(known.failure).toEqual(fresh.failure);
        }
      }),
      { numRuns: 300 },
    );
  });
});

it.each([
  { text: "a: 1\n", unfinished: false },
  { text: "a: 1", unfinished: true },
  { text: '{"a": 1}', unfinished: false },
  { text: "", unfinished: false },
])("$text looks unfinished: $unfinished", ({ text, unfinished }) => {
  expect(looksUnfinished(Buffer.from(text))).toBe(unfinished);
});
