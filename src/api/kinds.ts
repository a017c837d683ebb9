/** Registry of all kinds: the one input of the generator, of the parser and of clients. */
import type { z } from "zod";

import { RealServer, RealServerSpec } from "./v1alpha1/real-server.ts";
import { CommonStatus } from "./v1alpha1/status.ts";
import { VirtualService, VirtualServiceSpec } from "./v1alpha1/virtual-service.ts";

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description: string;
  /** Shown only by `-o wide`. */
  readonly wide?: true;
}

/** Everything that Kubernetes needs to know about a kind. */
export interface KindDefinition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly description: string;
  readonly columns: readonly PrinterColumn[];
  /** Fields that a watch may select on, as JSON paths. */
  readonly selectableFields: readonly string[];
  /** The whole object as `parseObject` returns it. */
  readonly object: z.ZodObject;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
}

const CONDITION = (type: string, member: string): string =>
  `.status.conditions[?(@.type=="${type}")].${member}`;

const AGE: PrinterColumn = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since the object was created.",
};

export const VIRTUAL_SERVICE: KindDefinition = {
  kind: "VirtualService",
  plural: "virtualservices",
  singular: "virtualservice",
  shortNames: ["lvsvs"],
  categories: ["lvs"],
  scope: "Namespaced",
  description:
    "VirtualService makes directors answer on virtual addresses and ports, and forward each connection to one of the servers behind them in the kernel (IPVS).",
  columns: [
    {
      name: "Address",
      type: "string",
      jsonPath: ".spec.addresses[0].ip",
      description: "First virtual address.",
    },
    {
      name: "Port",
      type: "integer",
      jsonPath: ".spec.ports[0].port",
      description: "First port.",
    },
    {
      name: "Method",
      type: "string",
      jsonPath: ".spec.forwarding.method",
      description: "Forwarding method.",
    },
    {
      name: "Scheduler",
      type: "string",
      jsonPath: ".spec.scheduler",
      description: "Scheduler.",
    },
    {
      name: "Ready",
      type: "string",
      jsonPath: CONDITION("Ready", "status"),
      description: "Whether traffic flows as the object says.",
    },
    {
      name: "Reason",
      type: "string",
      jsonPath: CONDITION("Ready", "reason"),
      description: "Why it is ready or not.",
    },
    AGE,
    {
      name: "Group",
      type: "string",
      jsonPath: ".spec.directorGroupName",
      description: "DirectorGroup that carries the traffic.",
      wide: true,
    },
    {
      name: "Enforcement",
      type: "string",
      jsonPath: ".spec.enforcement",
      description: "Whether directors act on the object.",
      wide: true,
    },
  ],
  selectableFields: [".spec.directorGroupName", ".spec.enforcement"],
  object: VirtualService,
  spec: VirtualServiceSpec,
  status: CommonStatus,
};

export const REAL_SERVER: KindDefinition = {
  kind: "RealServer",
  plural: "realservers",
  singular: "realserver",
  shortNames: ["lvsrs"],
  categories: ["lvs"],
  scope: "Namespaced",
  description:
    "RealServer is a machine that answers for VirtualServices of its namespace, which find it by name or by labels.",
  columns: [
    {
      name: "Address",
      type: "string",
      jsonPath: ".spec.address",
      description: "Address of the server.",
    },
    {
      name: "Weight",
      type: "integer",
      jsonPath: ".spec.weight",
      description: "Weight as written.",
    },
    {
      name: "State",
      type: "string",
      jsonPath: ".spec.adminState",
      description: "Whether it takes new connections.",
    },
    {
      name: "Ready",
      type: "string",
      jsonPath: CONDITION("Ready", "status"),
      description: "Whether the machine is set up to answer.",
    },
    AGE,
  ],
  selectableFields: [".spec.address", ".spec.adminState"],
  object: RealServer,
  spec: RealServerSpec,
  status: CommonStatus,
};

/** All kinds, in the order of the documentation. */
export const KINDS: readonly KindDefinition[] = [VIRTUAL_SERVICE, REAL_SERVER];
