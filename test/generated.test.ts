import { join } from "node:path";

import { expect, it } from "vitest";

import { drift, generatedFiles } from "../scripts/generate.ts";

const ROOT = join(import.meta.dirname, "..");

it("the generated files in the repository are what their sources say (else: npm run generate)", () => {
  expect(drift(ROOT)).toEqual([]);
});

it("there is one definition for each kind, and the references", () => {
  expect([...generatedFiles().keys()]).toEqual([
    "crds/lvs-operator.io_virtualservices.yaml",
    "crds/lvs-operator.io_realservers.yaml",
    "docs/api.md",
    "docs/cli.md",
  ]);
});

it("a changed, missing or additional file is drift", () => {
  const lines = drift(join(import.meta.dirname, "testdata", "drift"));
  expect(lines).toEqual([
    expect.stringMatching(
      /^crds\/lvs-operator\.io_virtualservices\.yaml: line 1 is "changed", must be "# Generated/,
    ),
    "crds/lvs-operator.io_realservers.yaml: missing",
    "docs/api.md: missing",
    "docs/cli.md: missing",
    "crds/extra.yaml: not generated",
  ]);
});
