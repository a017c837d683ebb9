import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { commonPrefix, commonSuffix, documentStarts } from "./split-documents.ts";

const split = (text: string): readonly string[] => {
  const bytes = Buffer.from(text);
  const starts = documentStarts(bytes, 0, bytes.length);
  return starts.map((start, i) => bytes.toString("utf8", start, starts[i + 1] ?? bytes.length));
};

describe("documentStarts", () => {
  it.each([
    { name: "a single document", text: "a: 1\n", documents: ["a: 1\n"] },
    {
      name: "a marker line between two",
      text: "a: 1\n---\nb: 2\n",
      documents: ["a: 1\n", "---\nb: 2\n"],
    },
    {
      name: "a marker at the very beginning",
      text: "---\na: 1\n---\nb\n",
      documents: ["---\na: 1\n", "---\nb\n"],
    },
    {
      name: "a marker with content or comment",
      text: "a\n--- # b\n--- c\n",
      documents: ["a\n", "--- # b\n", "--- c\n"],
    },
    { name: "a marker at the very end", text: "a\n---", documents: ["a\n", "---"] },
    { name: "CRLF line ends", text: "a\r\n---\r\nb\r\n", documents: ["a\r\n", "---\r\nb\r\n"] },
    {
      name: "dashes that are content",
      text: "a\n----\n---b\n - ---\n",
      documents: ["a\n----\n---b\n - ---\n"],
    },
    {
      name: "directives with the document after them",
      text: "%YAML 1.2\n# 100 %\n---\na\n---\nb\n",
      documents: ["%YAML 1.2\n# 100 %\n---\na\n", "---\nb\n"],
    },
    {
      name: "a marker inside a block scalar, as YAML does",
      text: "a: |\n  x\n---\nb\n",
      documents: ["a: |\n  x\n", "---\nb\n"],
    },
  ])("sees $name", ({ text, documents }) => {
    expect(split(text)).toEqual(documents);
  });
});

describe("common ends", () => {
  it("are those that a comparison byte by byte finds", () => {
    const bytes = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 40 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        const [left, right] = [Buffer.from(a), Buffer.from(b)];
        let prefix = 0;
        while (prefix < Math.min(a.length, b.length) && a[prefix] === b[prefix]) prefix += 1;
        let suffix = 0;
        while (suffix < Math.min(a.length, b.length) && a.at(-1 - suffix) === b.at(-1 - suffix))
          suffix += 1;
        expect(commonPrefix(left, right)).toBe(prefix);
        expect(commonSuffix(left, right, Math.min(a.length, b.length))).toBe(suffix);
      }),
    );
  });

  it.each([0, 65_535, 65_536, 65_537, 199_999])("are right around byte %i of a big file", (at) => {
    const before = Buffer.alloc(200_000, 0x61);
    const after = Buffer.from(before);
    after[at] = 0x62;
    expect(commonPrefix(before, after)).toBe(at);
    expect(commonSuffix(before, after, before.length)).toBe(before.length - 1 - at);
  });
});
