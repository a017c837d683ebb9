import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { VirtualService } from "../../api/v1alpha1/virtual-service.ts";
import { aVirtualService, servers } from "../../compile/testing/builders.ts";
import { serviceKey, type ObservedTable, type ServiceKey } from "../../ipvs/model.ts";
import { aDestination, aService, anIdentity } from "../../ipvs/testing/builders.ts";
import { NetlinkLostError } from "../../netlink/errors.ts";
import { DirectorFixture } from "../testing/director-fixture.ts";

/** Objects by name: address, scheduler, and a weight for each of three servers; 0 weight drains. */
interface Wish {
  readonly vip: number;
  readonly scheduler: string;
  readonly weights: readonly (number | null)[];
}
type Wishes = readonly (Wish | null)[];

const wish: fc.Arbitrary<Wish> = fc.record({
  vip: fc.integer({ min: 10, max: 12 }),
  scheduler: fc.constantFrom("rr", "wlc", "mh", "sh"),
  weights: fc
    .array(fc.option(fc.integer({ min: 0, max: 3 })), { minLength: 3, maxLength: 3 })
    .filter((weights) => weights.some((weight) => weight !== null)),
});
const wishes: fc.Arbitrary<Wishes> = fc.array(fc.option(wish, { freq: 4 }), {
  minLength: 3,
  maxLength: 3,
});

type Event =
  | { readonly kind: "wish"; readonly wishes: Wishes }
  | { readonly kind: "lost answers" | "flushed" | "restart" | "audit" | "edited" | "VIP taken off" }
  | { readonly kind: "killed"; readonly after: number }
  | { readonly kind: "busy"; readonly connections: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("wish" as const), wishes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(["lost answers", "flushed", "restart", "audit", "edited", "VIP taken off"] as const),
      ),
    }),
  },
  fc.record({ kind: fc.constant("killed" as const), after: fc.nat({ max: 6 }) }),
  fc.record({ kind: fc.constant("busy" as const), connections: fc.nat({ max: 2 }) }),
);

function objectsFor(list: Wishes): VirtualService[] {
  return list.flatMap((each, index) => {
    if (each === null) return [];
    const { vip, scheduler, weights } = each;
    const members = weights.flatMap((weight, i) =>
      weight === null ? [] : [{ address: `192.0.2.${21 + i}`, weight }],
    );
    return aVirtualService(
      { name: `web${index}` },
      {
        addresses: [{ ip: `192.0.2.${vip}` }],
        ports: [{ port: 80 + index }],
        scheduler,
        drain: { timeoutSeconds: 30 },
        backends: [servers(...members)],
      },
    );
  });
}

/** Services that can take a new connection. */
function serving({ services }: ObservedTable): Set<ServiceKey> {
  return new Set(
    [...services].flatMap(([key, { destinations }]) =>
      destinations.some(({ destination }) => destination.weight > 0) ? [key] : [],
    ),
  );
}

class Killed extends Error {}

class History implements Disposable {
  readonly world = new DirectorFixture();
  #wishes: Wishes = [];

  [Symbol.dispose](): void {
    this.world[Symbol.dispose]();
  }

  play(happening: Event): Promise<void> {
    switch (happening.kind) {
      case "wish":
        return this.#follow(happening.wishes);
      case "killed":
        return this.#kill(happening.after);
      case "busy":
        return this.#occupy(happening.connections);
      default:
        return this.#suffer[happening.kind]();
    }
  }

  readonly #suffer = {
    "lost answers": async (): Promise<void> =>
      this.world.kernel.loseAnswers(1, () => new NetlinkLostError("write", "overrun")),
    flushed: async (): Promise<void> => {
      const { kernel } = this.world;
      for (const { service } of kernel.table().services.values()) {
        kernel.execute({ op: "delete-service", identity: service.identity });
      }
    },
    edited: async (): Promise<void> => this.#edit(),
    "VIP taken off": (): Promise<void> =>
      this.world.node.host.change((node) => {
        const vip = node.observe([]).addresses.find((address) => address.ours);
        if (vip !== undefined) node.removeAddress(vip);
      }),
    restart: (): Promise<void> => {
      this.world.restart();
      return this.world.converge("start");
    },
    audit: (): Promise<void> => this.world.audit(),
  };

  /** A service that can serve before and after never has nobody to serve in between. */
  async #follow(next: Wishes): Promise<void> {
    const { world } = this;
    await world.audit();
    const before = serving(world.kernel.table());
    const objects = objectsFor(next);
    const after = new Set(
      objects.flatMap(({ spec }) =>
        spec.backends.some((backend) => backend.servers?.some((s) => (s.weight ?? 1) > 0))
          ? [serviceKey(anIdentity(spec.addresses[0]?.ip, spec.ports[0]?.port))]
          : [],
      ),
    );
    const lasting = before.intersection(after);
    const gaps = new Set<ServiceKey>();
    world.kernel.failWhen(() => {
      for (const key of lasting.difference(serving(world.kernel.table()))) gaps.add(key);
      return undefined;
    });
    this.#wishes = next;
    await world.apply(objects);
    world.kernel.failWhen(() => undefined);
    expect(gaps).toEqual(new Set());
  }

  /** Somebody adds a server and a port by hand. */
  #edit(): void {
    const { kernel } = this.world;
    const [first] = kernel.table().services.values();
    if (first === undefined) return;
    const { identity } = first.service;
    const destination = aDestination({ address: "192.0.2.99", method: "DR" });
    kernel.execute({ op: "create-destination", identity, destination });
    if (identity.kind !== "address") return;
    const stray = aService({ identity: anIdentity(identity.address, 8_443) });
    kernel.execute({ op: "create-service", service: stray });
  }

  /** The process dies after some more commands, at the next change. */
  async #kill(after: number): Promise<void> {
    const { world } = this;
    let left = after;
    world.kernel.failWhen(() => {
      left -= 1;
      if (left < 0) throw new Killed();
      return undefined;
    });
    world.wish(objectsFor(this.#wishes.toReversed()));
    await world.pass("objects").catch(() => undefined);
    world.kernel.failWhen(() => undefined);
    this.#wishes = this.#wishes.toReversed();
    world.restart();
    await world.converge("start");
  }

  async #occupy(active: number): Promise<void> {
    const { kernel } = this.world;
    for (const { service, destinations } of kernel.table().services.values()) {
      for (const { destination } of destinations) {
        kernel.setConnections(service.identity, destination, { active });
      }
    }
  }

  /** All drains are over and every audit has been. */
  async settle(): Promise<void> {
    const { world } = this;
    await this.#occupy(0);
    for (let round = 0; round < 3; round++) await world.audit();
    world.clock.advance(31_000);
    await world.audit();
  }

  /** The same objects on a fresh node. */
  async expected(): Promise<DirectorFixture> {
    const fresh = new DirectorFixture();
    await fresh.apply(objectsFor(this.#wishes));
    return fresh;
  }
}

/** In an order that history does not decide. */
function sorted(table: Record<string, readonly string[]>): unknown {
  return Object.fromEntries(
    Object.entries(table)
      .map(([key, destinations]) => [key, destinations.toSorted()] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

describe("whatever happened", () => {
  it("table, VIPs and journal follow from the last objects alone", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 8 }), async (events) => {
        using history = new History();
        const { world } = history;
        await world.apply([]);
        for (const each of events) await history.play(each);
        await history.settle();
        using fresh = await history.expected();
        expect(sorted(world.table)).toEqual(sorted(fresh.table));
        expect(world.node.host.world.state()).toEqual(fresh.node.host.world.state());
        expect((await world.node.openJournal().load()).journal).toEqual(
          (await fresh.node.openJournal().load()).journal,
        );
        world.restart();
        await world.converge("start");
        expect(world.client.counters.commands).toBe(0);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
