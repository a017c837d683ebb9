/**
 * From all objects to what a director must look like. Level-triggered: the result depends on the
 * objects and the facts alone, and a compiler that is called again and again comes to the same as
 * one that starts afresh, at the cost of what changed.
 */
import { objectKey, type Condition, type ObjectKey } from "../api/conditions.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { ObjectSet } from "../source/source.ts";
import { Claims, claimsAlike } from "./claims.ts";
import { DirectorOutput } from "./director-output.ts";
import { listDifference } from "../lib/list-difference.ts";
import { LookUps } from "./look-ups.ts";
import type {
  CompileDirector,
  DirectorCompiler,
  DirectorUpdate,
  NodeFacts,
  Retention,
} from "./model.ts";
import { NodeView } from "./node-view.ts";
import { ACCEPTED_ONLY } from "./problems.ts";
import { RealServerIndex, ReferenceIndex } from "./real-server-index.ts";
import { compileVirtualService } from "./virtual-service.ts";

/** Compiles once. A bad object yields conditions and never changes what the others get. */
export const compileDirector: CompileDirector = (objects, facts) =>
  createDirectorCompiler().compile(objects, facts);

/** A compiler that remembers what it compiled and does only what changed. */
export function createDirectorCompiler(): DirectorCompiler {
  return new Compiler();
}

const NO_OBJECTS: ObjectSet = { virtualServices: [], realServers: [], refused: new Map() };

class Compiler implements DirectorCompiler {
  #objects: ObjectSet = NO_OBJECTS;
  #view: NodeView | undefined;
  #retained: Retention | undefined;
  #unreadableServers: ReadonlySet<ObjectKey> = new Set();
  #unreadableServices: ReadonlySet<ObjectKey> = new Set();
  readonly #services = new Map<ObjectKey, VirtualService>();
  readonly #realServers = new RealServerIndex();
  readonly #references = new ReferenceIndex();
  readonly #claims = new Claims();
  readonly #lookUps = new LookUps();
  readonly #output = new DirectorOutput();
  /** Objects to compile again, or to take out. */
  readonly #dirty = new Set<ObjectKey>();
  /** Objects whose conditions alone may differ. */
  readonly #restated = new Set<ObjectKey>();

  lookUps(objects: ObjectSet): ReturnType<DirectorCompiler["lookUps"]> {
    this.#takeObjects(objects);
    return { all: this.#lookUps.all, added: this.#lookUps.added };
  }

  compile(objects: ObjectSet, facts: NodeFacts): DirectorUpdate {
    this.#takeObjects(objects);
    const view = this.#takeFacts(facts);
    for (const key of this.#claims.settle()) this.#dirty.add(key);
    for (const key of this.#dirty) this.#compileOne(key, view);
    for (const key of this.#restated) this.#restate(key);
    this.#dirty.clear();
    this.#restated.clear();
    this.#lookUps.forgetAdded();
    const changed = this.#output.takeChanged();
    const state = this.#output.state({
      complete: objects.complete !== false,
      unreadable: this.#unreadableServices,
    });
    // What is no longer retained may be anything that the kernel still has.
    const all = !sameRetention(this.#retained, state.retained);
    this.#retained = state.retained;
    return { ...state, changed: all ? undefined : changed };
  }

  #compileOne(key: ObjectKey, view: NodeView): void {
    const service = this.#services.get(key);
    const ours = service?.spec.directorGroupName === view.facts.groupName;
    const compiled =
      service === undefined || !ours
        ? undefined
        : compileVirtualService(key, service, {
            view,
            realServers: this.#realServers,
            claims: this.#claims,
            unreadableServers: this.#unreadableServers,
          });
    this.#output.put(key, compiled);
    this.#restate(key);
  }

  /** Conditions of an object: its own, with those of a refused newer version before them. */
  #restate(key: ObjectKey): void {
    const refused = this.#objects.refused.get(key);
    const own = key.startsWith("RealServer ")
      ? this.#realServerConditions(key)
      : this.#output.compiled(key)?.conditions;
    if (refused === undefined) {
      this.#output.setConditions(key, own);
      return;
    }
    const others: readonly Condition[] = own?.filter(({ type }) => type !== refused.type) ?? [];
    this.#output.setConditions(key, [refused, ...others]);
  }

  #realServerConditions(key: ObjectKey): readonly Condition[] | undefined {
    const [namespace = "", name = ""] = key.slice("RealServer ".length).split("/");
    return this.#realServers.get(namespace, name) === undefined ? undefined : ACCEPTED_ONLY;
  }

  #takeObjects(objects: ObjectSet): void {
    const before = this.#objects;
    if (objects === before) return;
    this.#objects = objects;
    this.#takeRealServers(listDifference(before.realServers, objects.realServers));
    this.#takeServices(listDifference(before.virtualServices, objects.virtualServices));
    if (objects.refused !== before.refused) this.#takeRefused(before, objects);
    else if (objects.refused.size > 0) this.#takeUnreadable(objects);
  }

  #takeRealServers(difference: Difference<RealServer>): void {
    for (const server of difference.removed) {
      this.#realServers.remove(server);
      this.#lookUps.removeRealServer(server);
      this.#markUsersOf(server);
    }
    for (const server of difference.added) {
      this.#realServers.add(server);
      this.#lookUps.addRealServer(server);
      this.#markUsersOf(server);
    }
  }

  /** Who refers to it, and who has its address as a VIP. */
  #markUsersOf(server: RealServer): void {
    this.#restated.add(objectKey(server));
    for (const key of this.#references.referrers(server)) this.#dirty.add(key);
    for (const claimant of this.#claims.claimants(server.spec.address)) {
      this.#dirty.add(objectKey(claimant));
    }
  }

  #takeServices({ removed, added }: Difference<VirtualService>): void {
    // Where nothing was removed, nothing is a newer version of anything.
    const newVersions = new Map<ObjectKey, VirtualService>();
    if (removed.length > 0)
      for (const service of added) newVersions.set(objectKey(service), service);
    const alike = new Set<ObjectKey>();
    for (const service of removed) {
      const key = objectKey(service);
      const next = newVersions.get(key);
      if (next !== undefined && claimsAlike(service, next)) {
        this.#claims.replace(service, next);
        alike.add(key);
      } else {
        this.#claims.remove(service);
      }
      this.#references.remove(service);
      this.#lookUps.removeService(service);
      this.#services.delete(key);
      this.#dirty.add(key);
    }
    for (const service of added) {
      const key = objectKey(service);
      if (!alike.has(key)) this.#claims.add(service);
      this.#references.add(service);
      this.#lookUps.addService(service);
      this.#services.set(key, service);
      this.#dirty.add(key);
    }
  }

  #takeRefused(before: ObjectSet, after: ObjectSet): void {
    for (const key of before.refused.keys()) this.#restated.add(key);
    for (const key of after.refused.keys()) this.#restated.add(key);
    this.#takeUnreadable(after);
  }

  /** Refused objects of which the source has no good version. */
  #takeUnreadable({ refused }: ObjectSet): void {
    const keys = [...refused.keys()];
    this.#unreadableServices = new Set(
      keys.filter((key) => key.startsWith("VirtualService ") && !this.#services.has(key)),
    );
    const servers = new Set(
      keys.filter(
        (key) => key.startsWith("RealServer ") && this.#realServerConditions(key) === undefined,
      ),
    );
    const same =
      servers.size === this.#unreadableServers.size && servers.isSubsetOf(this.#unreadableServers);
    if (same) return;
    this.#unreadableServers = servers;
    for (const [key, { spec }] of this.#services) {
      if (spec.backends.some(({ type }) => type === "RealServers")) this.#dirty.add(key);
    }
  }

  #takeFacts(facts: NodeFacts): NodeView {
    const before = this.#view;
    if (before?.facts === facts) return before;
    const view = new NodeView(facts);
    this.#view = view;
    if (before === undefined || !sameForAll(before, view)) {
      for (const key of this.#services.keys()) this.#dirty.add(key);
      return view;
    }
    for (const key of this.#output.waitingForFacts) this.#dirty.add(key);
    for (const address of changedKeys(before.facts.occupiedAddresses, facts.occupiedAddresses)) {
      for (const claimant of this.#claims.claimants(address)) this.#dirty.add(objectKey(claimant));
    }
    return view;
  }
}

type Difference<T> = ReturnType<typeof listDifference<T>>;

/** Whether objects that nothing was in the way of get the same from both. */
function sameForAll(before: NodeView, after: NodeView): boolean {
  const { links, addresses, missingSchedulers, routes } = before.facts;
  const next = after.facts;
  const untouched =
    links === next.links &&
    addresses === next.addresses &&
    missingSchedulers === next.missingSchedulers &&
    before.facts.groupName === next.groupName &&
    before.facts.interfaceName === next.interfaceName;
  if (!untouched && before.fingerprint() !== after.fingerprint()) return false;
  return routes === next.routes || keepsRoutes(routes, next.routes);
}

/** Whether every route that was known is still the same. */
function keepsRoutes(before: NodeFacts["routes"], after: NodeFacts["routes"]): boolean {
  for (const [address, route] of before) {
    const now = after.get(address);
    if (now === route) continue;
    if (now?.local !== route.local || now.onLink !== route.onLink) return false;
  }
  return true;
}

function sameRetention(a: Retention | undefined, b: Retention): boolean {
  return (
    a !== undefined &&
    a.everything === b.everything &&
    sameSet(a.owners, b.owners) &&
    sameSet(a.services, b.services) &&
    sameSet(a.destinations, b.destinations)
  );
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b);
}

function changedKeys(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  if (before === after) return [];
  const all = new Set([...before.keys(), ...after.keys()]);
  return [...all].filter((key) => before.get(key) !== after.get(key));
}
