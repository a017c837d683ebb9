/**
 * The layers as data: who may import whom, and what only certain files may do. It is the map of the
 * code base; a change of it is a decision, not an accident.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { describe, expect, it } from "vitest";

/** Layers of `src`, and the layers that each may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  api: ["lib"],
  netlink: ["lib"],
  ipvs: ["netlink", "lib"],
  host: ["netlink", "lib"],
  source: ["api", "lib"],
  compile: ["api", "source", "ipvs", "host", "lib"],
  agents: ["api", "source", "compile", "ipvs", "host", "netlink", "lib"],
  cli: ["api", "source", "compile", "ipvs", "host", "lib"],
  // Wires everything together, and is imported by nobody.
  main: ["agents", "api", "cli", "compile", "host", "ipvs", "lib", "netlink", "source"],
};

/** Where a layer may import only some files of another: data and pure functions, not I/O. */
const ONLY_FILES: Readonly<Record<string, readonly string[]>> = {
  "compile -> ipvs": ["model.ts", "order.ts"],
  "compile -> host": ["model.ts", "defaults.ts"],
  "compile -> source": ["source.ts"],
  // Agents and commands do not know which source they have, nor how bytes reach the kernel.
  "agents -> source": ["source.ts"],
  "agents -> netlink": ["transport.ts"],
  "cli -> source": ["source.ts"],
};

/** Packages from outside, and the places that may import them. */
const PACKAGES: Readonly<Record<string, readonly RegExp[]>> = {
  zod: [/^api\//, /^host\/journal\.ts$/],
  yaml: [/^source\//],
  pino: [/^main\/logger\.ts$/],
  "prom-client": [/^agents\/.*metrics\.ts$/],
  "node-gyp-build": [/^netlink\/transport-native\.ts$/],
};

/** Files that compute and do nothing else: no Node module, no clock, no logger. */
const PURE = [
  /^compile\//,
  /(^|\/)(model|plan|plan-[a-z]+|wire|wire-[a-z]+|evaluate|order|steps)\.ts$/,
];

/** Text that may stand only in some files. */
const ONLY_IN: readonly { name: string; text: RegExp; where: readonly RegExp[] }[] = [
  { name: "environment and command line", text: /process\.(env|argv)\b/, where: [/^main\//] },
  {
    name: "native code",
    text: /node-gyp-build|\.node["'`]|process\.dlopen|createRequire/,
    where: [/^netlink\/transport-native\.ts$/],
  },
  { name: "the machine's clock", text: /\b(Date|performance)\.now\(/, where: [/^lib\/clock\.ts$/] },
  { name: "unseeded chance", text: /Math\.random\(/, where: [/^main\//] },
  { name: "the end of the process", text: /process\.exit\(/, where: [/^main\//] },
  { name: "child processes", text: /node:child_process/, where: [] },
  { name: "the console", text: /\bconsole\.(log|error|warn|info)\(/, where: [] },
];

interface Source {
  /** Relative to `src`. */
  readonly path: string;
  readonly text: string;
  /** Paths relative to `src`, `node:` modules and packages. */
  readonly imports: readonly string[];
}

const SRC = join(import.meta.dirname, "..", "src");
const IMPORT =
  /^(?:import|export)\s(?:[\w$*{},\s]+\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/gm;

function readSources(): readonly Source[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => {
      const text = readFileSync(join(SRC, path), "utf8");
      const imports = [...text.matchAll(IMPORT)].map((match) => {
        const target = match[1] ?? match[2] ?? "";
        return target.startsWith(".") ? relative(SRC, join(SRC, dirname(path), target)) : target;
      });
      return { path, text, imports };
    });
}

const layerOf = (path: string): string => path.split("/")[0] ?? "";
const isTest = ({ path }: Source): boolean =>
  path.endsWith(".test.ts") || path.includes("/testing/");
const isFile = (target: string): boolean => target.endsWith(".ts");
const matches = (patterns: readonly RegExp[], path: string): boolean =>
  patterns.some((pattern) => pattern.test(path));

const sources = readSources();
const product = sources.filter((source) => !isTest(source));

/** Findings as `file: what`, so that a failure reads as a list of things to do. */
const findings = (
  check: (source: Source) => readonly string[],
  list: readonly Source[] = product,
): readonly string[] =>
  list.flatMap((source) => check(source).map((finding) => `${source.path}: ${finding}`));

describe("the layers", () => {
  it("are all of src", () => {
    expect(new Set(sources.map(({ path }) => layerOf(path)))).toEqual(
      new Set(Object.keys(MAY_IMPORT)),
    );
  });

  it("import only what is below them", () => {
    const strays = findings(({ path, imports }) => {
      const own = layerOf(path);
      const allowed = MAY_IMPORT[own] ?? [];
      return imports
        .filter((target) => isFile(target) && layerOf(target) !== own)
        .filter((target) => !allowed.includes(layerOf(target)));
    });
    expect(strays).toEqual([]);
  });

  it("import only the files that are meant for them", () => {
    const strays = findings(({ path, imports }) =>
      imports.filter((target) => {
        const files = ONLY_FILES[`${layerOf(path)} -> ${layerOf(target)}`];
        return files !== undefined && !files.includes(target.split("/").slice(1).join("/"));
      }),
    );
    expect(strays).toEqual([]);
  });

  it("use packages only where each is at home", () => {
    const strays = findings(({ path, imports }) =>
      imports.filter((target) => {
        const inside = isFile(target) || target.startsWith("node:") || target.startsWith("..");
        if (inside) return false;
        return !matches(PACKAGES[target] ?? [], path);
      }),
    );
    expect(strays).toEqual([]);
  });

  it("would be found crossed", () => {
    const allowed = MAY_IMPORT["ipvs"] ?? [];
    expect(allowed.includes("agents")).toBe(false);
    const [match] = [...'import { x } from "../agents/loop.ts";'.matchAll(IMPORT)];
    expect(match?.[1]).toBe("../agents/loop.ts");
    expect([...'const a = 1;\nexport {\n  b,\n} from "./b.ts";'.matchAll(IMPORT)][0]?.[1]).toBe(
      "./b.ts",
    );
  });
});

describe("files", () => {
  it("that compute import no Node module, no clock and no logger", () => {
    const impure = /^(node:.*|lib\/(clock|logger)\.ts)$/;
    const strays = findings(({ path, imports }) =>
      matches(PURE, path) ? imports.filter((target) => impure.test(target)) : [],
    );
    expect(strays).toEqual([]);
  });

  it.each(ONLY_IN)("contain $name only where it belongs", ({ text, where }) => {
    const strays = findings((source) => {
      // Comments may name what the code must not use.
      const code = source.text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      return text.test(code) && !matches(where, source.path) ? [text.source] : [];
    });
    expect(strays).toEqual([]);
  });

  it("of the product import nothing that is made for tests", () => {
    const strays = findings(({ imports }) =>
      imports.filter((target) => /(^|\/)testing\/|\.test\.ts$|^vitest$|^fast-check$/.test(target)),
    );
    expect(strays).toEqual([]);
  });

  it("have names in kebab case, and none re-exports a folder", () => {
    const strays = findings(({ path }) => {
      const name = path.split("/").at(-1) ?? "";
      const fine = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z-]+)*\.ts$/.test(name) && name !== "index.ts";
      return fine ? [] : ["name"];
    }, sources);
    expect(strays).toEqual([]);
  });

  it("open with what they are for", () => {
    const strays = findings(({ text }) => {
      const start = text.replace(/^#!.*\n/, "").trimStart();
      return start.startsWith("/**") || start.startsWith("import") ? [] : ["no comment or import"];
    });
    expect(strays).toEqual([]);
  });

  it("stay short enough to be read in one go", () => {
    const strays = findings((source) => {
      const lines = source.text.split("\n").length - 1;
      const limit = isTest(source) ? 600 : 330;
      return lines > limit ? [`${lines} lines`] : [];
    }, sources);
    expect(strays).toEqual([]);
  });
});
