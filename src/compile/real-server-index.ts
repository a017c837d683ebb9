/**
 * RealServer objects by namespace, name, label and address, and the reverse: who refers to a
 * RealServer. Without it, ten thousand selectors over ten thousand servers would be compared one
 * by one.
 */
import { objectKey } from "../api/conditions.ts";
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { LabelSelector } from "../api/v1alpha1/selector.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import { matchesSelector, type Labels } from "./selector.ts";

const NO_LABELS: Labels = {};

/** Map from text to a set that is never empty. */
class SetMap<T> {
  readonly #sets = new Map<string, Set<T>>();

  add(key: string, value: T): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: string, value: T): void {
    const set = this.#sets.get(key);
    set?.delete(value);
    if (set?.size === 0) this.#sets.delete(key);
  }

  get(key: string): ReadonlySet<T> {
    return this.#sets.get(key) ?? EMPTY;
  }
}
const EMPTY: ReadonlySet<never> = new Set();

// Namespaces and names are DNS names and label keys have no blank, so a blank separates safely.
const at = (namespace: string, ...rest: readonly string[]): string =>
  [namespace, ...rest].join(" ");

/** The RealServers of one object set. */
export class RealServerIndex {
  readonly #byName = new Map<string, RealServer>();
  readonly #byNamespace = new SetMap<RealServer>();
  readonly #byLabel = new SetMap<RealServer>();
  readonly #byAddress = new SetMap<RealServer>();

  add(server: RealServer): void {
    const { namespace, name } = server.metadata;
    this.#byName.set(at(namespace, name), server);
    this.#byNamespace.add(namespace, server);
    this.#byAddress.add(at(namespace, server.spec.address), server);
    for (const key of labelKeys(server)) this.#byLabel.add(key, server);
  }

  remove(server: RealServer): void {
    const { namespace, name } = server.metadata;
    this.#byName.delete(at(namespace, name));
    this.#byNamespace.delete(namespace, server);
    this.#byAddress.delete(at(namespace, server.spec.address), server);
    for (const key of labelKeys(server)) this.#byLabel.delete(key, server);
  }

  get(namespace: string, name: string): RealServer | undefined {
    return this.#byName.get(at(namespace, name));
  }

  /** RealServers of the namespace that the selector holds for, by name. */
  select(namespace: string, selector: LabelSelector): readonly RealServer[] {
    const key = selectorKey(namespace, selector);
    const candidates =
      key === undefined ? this.#byNamespace.get(namespace) : this.#byLabel.get(key);
    return [...candidates]
      .filter((server) => matchesSelector(selector, server.metadata.labels ?? NO_LABELS))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** The RealServer of the namespace that has the address; of several the first by name. */
  withAddress(namespace: string, address: string): RealServer | undefined {
    if (this.#byName.size === 0) return undefined;
    let first: RealServer | undefined;
    for (const server of this.#byAddress.get(at(namespace, address))) {
      if (first === undefined || server.metadata.name < first.metadata.name) first = server;
    }
    return first;
  }
}

/** Which VirtualServices may refer to a RealServer. */
export class ReferenceIndex {
  readonly #byName = new SetMap<string>();
  readonly #byLabel = new SetMap<string>();
  readonly #others = new SetMap<string>();

  add(service: VirtualService): void {
    if (!refersToObjects(service)) return;
    for (const { map, key } of this.#places(service)) map.add(key, objectKey(service));
  }

  remove(service: VirtualService): void {
    if (!refersToObjects(service)) return;
    for (const { map, key } of this.#places(service)) map.delete(key, objectKey(service));
  }

  /** Keys of VirtualServices that may refer to it; some may turn out not to. */
  *referrers(server: RealServer): Generator<string> {
    const { namespace, name } = server.metadata;
    yield* this.#byName.get(at(namespace, name));
    for (const key of labelKeys(server)) yield* this.#byLabel.get(key);
    yield* this.#others.get(namespace);
  }

  *#places(service: VirtualService): Generator<{ map: SetMap<string>; key: string }> {
    const { namespace } = service.metadata;
    for (const { realServers } of service.spec.backends) {
      for (const name of realServers?.names ?? [])
        yield { map: this.#byName, key: at(namespace, name) };
      if (realServers?.selector === undefined) continue;
      const key = selectorKey(namespace, realServers.selector);
      yield key === undefined ? { map: this.#others, key: namespace } : { map: this.#byLabel, key };
    }
  }
}

function refersToObjects({ spec }: VirtualService): boolean {
  return spec.backends.some(({ realServers }) => realServers !== undefined);
}

function labelKeys(server: RealServer): readonly string[] {
  const { namespace, labels } = server.metadata;
  return Object.entries(labels ?? NO_LABELS).map(([key, value]) => at(namespace, key, value));
}

/** One label that everything the selector holds for must have; undefined when it names none. */
function selectorKey(namespace: string, selector: LabelSelector): string | undefined {
  for (const [key, value] of Object.entries(selector.matchLabels ?? NO_LABELS)) {
    return at(namespace, key, value);
  }
  return undefined;
}
