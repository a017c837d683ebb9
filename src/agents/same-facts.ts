import { isDeepStrictEqual } from "node:util";
import type { NodeFacts } from "../compile/model.ts";

/**
 * The new facts, with each member that says the same as before replaced by the earlier object: the
 * compiler takes an identical member as unchanged.
 */
export function sameFacts(before: NodeFacts, now: NodeFacts): NodeFacts {
  const kept = <K extends keyof NodeFacts>(name: K): NodeFacts[K] =>
    before[name] === now[name] || isDeepStrictEqual(before[name], now[name])
      ? before[name]
      : now[name];
  return {
    nodeName: now.nodeName,
    groupName: now.groupName,
    interfaceName: now.interfaceName,
    links: kept("links"),
    addresses: kept("addresses"),
    routes: kept("routes"),
    missingSchedulers: kept("missingSchedulers"),
    occupiedAddresses: kept("occupiedAddresses"),
  };
}
