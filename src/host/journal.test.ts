import fc from "fast-check";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { JournalError } from "./errors.ts";
import { EMPTY_JOURNAL, type NodeJournal, formatJournal, parseJournal } from "./journal.ts";
import { JournalStore, currentWorld } from "./journal-store.ts";

const world = { bootId: "2f9c", networkNamespace: "net:[4026531840]" };
const owner = fc.constantFrom("director" as const, "realserver" as const);
const someKey = fc.string().map((text) => `TCP ${text}`);
const value = fc.oneof(fc.nat(), fc.constantFrom("2 50", "3 50"));

const anyJournal: fc.Arbitrary<NodeJournal> = fc.record({
  sysctls: fc.array(
    fc.record({
      key: fc.oneof(
        fc.record({ kind: fc.constantFrom("vs" as const, "ipv4" as const), name: fc.string() }),
        fc.record({
          kind: fc.constant("conf" as const),
          interfaceName: fc.string(),
          name: fc.string(),
        }),
      ),
      original: fc.option(value),
      written: fc.array(value, { minLength: 1 }),
      wishes: fc.record({ director: value, realserver: value }, { requiredKeys: [] }),
      confirmed: fc.boolean(),
    }),
  ),
  links: fc.array(
    fc.record({
      name: fc.string(),
      made: fc.boolean(),
      owners: fc.array(owner),
      confirmed: fc.boolean(),
    }),
  ),
  addresses: fc.array(
    fc.record({
      address: fc.ipV4(),
      interfaceName: fc.string(),
      owners: fc.array(owner),
      confirmed: fc.boolean(),
    }),
  ),
  services: fc.dictionary(someKey, fc.string()),
  drains: fc.dictionary(someKey, fc.record({ startedWallMs: fc.nat(), reason: fc.string() })),
  holds: fc.dictionary(fc.ipV4(), fc.record({ sinceWallMs: fc.nat() })),
});

const small: NodeJournal = {
  ...EMPTY_JOURNAL,
  services: { "TCP 192.0.2.1:80": "VirtualService default/web" },
  drains: { "TCP 192.0.2.1:80 10.0.0.1:80": { startedWallMs: 1, reason: "removed" } },
};

describe("parseJournal", () => {
  it("reads what formatJournal wrote", () => {
    fc.assert(
      fc.property(anyJournal, (journal) => {
        const stored = parseJournal(formatJournal({ world, journal }), "j");
        expect(stored).toEqual({ world, journal: JSON.parse(JSON.stringify(journal)) });
      }),
    );
  });

  it("refuses a journal that is cut off anywhere", () => {
    const text = formatJournal({ world, journal: small });
    // Without its last character, the line feed, it is whole.
    for (let length = 0; length < text.length - 1; length++) {
      expect(() => parseJournal(text.slice(0, length), "j")).toThrow(JournalError);
    }
  });

  it("refuses a journal with any one bit turned over", () => {
    const bytes = Buffer.from(formatJournal({ world, journal: small }), "latin1");
    for (let bit = 0; bit < (bytes.length - 1) * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => parseJournal(flipped.toString("latin1"), "j")).toThrow(JournalError);
    }
  });

  it.each([
    ["version", '{"version":2,"checksum":"","bootId":"","networkNamespace":"","journal":{}}'],
    ["checksum", '{"version":1,"checksum":"","bootId":"","networkNamespace":"","journal":{}}'],
    ["shape", "[]"],
    ["syntax", "{"],
    ["syntax", ""],
  ])("says %s of %s", (reason, text) => {
    expect(() => parseJournal(text, "j")).toThrow(
      expect.objectContaining({ code: "LVS_JOURNAL", reason, path: "j" }),
    );
  });
});

describe("JournalStore", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "journal-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("knows nothing where there is no file, and makes none for nothing", async () => {
    const store = new JournalStore(join(directory, "run"), world);
    expect(await store.load()).toEqual({ journal: EMPTY_JOURNAL, origin: "none" });
    expect(await store.save(EMPTY_JOURNAL)).toBe(false);
    expect(await readdir(directory)).toEqual([]);
  });

  it("gives another process what one has saved", async () => {
    const store = new JournalStore(join(directory, "run"), world);
    await store.save(small);
    const other = new JournalStore(join(directory, "run"), world);
    expect(await other.load()).toEqual({ journal: small, origin: "file" });
    expect(await readdir(join(directory, "run"))).toEqual(["journal.json"]);
  });

  it("writes nothing when nothing changed, and sees what another process wrote", async () => {
    const one = new JournalStore(directory, world);
    const two = new JournalStore(directory, world);
    expect(await one.save(small)).toBe(true);
    expect(await one.save({ ...small })).toBe(false);
    await two.load();
    await two.save(EMPTY_JOURNAL);
    expect((await one.load()).journal).toEqual(EMPTY_JOURNAL);
    expect(await one.save(small)).toBe(true);
  });

  it("begins anew after a reboot", async () => {
    await new JournalStore(directory, world).save(small);
    const rebooted = new JournalStore(directory, { ...world, bootId: "77aa" });
    expect(await rebooted.load()).toEqual({ journal: EMPTY_JOURNAL, origin: "other-boot" });
    expect(await rebooted.save(EMPTY_JOURNAL)).toBe(true);
    expect((await rebooted.load()).origin).toBe("file");
  });

  it("does not believe the journal of another network namespace, and keeps it", async () => {
    await new JournalStore(directory, world).save(small);
    const other = new JournalStore(directory, { ...world, networkNamespace: "net:[1]" });
    expect((await other.load()).origin).toBe("other-namespace");
    await other.setAside("other-namespace");
    expect(await readdir(directory)).toEqual(["journal.json.other-namespace"]);
  });

  it("throws for a broken file, keeps each one aside, and goes on", async () => {
    const store = new JournalStore(directory, world);
    for (const aside of ["journal.json.broken", "journal.json.broken.2"]) {
      await writeFile(store.path, "{");
      await expect(store.load()).rejects.toMatchObject({ code: "LVS_JOURNAL", reason: "syntax" });
      expect(await store.setAside("broken")).toBe(join(directory, aside));
      expect(await readFile(join(directory, aside), "utf8")).toBe("{");
      expect((await store.load()).origin).toBe("none");
    }
  });

  it("says unreadable when the file system refuses", async () => {
    await writeFile(join(directory, "file"), "");
    const store = new JournalStore(join(directory, "file"), world);
    await expect(store.save(small)).rejects.toMatchObject({ reason: "unreadable" });
  });

  it("deletes its file, whether there is one or not", async () => {
    const store = new JournalStore(directory, world);
    await store.save(small);
    await store.remove();
    await store.remove();
    expect((await store.load()).origin).toBe("none");
  });
});

describe("currentWorld", () => {
  it("is the same for every process of this namespace", async () => {
    const here = await currentWorld();
    expect(here.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(here.networkNamespace).toMatch(/^net:\[\d+\]$/);
    expect(await currentWorld()).toEqual(here);
  });
});
