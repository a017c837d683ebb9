/** Rules that look at more than one field of a VirtualService's spec. */
import type { z } from "zod";

import { failIf, type Rule, type Violation } from "../rules.ts";
import type { Backend } from "./backend.ts";
import type { Forwarding } from "./forwarding.ts";
import type { Port } from "./port.ts";

/** Kernel services that one VirtualService may come to. */
export const MAX_KERNEL_SERVICES = 1024;
/** Schedulers that look at weights, so that a backend's share means something. */
const WEIGHTED_SCHEDULERS = ["wrr", "wlc", "sed", "nq", "twos", "sh", "mh"];

/** What the rules need to know of the spec; the schema itself is built with them. */
interface Spec {
  addresses: { ip: string }[];
  ports: z.output<typeof Port>[];
  firewallMark?: object | undefined;
  scheduler: string;
  hashing?: object | undefined;
  forwarding: z.output<typeof Forwarding>;
  persistence?: object | undefined;
  backends: z.output<typeof Backend>[];
}

const keepsPort = (spec: Spec): boolean => spec.forwarding.method !== "NAT";
const lastPort = (port: Spec["ports"][number]): number => port.endPort ?? port.port;
const rangeText = (port: Spec["ports"][number]): string =>
  port.endPort === undefined ? String(port.port) : `${port.port}-${port.endPort}`;

/** A violation for each item that `broken` holds for, at `field[index].leaf`. */
function failEach<T>(
  items: readonly T[],
  broken: (item: T) => boolean,
  pathOf: (index: number) => readonly (string | number)[],
): readonly Violation[] {
  return items.flatMap((item, index) => failIf(broken(item), ...pathOf(index)));
}

function allPortsNeedPersistence(spec: Spec): readonly Violation[] {
  if (spec.persistence !== undefined) return [];
  return failEach(
    spec.ports,
    (port) => port.port === 0,
    (index) => ["ports", index, "port"],
  );
}

function onePacketMethod(spec: Spec): readonly Violation[] {
  if (keepsPort(spec)) return [];
  return failEach(
    spec.ports,
    (port) => port.onePacketScheduling === "Enabled",
    (index) => ["ports", index, "onePacketScheduling"],
  );
}

function portChangeMethod(spec: Spec): readonly Violation[] {
  if (!keepsPort(spec)) return [];
  return failEach(
    spec.ports,
    ({ port, targetPort }) => targetPort !== undefined && targetPort !== port,
    (index) => ["ports", index, "targetPort"],
  );
}

function serverPortSingle(spec: Spec): readonly Violation[] {
  if (spec.ports.length === 1 && !keepsPort(spec)) return [];
  return spec.backends.flatMap(({ servers = [] }, backend) =>
    failEach(
      servers,
      (server) => server.port !== 0,
      (index) => ["backends", backend, "servers", index, "port"],
    ),
  );
}

function serviceCount(spec: Spec): readonly Violation[] {
  if (spec.firewallMark !== undefined) return [];
  const ports = spec.ports.reduce((sum, port) => sum + lastPort(port) - port.port + 1, 0);
  const services = spec.addresses.length * ports;
  if (services <= MAX_KERNEL_SERVICES) return [];
  const detail = `${spec.addresses.length} x ${ports} = ${services}`;
  return [{ path: ["ports"], detail }];
}

function portsOverlap(spec: Spec): readonly Violation[] {
  return spec.ports.flatMap((port, index) => {
    const earlier = spec.ports
      .slice(0, index)
      .find(
        (other) =>
          other.protocol === port.protocol &&
          lastPort(other) >= port.port &&
          other.port <= lastPort(port),
      );
    if (earlier === undefined) return [];
    const detail = `${port.protocol} ${rangeText(port)} overlaps ${rangeText(earlier)}`;
    return [{ path: ["ports", index, "port"], detail }];
  });
}

/** Violations for items whose key an earlier item has; undefined keys are not compared. */
function repeated<T, K>(
  items: readonly T[],
  keyOf: (item: T) => K | undefined,
  pathOf: (index: number) => readonly (string | number)[],
): readonly Violation[] {
  const seen = new Set<K>();
  return items.flatMap((item, index) => {
    const key = keyOf(item);
    if (key === undefined) return [];
    const broken = seen.has(key);
    seen.add(key);
    return failIf(broken, ...pathOf(index));
  });
}

function markOnePacket({ firewallMark, ports }: Spec): readonly Violation[] {
  if (firewallMark === undefined) return [];
  const udp = ports.filter((port) => port.protocol === "UDP");
  const kinds = new Set(udp.map((port) => port.onePacketScheduling));
  return failIf(kinds.size > 1, "ports");
}

export const VIRTUAL_SERVICE_RULES: readonly Rule<Spec>[] = [
  {
    id: "all-ports-persistence",
    rule: "!self.ports.exists(p, p.port == 0) || has(self.persistence)",
    message: "must set `persistence` where a `port` is 0: the kernel requires it",
    fieldPath: ".ports",
    violations: allPortsNeedPersistence,
  },
  {
    id: "one-packet-method",
    rule: "self.ports.all(p, p.onePacketScheduling == 'Disabled') || self.forwarding.method in ['DR', 'TUN']",
    message: "may not enable `onePacketScheduling` unless `forwarding.method` is DR or TUN",
    fieldPath: ".ports",
    violations: onePacketMethod,
  },
  {
    id: "port-change-method",
    rule: "!(self.forwarding.method in ['DR', 'TUN']) || self.ports.all(p, !has(p.targetPort) || p.targetPort == p.port)",
    message:
      "must be equal to `port`: `forwarding.method` DR and TUN cannot change ports, remove `targetPort` or use NAT",
    fieldPath: ".ports",
    violations: portChangeMethod,
  },
  {
    id: "server-port-single",
    rule: "self.backends.all(b, !has(b.servers) || b.servers.all(s, s.port == 0 || (size(self.ports) == 1 && !(self.forwarding.method in ['DR', 'TUN']))))",
    message:
      "must be 0 for the `port` of a server, unless `forwarding.method` is NAT and `ports` has one entry",
    fieldPath: ".backends",
    violations: serverPortSingle,
  },
  {
    id: "hashing-scheduler",
    rule: "!has(self.hashing) || self.scheduler in ['sh', 'mh']",
    message: "may not set `hashing` unless `scheduler` is sh or mh",
    fieldPath: ".hashing",
    violations: ({ hashing, scheduler }) =>
      failIf(hashing !== undefined && scheduler !== "sh" && scheduler !== "mh", "hashing"),
  },
  {
    id: "service-count",
    rule: `has(self.firewallMark) || size(self.addresses) * self.ports.map(p, has(p.endPort) ? p.endPort - p.port + 1 : 1).sum() <= ${MAX_KERNEL_SERVICES}`,
    message:
      "must come to at most 1,024 kernel services (addresses times single ports); use `firewallMark` for more",
    fieldPath: ".ports",
    violations: serviceCount,
  },
  {
    id: "ports-overlap",
    rule: "self.ports.all(p, size(self.ports.filter(q, q.protocol == p.protocol && (has(q.endPort) ? q.endPort : q.port) >= p.port && q.port <= (has(p.endPort) ? p.endPort : p.port))) <= 1)",
    message: "may not have port ranges of one `protocol` that overlap",
    fieldPath: ".ports",
    violations: portsOverlap,
  },
  {
    id: "port-names-unique",
    rule: "self.ports.all(p, !has(p.name) || self.ports.exists_one(q, has(q.name) && q.name == p.name))",
    message: "may not use the `name` of a port twice",
    fieldPath: ".ports",
    violations: ({ ports }) =>
      repeated(
        ports,
        (port) => port.name,
        (index) => ["ports", index, "name"],
      ),
  },
  {
    id: "addresses-unique",
    rule: "self.addresses.all(a, self.addresses.exists_one(b, b.ip == a.ip))",
    message: "may not use an `ip` twice",
    fieldPath: ".addresses",
    violations: ({ addresses }) =>
      repeated(
        addresses,
        (address) => address.ip,
        (index) => ["addresses", index, "ip"],
      ),
  },
  {
    id: "mark-target-port",
    rule: "!has(self.firewallMark) || size(self.ports) == 1 || self.ports.all(p, !has(p.targetPort) || p.targetPort == p.port)",
    message:
      "must be equal to `port` where `firewallMark` is set and `ports` has several entries: one kernel service has one target port",
    fieldPath: ".ports",
    violations: ({ firewallMark, ports }) =>
      firewallMark === undefined || ports.length === 1
        ? []
        : failEach(
            ports,
            ({ port, targetPort }) => targetPort !== undefined && targetPort !== port,
            (index) => ["ports", index, "targetPort"],
          ),
  },
  {
    id: "mark-one-packet",
    rule: "!has(self.firewallMark) || !self.ports.exists(p, p.protocol == 'UDP' && p.onePacketScheduling == 'Enabled') || !self.ports.exists(p, p.protocol == 'UDP' && p.onePacketScheduling == 'Disabled')",
    message:
      "must have the same `onePacketScheduling` on all UDP ports where `firewallMark` is set: they are one kernel service",
    fieldPath: ".ports",
    violations: markOnePacket,
  },
  {
    id: "shares-all-or-none",
    rule: "self.backends.all(b, has(b.weight)) || self.backends.all(b, !has(b.weight))",
    message: "must set `weight` on all backends or on none",
    fieldPath: ".backends",
    violations: ({ backends }) =>
      backends.every((backend) => backend.weight === undefined)
        ? []
        : failEach(
            backends,
            (backend) => backend.weight === undefined,
            (index) => ["backends", index, "weight"],
          ),
  },
  {
    id: "shares-scheduler",
    rule: "self.backends.all(b, !has(b.weight)) || self.scheduler in ['wrr', 'wlc', 'sed', 'nq', 'twos', 'sh', 'mh']",
    message:
      "may not set `weight` on backends unless `scheduler` is one that follows weights: wrr, wlc, sed, nq, twos, sh or mh",
    fieldPath: ".backends",
    violations: ({ backends, scheduler }) =>
      WEIGHTED_SCHEDULERS.includes(scheduler)
        ? []
        : failEach(
            backends,
            (backend) => backend.weight !== undefined,
            (index) => ["backends", index, "weight"],
          ),
  },
];
