/** The order in which people expect a table: that of `ipvsadm`. */
import { compareIp } from "../../lib/ip-address.ts";
import type {
  ObservedService,
  ObservedTable,
  Protocol,
  ServiceIdentity,
} from "../../ipvs/model.ts";

const PROTOCOL_RANK: Readonly<Record<Protocol, number>> = { TCP: 0, UDP: 1, SCTP: 2 };

/** Services by family, protocol, address and port, marks last; destinations by address and port. */
export function inListOrder(table: ObservedTable): readonly ObservedService[] {
  const services = [...table.services.values()].map((observed) => ({
    ...observed,
    destinations: observed.destinations.toSorted(
      (a, b) =>
        compareIp(a.destination.address, b.destination.address) ||
        a.destination.port - b.destination.port,
    ),
  }));
  return services.toSorted((a, b) => compareIdentity(a.service.identity, b.service.identity));
}

function compareIdentity(a: ServiceIdentity, b: ServiceIdentity): number {
  if (a.kind === "mark" && b.kind === "mark") {
    return a.mark - b.mark || a.family.localeCompare(b.family);
  }
  if (a.kind === "mark" || b.kind === "mark") return a.kind === "mark" ? 1 : -1;
  return (
    a.family.localeCompare(b.family) ||
    PROTOCOL_RANK[a.protocol] - PROTOCOL_RANK[b.protocol] ||
    compareIp(a.address, b.address) ||
    a.port - b.port
  );
}
