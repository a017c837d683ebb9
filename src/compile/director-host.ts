/**
 * What the VirtualServices of a director need of the node around IPVS: VIPs on interfaces and
 * kernel settings. Counts uses, so that one changed object costs little among many.
 */
import type { DesiredAddress, DesiredHost, DesiredSysctl } from "../host/model.ts";
import { compareDestinations } from "../ipvs/order.ts";
import type { CompiledVirtualService } from "./virtual-service.ts";

/**
 * Settings of every director whose kernel defaults do harm: a connection of a deleted destination
 * goes silent until it times out (`expire_nodest_conn`), persistence keeps sending known clients to
 * a drained server (`expire_quiescent_template`), a reused client port may stick to a server that
 * is gone (`conn_reuse_mode`), and a standby director hears of a connection only with its third
 * packet (`sync_threshold`). Kernels without one of them do without.
 */
export const DIRECTOR_SETTINGS: readonly DesiredSysctl[] = [
  { key: { kind: "vs", name: "expire_nodest_conn" }, value: 1, optional: true },
  { key: { kind: "vs", name: "expire_quiescent_template" }, value: 1, optional: true },
  { key: { kind: "vs", name: "conn_reuse_mode" }, value: 1, optional: true },
  { key: { kind: "vs", name: "sync_threshold" }, value: "2 50", optional: true },
];

/** Packets of NAT are forwarded both ways by the node. */
const FORWARDING: Readonly<Record<"IPv4" | "IPv6", DesiredSysctl>> = {
  IPv4: { key: { kind: "ipv4", name: "ip_forward" }, value: 1, optional: false },
  IPv6: { key: { kind: "ipv6", name: "conf/all/forwarding" }, value: 1, optional: false },
};

interface VipUse {
  /** Uses by objects that are enforced and want it bound. */
  enforced: number;
  /** Uses by objects in DryRun or Paused. */
  withheld: number;
  /** Uses by objects that are refused but may have it bound from before. */
  retained: number;
  desired: DesiredAddress | undefined;
}

export class DirectorHost {
  readonly #vips = new Map<string, VipUse>();
  /** Number of enforced objects with services, by what they need: `any`, `IPv4 NAT`, `NAT eth0`. */
  readonly #needs = new Map<string, number>();
  #host: DesiredHost = { addresses: [], sysctls: [], links: [] };
  #withheld: ReadonlySet<string> = new Set();
  #retained: ReadonlySet<string> = new Set();
  #stale = false;

  add(compiled: CompiledVirtualService): void {
    this.#count(compiled, 1);
  }

  remove(compiled: CompiledVirtualService): void {
    this.#count(compiled, -1);
  }

  /** Replaces the contribution of an object; nothing is rebuilt when both need the same. */
  replace(before: CompiledVirtualService, after: CompiledVirtualService): void {
    if (needsAlike(before, after)) return;
    this.remove(before);
    this.add(after);
  }

  desired(): DesiredHost {
    this.#refresh();
    return this.#host;
  }

  /** VIPs of DryRun and Paused objects that nothing enforced needs. */
  withheldAddresses(): ReadonlySet<string> {
    this.#refresh();
    return this.#withheld;
  }

  /** Those, and VIPs of refused objects that nothing enforced needs. */
  retainedAddresses(): ReadonlySet<string> {
    this.#refresh();
    return this.#retained;
  }

  #count(compiled: CompiledVirtualService, step: 1 | -1): void {
    this.#stale = true;
    const { vips, retained, enforcement } = compiled;
    for (const address of retained.addresses) this.#use(address, "retained", step);
    if (enforcement !== "Enforce") {
      for (const { address } of vips) this.#use(address, "withheld", step);
      return;
    }
    for (const vip of vips) {
      const use = this.#use(vip.address, "enforced", step);
      if (step > 0) use.desired = vip;
    }
    for (const need of needsOf(compiled)) {
      this.#needs.set(need, (this.#needs.get(need) ?? 0) + step);
    }
  }

  #use(address: string, field: "enforced" | "withheld" | "retained", step: 1 | -1): VipUse {
    let use = this.#vips.get(address);
    if (use === undefined) {
      use = { enforced: 0, withheld: 0, retained: 0, desired: undefined };
      this.#vips.set(address, use);
    }
    use[field] += step;
    if (use.enforced + use.withheld + use.retained === 0) this.#vips.delete(address);
    return use;
  }

  #refresh(): void {
    if (!this.#stale) return;
    this.#stale = false;
    const addresses: DesiredAddress[] = [];
    const withheld = new Set<string>();
    const retained = new Set<string>();
    for (const [address, use] of this.#vips) {
      if (use.enforced > 0 && use.desired !== undefined) {
        addresses.push(use.desired);
        continue;
      }
      if (use.withheld > 0) withheld.add(address);
      retained.add(address);
    }
    addresses.sort((a, b) => compareDestinations(portless(a), portless(b)));
    this.#host = { addresses, sysctls: this.#sysctls(), links: [] };
    this.#withheld = withheld;
    this.#retained = retained;
  }

  #sysctls(): readonly DesiredSysctl[] {
    const needs = [...this.#needs].filter(([, count]) => count > 0).map(([need]) => need);
    if (needs.length === 0) return [];
    const forwarding = (["IPv4", "IPv6"] as const)
      .filter((family) => needs.includes(`${family} NAT`))
      .map((family) => FORWARDING[family]);
    const redirects = needs
      .filter((need) => need.startsWith(REDIRECTS))
      .map((need) => need.slice(REDIRECTS.length))
      .sort();
    // The kernel sends redirects when either `all` or the interface says so.
    const all = redirects.length === 0 ? [] : ["all", ...redirects];
    return [...DIRECTOR_SETTINGS, ...forwarding, ...all.map(noRedirects)];
  }
}

const REDIRECTS = "redirects ";

/**
 * With NAT, client and server may share the VIP's interface, and an ICMP redirect would make them
 * talk past the director. Only IPv4 has the setting.
 */
function noRedirects(interfaceName: string): DesiredSysctl {
  return {
    key: { kind: "conf", interfaceName, name: "send_redirects" },
    value: 0,
    optional: false,
  };
}

function needsOf({
  enforcement,
  services,
  natFamilies,
  vips,
}: CompiledVirtualService): readonly string[] {
  if (enforcement !== "Enforce" || services.length === 0) return [];
  const nat = natFamilies.map((family) => `${family} NAT`);
  if (!natFamilies.includes("IPv4")) return ["services", ...nat];
  const interfaces = new Set(vips.map(({ interfaceName }) => interfaceName));
  return ["services", ...nat, ...[...interfaces].map((name) => REDIRECTS + name)];
}

function needsAlike(a: CompiledVirtualService, b: CompiledVirtualService): boolean {
  return needsText(a) === needsText(b);
}

function needsText(compiled: CompiledVirtualService): string {
  const vips = compiled.vips.map(({ address, interfaceName }) => [address, interfaceName]);
  return JSON.stringify([
    compiled.enforcement,
    vips,
    compiled.retained.addresses,
    needsOf(compiled),
  ]);
}

function portless({ address }: DesiredAddress): { address: string; port: number } {
  return { address, port: 0 };
}
