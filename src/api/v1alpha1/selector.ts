/** Label selectors with the meaning Kubernetes gives them. */
import { z } from "zod";

import { labelKey, labelMap, labelValue, type DeepReadonly } from "../fields.ts";
import { failIf, listAtomic, listSet, withRules } from "../rules.ts";

const Requirement = withRules(
  z.object({
    key: labelKey().describe("Label key."),
    operator: z
      .enum(["In", "NotIn", "Exists", "DoesNotExist"])
      .describe(
        "In: the label has one of `values`. NotIn: it has none of them, or is absent. Exists: it is present. DoesNotExist: it is absent.",
      ),
    values: listSet(labelValue(), { min: 1, max: 32 })
      .optional()
      .describe("Values for In and NotIn; may not be set for Exists and DoesNotExist."),
  }),
  [
    {
      id: "selector-values",
      rule: "(self.operator in ['In', 'NotIn']) == has(self.values)",
      message: "must set `values` for the operators In and NotIn, and only for them",
      fieldPath: ".values",
      violations: ({ operator, values }) =>
        failIf((operator === "In" || operator === "NotIn") !== (values !== undefined), "values"),
    },
  ],
);

export const LabelSelector = z
  .object({
    matchLabels: labelMap(16)
      .optional()
      .describe("Labels that an object must have, with exactly these values."),
    matchExpressions: listAtomic(Requirement, { min: 1, max: 16 })
      .optional()
      .describe("Conditions on labels; all of them must hold."),
  })
  .meta({ "x-kubernetes-map-type": "atomic" });

/** Which objects are meant, by their labels. An empty selector means all. */
export type LabelSelector = DeepReadonly<z.output<typeof LabelSelector>>;
