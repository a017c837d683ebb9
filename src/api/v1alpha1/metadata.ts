/**
 * The part of `metadata` that this program reads. It is not in the custom resource definitions:
 * the API server checks metadata by itself, and manifests get the same checks from here.
 */
import { z } from "zod";

import { dnsLabel, labelMap, objectName, type DeepReadonly } from "../fields.ts";

export const API_GROUP = "lvs-operator.io";
export const API_VERSION = "lvs-operator.io/v1alpha1";

export const ObjectMeta = z.object({
  name: objectName(),
  namespace: dnsLabel().default("default"),
  uid: z.string().optional(),
  labels: labelMap(4096).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  generation: z.int().optional(),
  creationTimestamp: z.string().optional(),
});

/** Identity and labels of an object. */
export type ObjectMeta = DeepReadonly<z.output<typeof ObjectMeta>>;

/** Names that `metadata` may have in Kubernetes besides those above; read past. */
export const OTHER_METADATA_FIELDS: readonly string[] = [
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "finalizers",
  "generateName",
  "managedFields",
  "ownerReferences",
  "resourceVersion",
  "selfLink",
];
