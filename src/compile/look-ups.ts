/** Addresses whose routes the director needs to know: those of all servers. */
import type { RealServer } from "../api/v1alpha1/real-server.ts";
import type { VirtualService } from "../api/v1alpha1/virtual-service.ts";
import type { AddressesToLookUp } from "./model.ts";

/** Server addresses of an object set, with every RealServer, referenced or not. */
export const addressesToLookUp: AddressesToLookUp = ({ virtualServices, realServers }) => {
  const addresses = new Set(realServers.map(({ spec }) => spec.address));
  for (const service of virtualServices) {
    forInlineAddresses(service, (address) => addresses.add(address));
  }
  return addresses;
};

/** A loop without lists in between, as it runs for each of thousands of objects. */
function forInlineAddresses({ spec }: VirtualService, use: (address: string) => void): void {
  for (const { servers } of spec.backends) {
    if (servers !== undefined) for (const { address } of servers) use(address);
  }
}

/** The same, kept up to date object by object. */
export class LookUps {
  readonly #uses = new Map<string, number>();
  readonly #added = new Set<string>();

  get all(): ReadonlySetLike<string> {
    return this.#uses;
  }

  /** Addresses that joined since `forgetAdded`. */
  get added(): ReadonlySet<string> {
    return this.#added;
  }

  forgetAdded(): void {
    this.#added.clear();
  }

  addService(service: VirtualService): void {
    forInlineAddresses(service, (address) => this.#add(address));
  }

  removeService(service: VirtualService): void {
    forInlineAddresses(service, (address) => this.#remove(address));
  }

  addRealServer(server: RealServer): void {
    this.#add(server.spec.address);
  }

  removeRealServer(server: RealServer): void {
    this.#remove(server.spec.address);
  }

  #add(address: string): void {
    const uses = this.#uses.get(address) ?? 0;
    this.#uses.set(address, uses + 1);
    if (uses === 0) this.#added.add(address);
  }

  #remove(address: string): void {
    const uses = this.#uses.get(address) ?? 0;
    if (uses > 1) this.#uses.set(address, uses - 1);
    else {
      this.#uses.delete(address);
      this.#added.delete(address);
    }
  }
}
