/** Custom resource definitions, as data, from the registry of kinds. */
import type { KindDefinition, PrinterColumn } from "./kinds.ts";
import { jsonSchemaOf, toStructural, type SchemaNode } from "./structural.ts";
import { API_GROUP, API_VERSION } from "./v1alpha1/metadata.ts";

/** The version of the only schema we have. */
const VERSION = API_VERSION.slice(API_GROUP.length + 1);

/** `virtualservices.lvs-operator.io` */
export function crdName({ plural }: KindDefinition): string {
  return `${plural}.${API_GROUP}`;
}

/**
 * The CustomResourceDefinition (apiextensions.k8s.io/v1) of a kind.
 * @throws StructuralError when the schema of the kind cannot be one of Kubernetes
 */
export function crdOf(definition: KindDefinition): SchemaNode {
  const { kind, plural, singular, shortNames, categories, scope } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: crdName(definition) },
    spec: {
      group: API_GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories },
      scope,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns.map(columnOf),
          selectableFields: definition.selectableFields.map((jsonPath) => ({ jsonPath })),
          schema: { openAPIV3Schema: rootSchema(definition) },
        },
      ],
    },
  };
}

function columnOf({ name, type, jsonPath, description, wide }: PrinterColumn): SchemaNode {
  return { name, type, jsonPath, description, ...(wide === true ? { priority: 1 } : {}) };
}

function rootSchema(definition: KindDefinition): SchemaNode {
  return {
    description: definition.description,
    type: "object",
    required: ["spec"],
    properties: {
      apiVersion: { description: `Always ${API_VERSION}.`, type: "string" },
      kind: { description: `Always ${definition.kind}.`, type: "string" },
      metadata: { type: "object" },
      spec: toStructural(jsonSchemaOf(definition.spec), "spec"),
      status: toStructural(jsonSchemaOf(definition.status), "status"),
    },
  };
}
