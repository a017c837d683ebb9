import { describe, expect, it } from "vitest";
import { formatHelp, parseCommandLine, UsageError, type CommandSpec } from "./command-line.ts";
import { CLEANUP, DIRECTOR, LIST, PLAN, REALSERVER } from "./specs.ts";

const SPEC: CommandSpec = {
  name: "prog run",
  summary: "Run it.",
  options: {
    dir: { type: "string", value: "DIR", description: "Where.", required: true },
    level: { type: "string", description: "How.", choices: ["a", "b"], default: "a" },
    count: { type: "integer", description: "How often.", default: 3, min: 1, max: 9 },
    dry: { type: "boolean", description: "Only say." },
  },
};

describe("parseCommandLine", () => {
  it("gives what was said and defaults for the rest", () => {
    const values = parseCommandLine(SPEC, ["--dir", "x", "--dry"]);
    expect(Object.fromEntries(values)).toEqual({ dir: "x", level: "a", count: 3, dry: true });
  });

  it("takes a letter for an option that has one", () => {
    expect(parseCommandLine(LIST, ["-o", "json"]).get("output")).toBe("json");
  });

  it("checks nothing else when help is asked for", () => {
    expect(parseCommandLine(SPEC, ["-h"]).get("help")).toBe(true);
  });

  it.each([
    { argv: [], says: "--dir is required" },
    { argv: ["--dir", ""], says: "--dir may not be empty" },
    { argv: ["--dir", "x", "--level", "c"], says: "--level must be one of a, b" },
    { argv: ["--dir", "x", "--count", "0"], says: "--count must be a whole number, 1 to 9" },
    { argv: ["--dir", "x", "--count", "2.5"], says: "--count must be a whole number" },
    { argv: ["--dir", "x", "--speed"], says: "--speed" },
    { argv: ["--dir", "x", "extra"], says: "extra" },
  ])("refuses $argv", ({ argv, says }) => {
    const attempt = (): unknown => parseCommandLine(SPEC, argv);
    expect(attempt).toThrow(UsageError);
    expect(attempt).toThrow(says);
    expect(attempt).toThrow("see prog run --help");
  });
});

describe("formatHelp", () => {
  it.each([DIRECTOR, REALSERVER, PLAN, LIST, CLEANUP])("names every option of $name", (spec) => {
    const help = formatHelp(spec);
    for (const name of Object.keys(spec.options)) expect(help).toContain(`--${name}`);
    expect(help).toContain("--help");
  });

  it("is at most 100 columns wide", () => {
    for (const line of formatHelp(DIRECTOR).split("\n"))
      expect(line.length).toBeLessThanOrEqual(100);
  });
});
