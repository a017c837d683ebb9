/** The workload in the kernel's own words, as `compile` makes it from the manifests. */
import { serviceKey, type DesiredService, type DesiredTable } from "../../src/ipvs/model.ts";
import type { Destination, ServiceIdentity } from "../../src/ipvs/model.ts";
import { destinationEndpoint, serviceEndpoint, type Size } from "./workload.ts";

export function desiredTable(size: Size): DesiredTable {
  const services = new Map<string, DesiredService>();
  for (let index = 0; index < size.services; index += 1) {
    const identity: ServiceIdentity = {
      kind: "address",
      family: "IPv4",
      protocol: "TCP",
      ...serviceEndpoint(index),
    };
    services.set(serviceKey(identity), {
      service: {
        identity,
        scheduler: "rr",
        schedulerFlags: { fallback: false, port: false, third: false },
        persistence: undefined,
        onePacket: false,
        persistenceEngine: undefined,
      },
      destinations: Array.from({ length: size.destinations }, (_, nth) => destination(index, nth)),
      drain: { timeoutSeconds: 300, whenExpired: "Remove" },
    });
  }
  return { services };
}

function destination(index: number, nth: number): Destination {
  return {
    family: "IPv4",
    ...destinationEndpoint(index, nth),
    method: "NAT",
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    tunnel: undefined,
  };
}
