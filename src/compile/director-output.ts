/** The live state of the incremental compiler: maps that one object at a time is put into. */
import type { Condition, ObjectKey } from "../api/conditions.ts";
import type { DesiredService, ServiceKey } from "../ipvs/model.ts";
import { DirectorHost } from "./director-host.ts";
import type { DirectorState, Retention } from "./model.ts";
import type { KeyedService } from "./services.ts";
import type { CompiledVirtualService } from "./virtual-service.ts";

/** What of the object set the objects themselves do not say. */
export interface SetFacts {
  /** See `ObjectSet.complete`. */
  readonly complete: boolean;
  /** Refused VirtualServices of which no good version is known. */
  readonly unreadable: ReadonlySet<ObjectKey>;
}

export class DirectorOutput {
  readonly #compiled = new Map<ObjectKey, CompiledVirtualService>();
  readonly #services = new Map<ServiceKey, DesiredService>();
  readonly #owners = new Map<ServiceKey, ObjectKey>();
  readonly #withheld = new Map<ServiceKey, "DryRun" | "Paused">();
  readonly #conditions = new Map<ObjectKey, readonly Condition[]>();
  readonly #host = new DirectorHost();
  /** Objects that keep something from before. */
  readonly #retaining = new Set<ObjectKey>();
  readonly #waiting = new Set<ObjectKey>();
  #changed = new Set<ServiceKey>();

  /** Puts the object's newest result in place of the one before; undefined = the object is gone. */
  put(key: ObjectKey, compiled: CompiledVirtualService | undefined): void {
    const before = this.#compiled.get(key);
    if (before !== undefined) this.#removeServices(before, compiled);
    this.#putHost(before, compiled);
    mark(this.#retaining, key, compiled !== undefined && retains(compiled));
    mark(this.#waiting, key, compiled?.waitsForFacts ?? false);
    if (compiled === undefined) {
      this.#compiled.delete(key);
      return;
    }
    this.#compiled.set(key, compiled);
    for (const service of compiled.services) {
      this.#putService(service, key, compiled.enforcement);
    }
  }

  setConditions(key: ObjectKey, conditions: readonly Condition[] | undefined): void {
    if (conditions === undefined) this.#conditions.delete(key);
    else this.#conditions.set(key, conditions);
  }

  compiled(key: ObjectKey): CompiledVirtualService | undefined {
    return this.#compiled.get(key);
  }

  /** Objects for which other facts may give another result. */
  get waitingForFacts(): ReadonlySet<ObjectKey> {
    return this.#waiting;
  }

  /** Keys that changed since the last call. */
  takeChanged(): ReadonlySet<ServiceKey> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  state(set: SetFacts): DirectorState {
    return {
      table: { services: this.#services },
      host: this.#host.desired(),
      conditions: this.#conditions,
      owners: this.#owners,
      withheld: this.#withheld,
      withheldAddresses: this.#host.withheldAddresses(),
      retained: this.#retention(set),
    };
  }

  /** Takes out what the newer result no longer has. */
  #removeServices(before: CompiledVirtualService, after: CompiledVirtualService | undefined): void {
    const keep = new Set(after?.services.map((service) => service.key));
    for (const service of before.services) {
      if (!keep.has(service.key)) this.#removeService(service.key, before.key);
    }
  }

  #putService(
    { key: serviceKey, desired }: KeyedService,
    owner: ObjectKey,
    enforcement: CompiledVirtualService["enforcement"],
  ): void {
    this.#services.set(serviceKey, desired);
    this.#owners.set(serviceKey, owner);
    if (enforcement === "Enforce") this.#withheld.delete(serviceKey);
    else this.#withheld.set(serviceKey, enforcement);
    this.#changed.add(serviceKey);
  }

  #removeService(serviceKey: ServiceKey, owner: ObjectKey): void {
    this.#changed.add(serviceKey);
    // Another object may have taken it over in the same pass.
    if (this.#owners.get(serviceKey) !== owner) return;
    this.#services.delete(serviceKey);
    this.#owners.delete(serviceKey);
    this.#withheld.delete(serviceKey);
  }

  #putHost(
    before: CompiledVirtualService | undefined,
    after: CompiledVirtualService | undefined,
  ): void {
    if (before !== undefined && after !== undefined) this.#host.replace(before, after);
    else if (after !== undefined) this.#host.add(after);
    else if (before !== undefined) this.#host.remove(before);
  }

  #retention({ complete, unreadable }: SetFacts): Retention {
    const owners = new Set(unreadable);
    const services = new Set<ServiceKey>();
    const destinations = new Set<ServiceKey>();
    for (const key of this.#retaining) {
      const retained = this.#compiled.get(key)?.retained;
      if (retained === undefined) continue;
      if (retained.owner) owners.add(key);
      for (const serviceKey of retained.services) services.add(serviceKey);
      for (const serviceKey of retained.destinations) destinations.add(serviceKey);
    }
    // What another object has by right is not kept for one that was refused it.
    for (const serviceKey of services)
      if (this.#services.has(serviceKey)) services.delete(serviceKey);
    const settings = !complete || owners.size + services.size > 0;
    const addresses = this.#host.retainedAddresses();
    return { everything: !complete, owners, services, destinations, addresses, settings };
  }
}

function retains({ retained, enforcement }: CompiledVirtualService): boolean {
  const { owner, services, destinations } = retained;
  return owner || enforcement !== "Enforce" || services.length + destinations.length > 0;
}

function mark(set: Set<ObjectKey>, key: ObjectKey, member: boolean): void {
  if (member) set.add(key);
  else set.delete(key);
}
