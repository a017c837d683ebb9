import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createManifestSource, type ManifestSourceOptions } from "./manifest-source.ts";
import type { ObjectSource } from "./source.ts";

const rs = (name: string, weight = 1): string =>
  `apiVersion: lvs-operator.io/v1alpha1\nkind: RealServer\nmetadata: {name: ${name}}\nspec: {address: 192.0.2.21, weight: ${weight}}\n`;

let root: string;
let directory: string;
let stop: AbortController;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "manifests-"));
  directory = join(root, "conf");
  await mkdir(directory);
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await rm(root, { recursive: true, force: true });
});

const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);

/** As editors and configuration tools do it: complete at once. */
async function replace(name: string, text: string): Promise<void> {
  await write(`.${name}.tmp`, text);
  await rename(join(directory, `.${name}.tmp`), join(directory, name));
}

async function started(options: Partial<ManifestSourceOptions> = {}): Promise<ObjectSource> {
  const source = createManifestSource({
    directory,
    removalGraceMs: 50,
    rescanMs: 60_000,
    ...options,
  });
  await source.start(stop.signal);
  return source;
}

const servers = (source: ObjectSource): readonly string[] | undefined =>
  source
    .current()
    .objects?.realServers.map(({ metadata, spec }) => `${metadata.name} ${spec.weight}`);

/** Waits for the notification of the kernel; nothing here depends on how long it takes. */
const eventually = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 5_000, interval: 2 });

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("a source over a directory", () => {
  it("reads YAML and JSON files, and neither hidden nor other ones", async () => {
    await write("a.yaml", rs("a"));
    await write("b.yml", rs("b"));
    await write(
      "c.json",
      '{"apiVersion": "lvs-operator.io/v1alpha1", "kind": "RealServer", "metadata": {"name": "c"}, "spec": {"address": "192.0.2.3"}}',
    );
    await write(".d.yaml", rs("d"));
    await write("e.yaml~", rs("e"));
    await mkdir(join(directory, "f.yaml"));
    expect(servers(await started())).toEqual(["a 1", "b 1", "c 1"]);
  });

  it("sees a file that is replaced, and tells who listens", async () => {
    await write("a.yaml", rs("a"));
    const source = await started();
    const listener = vi.fn();
    const silence = source.onChange(listener);
    await replace("a.yaml", rs("a", 2));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
    expect(listener).toHaveBeenCalledTimes(1);
    silence();
    await replace("a.yaml", rs("a", 3));
    await eventually(() => expect(servers(source)).toEqual(["a 3"]));
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it("sees files that are written in place, added and deleted", async () => {
    await write("a.yaml", rs("a"));
    const source = await started();
    await write("a.yaml", rs("a", 2));
    await write("b.yaml", rs("b"));
    await eventually(() => expect(servers(source)).toEqual(["a 2", "b 1"]));
    await rm(join(directory, "b.yaml"));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
  });

  it("sees a ConfigMap that is swapped by its symlink", async () => {
    for (const [i, weight] of [1, 2].entries()) {
      await mkdir(join(directory, `..v${i}`));
      await write(`..v${i}/a.yaml`, rs("a", weight));
    }
    await symlink("..v0", join(directory, "..data"));
    await symlink("..data/a.yaml", join(directory, "a.yaml"));
    const source = await started();
    expect(servers(source)).toEqual(["a 1"]);
    await symlink("..v1", join(directory, "..tmp"));
    await rename(join(directory, "..tmp"), join(directory, "..data"));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
  });

  it("finds by scanning what no notification told", async () => {
    await mkdir(join(root, "elsewhere"));
    await writeFile(join(root, "elsewhere", "a.yaml"), rs("a"));
    await symlink(join(root, "elsewhere", "a.yaml"), join(directory, "a.yaml"));
    const source = await started({ rescanMs: 20 });
    await writeFile(join(root, "elsewhere", "a.yaml"), rs("a", 2));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
  });
});

describe("a file that is being written", () => {
  it("keeps its last good objects while only half of it is there", async () => {
    await write("a.yaml", `${rs("a")}---\n${rs("b")}`);
    const source = await started({ unfinishedMs: 150 });
    const text = `${rs("a", 2)}---\n${rs("b", 2)}`;
    // The half ends inside the last line: valid YAML, and not what is meant.
    await write("a.yaml", text.slice(0, -12));
    await pause(60);
    expect(servers(source)).toEqual(["a 1", "b 1"]);
    await write("a.yaml", text);
    await eventually(() => expect(servers(source)).toEqual(["a 2", "b 2"]));
    expect(source.current().problems).toEqual([]);
  });

  it("is taken without a final newline when it stays so", async () => {
    await write("a.yaml", rs("a"));
    const source = await started({ unfinishedMs: 60 });
    await write("a.yaml", rs("a", 2).trimEnd());
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
  });

  it("loses no object when it is truncated for a moment", async () => {
    await write("a.yaml", rs("a"));
    await write("b.yaml", rs("b"));
    const source = await started({ removalGraceMs: 300 });
    const seen: (readonly string[] | undefined)[] = [];
    source.onChange(() => seen.push(servers(source)));
    await write("b.yaml", "");
    await pause(60);
    await write("b.yaml", rs("b", 2));
    await eventually(() => expect(servers(source)).toEqual(["a 1", "b 2"]));
    expect(seen.every((list) => list?.length === 2)).toBe(true);
  });

  it("that is broken says which line, and serves again when it is repaired", async () => {
    await write("a.yaml", rs("a"));
    const source = await started();
    await replace("a.yaml", rs("a", 2).replace("kind", "\tkind"));
    await eventually(() => expect(source.current().problems).toHaveLength(1));
    expect(source.current().problems[0]).toEqual({
      severity: "Error",
      where: "a.yaml:2:1",
      message: "tab used for indentation; use spaces",
    });
    expect(servers(source)).toEqual(["a 1"]);
    await replace("a.yaml", rs("a", 2));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
    expect(source.current().problems).toEqual([]);
  });
});

describe("a directory that vanishes", () => {
  it("changes nothing, and is followed when it is back", async () => {
    await write("a.yaml", rs("a"));
    const source = await started({ rescanMs: 20 });
    await rename(directory, join(root, "away"));
    await eventually(() =>
      expect(source.current().problems[0]?.message).toBe(
        "does not exist; the last objects stay until it does",
      ),
    );
    await pause(100);
    expect(servers(source)).toEqual(["a 1"]);
    await mkdir(directory);
    await pause(100);
    expect(servers(source)).toEqual(["a 1"]);
    await replace("a.yaml", rs("a", 2));
    await eventually(() => expect(servers(source)).toEqual(["a 2"]));
    expect(source.current().problems).toEqual([]);
  });

  it("or is not there yet is no wish at all", async () => {
    await rm(directory, { recursive: true });
    const source = await started({ rescanMs: 20 });
    expect(source.current().objects).toBeUndefined();
    expect(source.current().problems[0]?.message).toContain("does not exist; nothing is done");
    await mkdir(directory);
    await write("a.yaml", rs("a"));
    await eventually(() => expect(servers(source)).toEqual(["a 1"]));
  });

  it("file by file keeps the last objects, until a List says that there are none", async () => {
    await write("a.yaml", rs("a"));
    const source = await started();
    await rm(join(directory, "a.yaml"));
    await eventually(() => expect(source.current().problems).toHaveLength(1));
    await pause(100);
    expect(servers(source)).toEqual(["a 1"]);
    await replace("none.yaml", "kind: List\nitems: []\n");
    await eventually(() => expect(servers(source)).toEqual([]));
  });
});

it("stops when it is told to, and does not start after that", async () => {
  await write("a.yaml", rs("a"));
  const source = await started();
  stop.abort();
  await pause(20);
  await replace("a.yaml", rs("a", 2));
  await pause(50);
  expect(servers(source)).toEqual(["a 1"]);
  await expect(createManifestSource({ directory }).start(stop.signal)).rejects.toMatchObject({
    code: "LVS_ABORTED",
  });
});

it("refuses a file that is too large without reading it", async () => {
  await write("a.yaml", rs("a"));
  const big = Buffer.alloc(33 * 1024 * 1024, "# x\n");
  await writeFile(join(directory, "big.yaml"), big);
  const source = await started();
  expect(source.current().problems).toEqual([
    {
      severity: "Error",
      where: "big.yaml",
      message: "is larger than 32 MiB; split it into several files",
    },
  ]);
  expect(source.current().objects?.complete).toBe(false);
  expect(servers(source)).toEqual(["a 1"]);
});
