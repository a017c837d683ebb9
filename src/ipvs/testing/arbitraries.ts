/** Arbitrary values of the model, over everything the kernel can hold. */
import fc from "fast-check";
import { formatIp, isIp, type IpFamily } from "../../lib/ip-address.ts";
import type {
  Destination,
  Persistence,
  Service,
  ServiceIdentity,
  SyncDaemon,
  Tunnel,
} from "../model.ts";

const families = fc.constantFrom<IpFamily>("IPv4", "IPv6");
const ports = fc.nat({ max: 65_535 });
const names = fc.stringMatching(/^[a-z0-9_]{1,15}$/);
const u32 = fc.integer({ min: 0, max: 0xffffffff });

/** Canonical addresses of a family. */
export function addresses(family: IpFamily): fc.Arbitrary<string> {
  const bytes = family === "IPv4" ? 4 : 16;
  return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(formatIp).filter(isIp);
}

/** Identities by address and by mark. */
export const identities: fc.Arbitrary<ServiceIdentity> = families.chain((family) =>
  fc.oneof(
    fc.record({
      kind: fc.constant("address" as const),
      family: fc.constant(family),
      protocol: fc.constantFrom("TCP" as const, "UDP" as const, "SCTP" as const),
      address: addresses(family),
      port: ports,
    }),
    fc.record({
      kind: fc.constant("mark" as const),
      family: fc.constant(family),
      mark: fc.integer({ min: 1, max: 0xffffffff }),
    }),
  ),
);

function persistence(family: IpFamily): fc.Arbitrary<Persistence | undefined> {
  const mask = family === "IPv4" ? u32 : fc.integer({ min: 1, max: 128 });
  return fc.option(fc.record({ timeoutSeconds: fc.integer({ min: 1, max: 2_000_000 }), mask }), {
    nil: undefined,
  });
}

export const services: fc.Arbitrary<Service> = identities.chain((identity) =>
  fc.record({
    identity: fc.constant(identity),
    scheduler: names,
    schedulerFlags: fc.record({ fallback: fc.boolean(), port: fc.boolean(), third: fc.boolean() }),
    persistence: persistence(identity.family),
    onePacket: fc.boolean(),
    persistenceEngine: fc.option(names, { nil: undefined }),
  }),
);

const tunnels: fc.Arbitrary<Tunnel> = fc
  .record({
    type: fc.constantFrom("IPIP" as const, "GUE" as const, "GRE" as const),
    port: ports,
    checksum: fc.constantFrom("None" as const, "Checksum" as const, "RemoteChecksum" as const),
  })
  .map((tunnel) => ({ ...tunnel, port: tunnel.type === "GUE" ? tunnel.port : 0 }));

export const destinations: fc.Arbitrary<Destination> = families.chain((family) =>
  fc
    .record({
      family: fc.constant(family),
      address: addresses(family),
      port: ports,
      method: fc.constantFrom("NAT", "DR", "TUN", "LocalNode", "Bypass" as const),
      weight: fc.nat({ max: 2 ** 31 - 1 }),
      upperThreshold: u32,
      lowerThreshold: u32,
      tunnel: tunnels,
    })
    .map((d) => ({ ...d, tunnel: d.method === "TUN" ? d.tunnel : undefined })),
);

export const daemons: fc.Arbitrary<SyncDaemon> = families.chain((family) =>
  fc.record({
    role: fc.constantFrom("master" as const, "backup" as const),
    interfaceName: names,
    syncId: fc.nat({ max: 255 }),
    maxMessageBytes: fc.option(ports, { nil: undefined }),
    multicastGroup: fc.option(addresses(family), { nil: undefined }),
    multicastPort: fc.option(ports, { nil: undefined }),
    multicastTtl: fc.option(fc.nat({ max: 255 }), { nil: undefined }),
  }),
);
