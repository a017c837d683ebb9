import { describe, expectTypeOf, it } from "vitest";

import type { ApiObject } from "./parse.ts";
import type { Backend, Server } from "./v1alpha1/backend.ts";
import type { Port } from "./v1alpha1/port.ts";
import type { RealServer } from "./v1alpha1/real-server.ts";
import type { Scheduler, VirtualService } from "./v1alpha1/virtual-service.ts";

describe("inferred types", () => {
  it("a kind is told by its literal", () => {
    expectTypeOf<ApiObject["kind"]>().toEqualTypeOf<"VirtualService" | "RealServer">();
    expectTypeOf<Extract<ApiObject, { kind: "RealServer" }>>().toEqualTypeOf<RealServer>();
  });

  it("fields with a default are always there, others may be absent", () => {
    expectTypeOf<VirtualService["metadata"]["namespace"]>().toEqualTypeOf<string>();
    expectTypeOf<VirtualService["spec"]["scheduler"]>().toEqualTypeOf<Scheduler>();
    expectTypeOf<VirtualService["spec"]["drain"]>().toEqualTypeOf<{
      readonly timeoutSeconds: number;
      readonly whenExpired: "Remove" | "Wait";
    }>();
    expectTypeOf<Port>().toEqualTypeOf<{
      readonly port: number;
      readonly endPort?: number | undefined;
      readonly protocol: "TCP" | "UDP" | "SCTP";
      readonly name?: string | undefined;
      readonly targetPort?: number | undefined;
      readonly onePacketScheduling: "Enabled" | "Disabled";
    }>();
    expectTypeOf<VirtualService["spec"]["firewallMark"]>().toEqualTypeOf<
      { readonly type: "External"; readonly value: number } | undefined
    >();
    expectTypeOf<RealServer["spec"]["adminState"]>().toEqualTypeOf<
      "Enabled" | "Draining" | "Disabled"
    >();
  });

  it("lists and everything in them are read-only", () => {
    expectTypeOf<VirtualService["spec"]["backends"]>().toEqualTypeOf<readonly Backend[]>();
    expectTypeOf<NonNullable<Backend["servers"]>>().toEqualTypeOf<readonly Server[]>();
    expectTypeOf<Server>().toEqualTypeOf<{
      readonly address: string;
      readonly port: number;
      readonly weight: number;
      readonly upperThreshold?: number | undefined;
      readonly lowerThreshold?: number | undefined;
    }>();
    expectTypeOf<RealServer["metadata"]["labels"]>().toEqualTypeOf<
      { readonly [x: string]: string } | undefined
    >();
  });
});
