import { describe, expect, it } from "vitest";
import { z } from "zod";

import { crdOf } from "./crd.ts";
import { VIRTUAL_SERVICE } from "./kinds.ts";
import { failIf, listAtomic, stringMap, withRules } from "./rules.ts";
import { jsonSchemaOf, StructuralError, toStructural } from "./structural.ts";

function structural(schema: z.ZodType): object {
  return toStructural(jsonSchemaOf(schema), "spec");
}

const named = (schema: z.ZodType): z.ZodType => z.object({ f: schema.describe("A field.") });

describe("toStructural", () => {
  it("keeps types, bounds, defaults and what is required, and writes rules as Kubernetes does", () => {
    const schema = withRules(
      z.object({
        n: z.int32().min(1).max(9).default(3).describe("A number."),
        s: z.enum(["A", "B"]).describe("A choice."),
        l: listAtomic(z.string().max(3), { min: 1, max: 2 }).optional().describe("A list."),
        m: stringMap(z.string().max(4), 5).optional().describe("A map."),
      }),
      [
        {
          id: "small",
          rule: "self.n < 9",
          message: "must be small",
          violations: (self) => failIf(self.n >= 9, "n"),
        },
      ],
    );
    expect(structural(schema)).toEqual({
      type: "object",
      required: ["s"],
      properties: {
        n: {
          description: "A number.",
          type: "integer",
          format: "int32",
          default: 3,
          minimum: 1,
          maximum: 9,
        },
        s: { description: "A choice.", type: "string", enum: ["A", "B"] },
        l: {
          description: "A list.",
          type: "array",
          minItems: 1,
          maxItems: 2,
          "x-kubernetes-list-type": "atomic",
          items: { type: "string", maxLength: 3 },
        },
        m: {
          description: "A map.",
          type: "object",
          maxProperties: 5,
          additionalProperties: { type: "string", maxLength: 4 },
        },
      },
      "x-kubernetes-validations": [{ rule: "self.n < 9", message: "must be small" }],
    });
  });

  it.each([
    [
      "a union",
      named(z.union([z.string().max(1), z.int32().min(0).max(1)])),
      "spec.f: keyword anyOf",
    ],
    ["a string without a limit", named(z.string()), "spec.f: no maxLength"],
    ["a number without limits", named(z.number()), "spec.f: type number"],
    [
      "a list without a list type",
      named(z.array(z.string().max(1)).max(1)),
      "spec.f: no x-kubernetes-list-type",
    ],
    ["a list without a limit", named(z.array(z.string().max(1))), "spec.f: no maxItems"],
    [
      "a map without a limit",
      named(z.record(z.string(), z.string().max(1))),
      "spec.f: no maxProperties",
    ],
    ["a nullable field", named(z.string().max(1).nullable()), "spec.f: keyword nullable"],
    ["a strict object", z.strictObject({}), "spec: not a schema"],
    ["a field without a description", z.object({ f: z.boolean() }), "spec.f: undescribed"],
  ])("refuses %s", (_, schema, message) => {
    expect(() => structural(schema)).toThrow(StructuralError);
    expect(() => structural(schema)).toThrow(message);
  });
});

describe("crdOf", () => {
  it("gives a namespaced resource with a status of its own and the names people type", () => {
    expect(crdOf(VIRTUAL_SERVICE)).toMatchObject({
      metadata: { name: "virtualservices.lvs-operator.io" },
      spec: {
        scope: "Namespaced",
        names: { shortNames: ["lvsvs"], categories: ["lvs"] },
        versions: [
          {
            name: "v1alpha1",
            subresources: { status: {} },
            selectableFields: [
              { jsonPath: ".spec.directorGroupName" },
              { jsonPath: ".spec.enforcement" },
            ],
            schema: {
              openAPIV3Schema: {
                properties: {
                  status: { default: { observedGeneration: -1 } },
                  spec: { properties: { drain: { default: {} } } },
                },
              },
            },
          },
        ],
      },
    });
  });
});
