import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { failedManifest, readManifest } from "./manifest-file.ts";
import { ManifestStore, type SettledState } from "./manifest-store.ts";

const GRACE_MS = 1_000;
const EMPTY_LIST = "kind: List\nitems: []\n";

const rs = (name: string, weight = 1): string =>
  `apiVersion: lvs-operator.io/v1alpha1\nkind: RealServer\nmetadata: {name: ${name}, namespace: shop}\nspec: {address: 192.0.2.21, weight: ${weight}}\n`;

const files = (...documents: readonly string[]): string => documents.join("---\n");

/** A store with a clock and files as text. */
class World {
  readonly store = new ManifestStore(GRACE_MS);
  nowMs = 0;

  put(name: string, text: string): SettledState {
    this.store.set(name, readManifest(Buffer.from(text), this.store.file(name)));
    return this.settle();
  }

  fail(name: string, message: string): SettledState {
    this.store.set(name, failedManifest(message));
    return this.settle();
  }

  remove(name: string): SettledState {
    this.store.set(name, undefined);
    return this.settle();
  }

  later(): SettledState {
    this.nowMs += GRACE_MS;
    return this.settle();
  }

  settle(): SettledState {
    return this.store.settle(this.nowMs);
  }
}

/** `name weight` of each real server. */
const servers = ({ objects }: SettledState): readonly string[] | undefined =>
  objects?.realServers.map(({ metadata, spec }) => `${metadata.name} ${spec.weight}`);

const problems = (state: SettledState): readonly string[] =>
  state.problems.map(({ where, message }) => `${where} ${message}`);

describe("a store of manifests", () => {
  it("puts the objects of all files together", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    const state = world.put("c.yaml", rs("c", 3));
    expect(servers(state)).toEqual(["a 1", "b 1", "c 3"]);
    expect(state.problems).toEqual([]);
    expect(state.objects?.complete).toBe(true);
  });

  it("keeps objects that did not change as they are, and the whole set when none did", () => {
    const world = new World();
    const before = world.put("a.yaml", files(rs("a"), rs("b"))).objects;
    const commented = world.put("a.yaml", files(`# note\n${rs("a")}`, rs("b"))).objects;
    expect(commented).toBe(before);
    const after = world.put("a.yaml", files(`# note\n${rs("a")}`, rs("b", 5))).objects;
    expect(after?.realServers[0]).toBe(before?.realServers[0]);
    expect(after?.realServers[1]).not.toBe(before?.realServers[1]);
    expect(after?.refused).toBe(before?.refused);
  });

  it("removes an object when it was gone for a while", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    const soon = world.put("a.yaml", rs("a"));
    expect(servers(soon)).toEqual(["a 1", "b 1"]);
    expect(soon.recheckAtMs).toBe(GRACE_MS);
    expect(servers(world.later())).toEqual(["a 1"]);
  });

  it("removes the objects of a file that is gone while others remain", () => {
    const world = new World();
    world.put("a.yaml", rs("a"));
    world.put("b.yaml", rs("b"));
    world.remove("b.yaml");
    expect(servers(world.later())).toEqual(["a 1"]);
  });

  it("moves an object from file to file without losing it", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    world.put("a.yaml", rs("a"));
    const moved = world.put("b.yaml", rs("b"));
    expect(moved.problems).toEqual([]);
    expect(servers(world.later())).toEqual(["a 1", "b 1"]);
  });
});

describe("a refused document", () => {
  const broken = rs("a").replace("weight", "wieght");

  it("keeps the last good version of its object, and the other documents go on", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    const state = world.put("a.yaml", files(broken, rs("b", 7)));
    expect(servers(state)).toEqual(["a 1", "b 7"]);
    expect(problems(state)[0]).toMatch(/^a\.yaml:4:29 spec\.wieght: unknown field/);
    expect(state.objects?.refused.get("RealServer shop/a")).toMatchObject({
      type: "Accepted",
      status: "False",
      reason: "Invalid",
      message: expect.stringMatching(/^a\.yaml:4:29: spec\.wieght: unknown field/) as string, // vitest types matchers as any
    });
    const repaired = world.put("a.yaml", files(rs("a", 2), rs("b", 7)));
    expect(servers(repaired)).toEqual(["a 2", "b 7"]);
    expect(repaired.objects?.refused.size).toBe(0);
  });

  it("keeps what is missing behind it, because the file may be half written", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    world.put("a.yaml", broken);
    expect(servers(world.later())).toEqual(["a 1", "b 1"]);
    world.put("a.yaml", rs("a", 2));
    expect(servers(world.later())).toEqual(["a 2"]);
  });

  it("is named by its new line when text before it grows", () => {
    const world = new World();
    world.put("a.yaml", files(rs("b"), broken));
    const state = world.put("a.yaml", files(rs("x"), rs("b"), broken));
    expect(problems(state)[0]).toContain("a.yaml:14:29");
    expect(state.objects?.refused.get("RealServer shop/a")?.message).toContain("a.yaml:14:29");
  });

  it("that was never good is refused and nothing more", () => {
    const state = new World().put("a.yaml", files(broken, rs("b")));
    expect(servers(state)).toEqual(["b 1"]);
    expect(state.objects?.refused.has("RealServer shop/a")).toBe(true);
    expect(state.objects?.complete).toBe(true);
  });
});

describe("a document that cannot be told", () => {
  const garbage = "a: [1\n";

  it("keeps everything that the file had", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    world.put("b.yaml", rs("c"));
    world.put("a.yaml", files(garbage, rs("b", 9)));
    expect(servers(world.later())).toEqual(["a 1", "b 9", "c 1"]);
    expect(world.settle().objects?.complete).toBe(true);
    world.put("a.yaml", rs("b", 9));
    expect(servers(world.later())).toEqual(["b 9", "c 1"]);
  });

  it("that is there from the start makes the set incomplete until it is repaired or gone", () => {
    const world = new World();
    expect(world.put("a.yaml", files(garbage, rs("b"))).objects?.complete).toBe(false);
    expect(world.put("a.yaml", files(rs("a"), rs("b"))).objects?.complete).toBe(true);
    expect(world.put("z.yaml", garbage).objects?.complete).toBe(false);
    expect(world.remove("z.yaml").objects?.complete).toBe(true);
  });

  it("may be a file that cannot be read at all", () => {
    const world = new World();
    world.put("a.yaml", files(rs("a"), rs("b")));
    expect(problems(world.fail("a.yaml", "cannot be read: EIO"))).toEqual([
      "a.yaml cannot be read: EIO",
    ]);
    expect(servers(world.later())).toEqual(["a 1", "b 1"]);
  });
});

describe("an object in two places", () => {
  it("is refused with both places and keeps its last good version", () => {
    const world = new World();
    world.put("a.yaml", files(rs("x"), rs("a")));
    const state = world.put("b.yaml", rs("a", 8));
    expect(servers(state)).toEqual(["x 1", "a 1"]);
    expect(state.objects?.refused.get("RealServer shop/a")?.message).toBe(
      "is in a.yaml:6:1 and in b.yaml:1:1; remove all but one",
    );
    expect(problems(state)).toEqual([
      "a.yaml:6:1 RealServer shop/a is also in b.yaml:1:1; remove all but one",
      "b.yaml:1:1 RealServer shop/a is also in a.yaml:6:1; remove all but one",
    ]);
    expect(servers(world.put("a.yaml", rs("x")))).toEqual(["x 1", "a 8"]);
  });

  it("may be in one file twice", () => {
    const state = new World().put("a.yaml", files(rs("x"), rs("a"), rs("a")));
    expect(servers(state)).toEqual(["x 1"]);
    expect(state.problems).toHaveLength(2);
  });
});

describe("nothing", () => {
  it.each([
    { name: "no file", act: (world: World) => world.settle() },
    { name: "only comments", act: (world: World) => world.put("a.yaml", "# later\n") },
    {
      name: "only other kinds",
      act: (world: World) => world.put("a.yaml", "apiVersion: v1\nkind: ConfigMap\n"),
    },
    { name: "only broken text", act: (world: World) => world.put("a.yaml", "a: [\n") },
  ])("is no wish when there is $name", ({ act }) => {
    const state = act(new World());
    expect(state.objects).toBeUndefined();
    expect(problems(state).at(-1)).toContain("no good object is in any file, so nothing is done");
  });

  it.each([
    {
      name: "all files are gone",
      act: (world: World) => (world.remove("a.yaml"), world.remove("b.yaml")),
    },
    {
      name: "all files are empty",
      act: (world: World) => (world.put("a.yaml", ""), world.put("b.yaml", "")),
    },
  ])("is removed when $name", ({ act }) => {
    const world = new World();
    world.put("a.yaml", rs("a"));
    world.put("b.yaml", rs("b"));
    act(world);
    const state = world.later();
    expect(servers(state)).toEqual(["a 1", "b 1"]);
    expect(problems(state)).toEqual([
      "manifests no object is left in any file, so the last 2 stay; for no objects at all, write a file with `kind: List` and `items: []`",
    ]);
    expect(servers(world.put("none.yaml", EMPTY_LIST))).toEqual([]);
    expect(world.settle().problems).toEqual([]);
  });

  it("is the wish of an empty List from the start", () => {
    const state = new World().put("none.yaml", EMPTY_LIST);
    expect(state.objects).toMatchObject({ virtualServices: [], realServers: [], complete: true });
    expect(state.problems).toEqual([]);
  });
});

it("comes to the same whatever the order in which files are read", () => {
  const name = fc.constantFrom("a", "b", "c");
  const document = fc.oneof(
    name.map((n) => rs(n)),
    name.map((n) => rs(n).replace("weight", "wieght")),
    fc.constant("x: [\n"),
  );
  const text = fc.array(document, { maxLength: 3 }).map((list) => files(...list));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (texts) => {
      const inOrder = new World();
      const backwards = new World();
      texts.forEach((content, i) => inOrder.put(`${i}.yaml`, content));
      for (const [i, content] of [...texts.entries()].toReversed())
        backwards.put(`${i}.yaml`, content);
      // What came to be good on the way depends on the order; what is refused now does not.
      const refused = (world: World): unknown =>
        [...(world.settle().objects?.refused.keys() ?? [])].sort();
      if (inOrder.settle().objects !== undefined && backwards.settle().objects !== undefined) {
        expect(refused(inOrder)).toEqual(refused(backwards));
      }
      const found = (world: World): unknown =>
        world
          .settle()
          .problems.map(({ where }) => where)
          .filter((where) => where !== "manifests");
      expect(found(inOrder)).toEqual(found(backwards));
    }),
  );
});
