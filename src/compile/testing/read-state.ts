/** Compiles and shows states in short, so that tests read as sentences. */
import type { Condition } from "../../api/conditions.ts";
import { formatEndpoint, type Destination } from "../../ipvs/model.ts";
import { compileDirector } from "../director.ts";
import type { DirectorState, NodeFacts } from "../model.ts";
import { objectsOf, someFacts } from "./builders.ts";

/** Objects of both kinds. */
export type Objects = Parameters<typeof objectsOf>[0];

export function compile(list: Objects, facts: Partial<NodeFacts> = {}): DirectorState {
  return compileDirector(objectsOf(list), someFacts(facts));
}

/** Service keys with their destinations as `192.0.2.21:80 DR 1`. */
export function tableOf(state: DirectorState): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...state.table.services].map(([key, { destinations }]) => [key, destinations.map(show)]),
  );
}

function show({ address, port, method, weight }: Destination): string {
  return `${formatEndpoint(address, port)} ${method} ${weight}`;
}

const WEB = "VirtualService shop/web";

/** `type reason` of everything that is not in order. */
export function troubles(
  state: Pick<DirectorState, "conditions">,
  key: string = WEB,
): readonly string[] {
  return conditionsOf(state, key)
    .filter(({ type, status }) => (status === "True") === (type === "Degraded"))
    .map(({ type, reason }) => `${type} ${reason}`);
}

/** All messages about an object. */
export function messages(state: Pick<DirectorState, "conditions">, key: string = WEB): string {
  return conditionsOf(state, key)
    .map(({ message }) => message)
    .join("\n");
}

function conditionsOf(state: Pick<DirectorState, "conditions">, key: string): readonly Condition[] {
  return state.conditions.get(key) ?? [];
}
