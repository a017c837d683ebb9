import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Agent } from "../lab/agents.ts";
import { savedTable, serviceLines, worldOf } from "./support/kernel.ts";
import { realServer, virtualService, WEB_BACKEND } from "./support/manifests.ts";
import { directorStatus, type DirectorStatus } from "./support/status.ts";
import { until } from "./support/until.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const VIP = "10.10.0.100";

/** Valid, and would be programmed: each case below breaks one thing of it. */
const WHOLE = `apiVersion: lvs-operator.io/v1alpha1
kind: VirtualService
metadata:
  name: CASE
  namespace: test
spec:
  addresses:
    - ip: 10.10.0.150
  ports:
    - port: 80
  scheduler: rr
  forwarding:
    method: DR
  backends:
    - type: Servers
      servers:
        - address: 10.10.0.21
`;

interface BrokenCase {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  /** Text of the line that the message must name; default: the first line of \`to\`. */
  readonly line?: string;
  readonly says: RegExp;
}

const BROKEN: readonly BrokenCase[] = [
  { what: "a misspelt field", from: "scheduler: rr", to: "scheduller: rr", says: /scheduler/ },
  { what: "an unknown scheduler", from: "scheduler: rr", to: "scheduler: wr", says: /wrr/ },
  { what: "a port too large", from: "port: 80", to: "port: 70000", says: /65535/ },
  { what: "a port in words", from: "port: 80", to: "port: http", says: /number|integer/ },
  { what: "no address at all", from: "10.10.0.150", to: "10.10.0.300", says: /address/ },
  { what: "an address not canonical", from: "10.10.0.150", to: "fd10::0150", says: /fd10::150/ },
  { what: "a multicast address", from: "10.10.0.150", to: "224.0.0.5", says: /multicast|unicast/ },
  { what: "an unknown method", from: "method: DR", to: "method: FULLNAT", says: /NAT/ },
  {
    what: "a method left out",
    from: "\n    method: DR",
    to: " {}",
    line: "forwarding:",
    says: /method/,
  },
  {
    what: "backends left out",
    from: "  backends:\n    - type: Servers\n      servers:\n        - address: 10.10.0.21\n",
    to: "",
    line: "spec:",
    says: /backends/,
  },
  {
    what: "a port change with method DR",
    from: "port: 80",
    to: "port: 80\n      targetPort: 8080",
    line: "targetPort",
    says: /NAT/,
  },
  { what: "port 0 without persistence", from: "port: 80", to: "port: 0", says: /persistence/ },
  {
    what: "a range that ends before it begins",
    from: "port: 80",
    to: "port: 80\n      endPort: 79",
    line: "endPort",
    says: /port/,
  },
  {
    what: "ports that overlap",
    from: "port: 80",
    to: "port: 80\n      endPort: 90\n    - port: 85",
    line: "- port: 85",
    says: /80-90/,
  },
  {
    what: "more than 1,024 services",
    from: "port: 80",
    to: "port: 1001\n      endPort: 2025",
    line: "ports:",
    says: /1,024/,
  },
  {
    what: "hashing for a scheduler that does not hash",
    from: "scheduler: rr",
    to: "scheduler: rr\n  hashing: {}",
    line: "hashing",
    says: /sh or mh/,
  },
  {
    what: "a negative weight",
    from: "address: 10.10.0.21",
    to: "address: 10.10.0.21\n          weight: -1",
    line: "weight",
    says: /0/,
  },
  {
    what: "one-packet scheduling of TCP",
    from: "port: 80",
    to: "port: 80\n      onePacketScheduling: Enabled",
    line: "onePacketScheduling",
    says: /UDP/,
  },
  { what: "an unknown kind", from: "VirtualService", to: "VirtualServer", says: /VirtualService/ },
  { what: "an unknown version", from: "v1alpha1", to: "v1alpha9", says: /v1alpha1/ },
  { what: "a name that is no name", from: "name: CASE", to: "name: Web_1", says: /name/ },
  { what: "a name left out", from: "  name: CASE\n", to: "", line: "metadata:", says: /name/ },
  {
    what: "a field twice",
    from: "scheduler: rr",
    to: "scheduler: rr\n  scheduler: wrr",
    line: "scheduler: wrr",
    says: /twice|unique|duplicate/i,
  },
  {
    what: "brackets left open",
    from: "method: DR",
    to: "method: [DR",
    line: "backends:",
    says: /\]/,
  },
  { what: "text that is no object", from: WHOLE, to: "to be written\n", says: /object|map/ },
];

const textOf = ({ from, to }: BrokenCase, index: number): string =>
  WHOLE.replace(from, to).replace("CASE", `case-${index}`);

const fileOf = (index: number): string => `broken-${String(index).padStart(2, "0")}.yaml`;

function lineOf(broken: BrokenCase, index: number): number {
  const wanted = broken.line ?? broken.to.split("\n")[0] ?? "";
  return (
    textOf(broken, index)
      .split("\n")
      .findIndex((line) => line.includes(wanted)) + 1
  );
}

describe("manifests that are broken or gone", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1"], web: false });
  const GOOD = [
    ...serviceLines(`-t ${VIP}:80 -s rr`, "-r 10.10.0.21:80 -g -w 1", "-r 10.10.0.29:80 -g -w 2"),
  ];
  const GOOD_OBJECTS = [
    virtualService("web", { addresses: [{ ip: VIP }], backends: WEB_BACKEND }),
    realServer("rs1", "10.10.0.21"),
    realServer("rs9", "10.10.0.29", { weight: 2 }),
  ];
  let director: Agent;

  const untilProblems = (
    what: string,
    test: (problems: DirectorStatus["problems"]) => boolean,
  ): Promise<DirectorStatus> =>
    until(what, async () => {
      const status = await directorStatus(director);
      return test(status.problems) ? status : undefined;
    });

  beforeAll(async () => {
    lab().manifests.write("good.yaml", ...GOOD_OBJECTS);
    director = await lab().startDirector();
    await lab().untilBound(VIP);
    await lab().untilTable(GOOD);
  }, 60_000);

  describe(`${BROKEN.length} broken manifests beside good ones`, () => {
    let status: DirectorStatus;
    let before: readonly string[];
    let commands: number;
    beforeAll(async () => {
      before = await worldOf(lab().topology, DIRECTOR);
      commands = (await directorStatus(director)).writeCommands;
      for (const [index, broken] of BROKEN.entries()) {
        lab().manifests.writeText(fileOf(index), textOf(broken, index));
      }
      status = await untilProblems("a problem of each file", (problems) => {
        const files = new Set(problems.map(({ where }) => where.split(":")[0]));
        return BROKEN.every((_, index) => files.has(fileOf(index)));
      });
    }, 60_000);

    it.each(BROKEN.map((broken, index) => [broken.what, index, broken] as const))(
      "%s gives one message that names the line and the cure",
      (_what, index, broken) => {
        const mine = status.problems.filter(({ where }) => where.startsWith(fileOf(index)));
        expect(mine).toHaveLength(1);
        expect(mine[0]).toMatchObject({
          severity: "Error",
          where: expect.stringMatching(`^${fileOf(index)}:${lineOf(broken, index)}:\\d+$`),
          message: expect.stringMatching(broken.says),
        });
      },
    );

    it("the kernel is as it was, and nothing was written to it", async () => {
      await sleep(1_500);
      expect(await worldOf(lab().topology, DIRECTOR)).toEqual(before);
      expect((await directorStatus(director)).writeCommands).toBe(commands);
    });

    it("an agent that starts with them changes nothing either", async () => {
      await director.kill();
      director = await lab().startDirector();
      await lab().untilSettled(director);
      expect(await worldOf(lab().topology, DIRECTOR)).toEqual(before);
      expect((await directorStatus(director)).writeCommands).toBe(0);
    });

    it("good objects beside them are followed", async () => {
      lab().manifests.write(
        "good.yaml",
        ...GOOD_OBJECTS.slice(0, 2),
        realServer("rs9", "10.10.0.29"),
      );
      const even = GOOD.map((line) => line.replace("-w 2", "-w 1"));
      await lab().untilTable(even);
      lab().manifests.write("good.yaml", ...GOOD_OBJECTS);
      await lab().untilTable(GOOD);
    });

    it("each is gone from the report when its file is", async () => {
      for (const [index] of BROKEN.entries()) lab().manifests.remove(fileOf(index));
      await untilProblems("no problem is left", (problems) => problems.length === 0);
    });
  });

  describe("files that are half-written or gone", () => {
    const text = GOOD_OBJECTS.map((object) => stringify(object)).join("---\n");
    const goodFile = (): string => join(lab().manifests.path, "good.yaml");
    let writes = 0;

    /** The table is as it was, now and after several passes. */
    async function expectNoChange(): Promise<void> {
      await sleep(2_500);
      expect(await savedTable(lab().topology, DIRECTOR)).toEqual(GOOD);
      expect((await directorStatus(director)).writeCommands).toBe(writes);
    }

    beforeEach(async () => {
      lab().manifests.writeText("good.yaml", text);
      await untilProblems("no problem is left", (problems) => problems.length === 0);
      await lab().untilTable(GOOD);
      writes = (await directorStatus(director)).writeCommands;
    });

    it.each([
      ["the first object", "  addresses:\n", 0],
      ["the second object", "kind: Real", text.indexOf("---")],
      ["the last object", "spec:\n  addr", text.lastIndexOf("---")],
    ])("a file written in place and cut off in %s changes nothing", async (_what, mark, from) => {
      writeFileSync(goodFile(), text.slice(0, text.indexOf(mark, from) + mark.length));
      await untilProblems("a problem of the file", (problems) =>
        problems.some(({ where }) => where.startsWith("good.yaml")),
      );
      await expectNoChange();
    });

    it("a file cut to nothing changes nothing", async () => {
      writeFileSync(goodFile(), "");
      await untilProblems("a problem", (problems) => problems.length > 0);
      await expectNoChange();
    });

    it("an empty directory changes nothing", async () => {
      rmSync(goodFile());
      await untilProblems("a problem of the directory", (problems) => problems.length > 0);
      await expectNoChange();
    });

    it("a vanished directory changes nothing for an agent that runs, and for one that starts", async () => {
      const { path } = lab().manifests;
      renameSync(path, `${path}.away`);
      try {
        await untilProblems("a problem of the directory", (problems) => problems.length > 0);
        await expectNoChange();
        await director.kill();
        director = await lab().startDirector({ waitReady: false });
        writes = 0;
        await untilProblems("a problem of the directory", (problems) => problems.length > 0);
        await expectNoChange();
      } finally {
        renameSync(`${path}.away`, path);
      }
      await untilProblems("no problem is left", (problems) => problems.length === 0);
      await director.ready();
      await expectNoChange();
    });

    it("a plan from an empty directory has nothing to remove", async () => {
      const empty = join(lab().topology.directory, "empty");
      mkdirSync(empty);
      const plan = await lab().lvsctl(DIRECTOR, "plan", "--manifests", empty);
      expect(plan.stdout).not.toMatch(/delete|remove/);
    });

    it("an explicit empty List takes the last objects away", async () => {
      writeFileSync(goodFile(), "apiVersion: v1\nkind: List\nitems: []\n");
      await lab().untilTable([]);
    });
  });
});
