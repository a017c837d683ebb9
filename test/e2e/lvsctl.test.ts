import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

import { CLEANUP, DIRECTOR as DIRECTOR_SPEC, LIST, PLAN, REALSERVER } from "../../src/cli/specs.ts";
import { PROJECT_ROOT } from "../lab/paths.ts";
import { linesOf, savedTable, worldOf } from "./support/kernel.ts";
import { realServer, servers, virtualService, WEB_BACKEND } from "./support/manifests.ts";
import { DIRECTOR, useLab } from "./support/use-lab.ts";

const VIP = "10.10.0.100";

/**
 * Services of somebody else in every form that a table can hold. Marks from 2^31 on are missing:
 * ipvsadm 1.31 prints them as negative numbers.
 */
const FOREIGN = [
  "-A -t 10.10.0.201:80 -s wlc -p 300",
  "-a -t 10.10.0.201:80 -r 10.10.0.31:80 -g -w 0",
  "-a -t 10.10.0.201:80 -r 10.10.0.32:80 -i -w 5",
  "-a -t 10.10.0.201:80 -r 10.10.0.33:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
  "-a -t 10.10.0.201:80 -r 10.10.0.34:80 -i -w 1 --tun-type gre",
  "-A -t 10.10.0.201:0 -s sh -p 60 -M 255.255.0.0 -b sh-fallback,sh-port",
  "-A -u 10.10.0.201:53 -s rr -o",
  "-a -u 10.10.0.201:53 -r 10.30.0.31:5353 -m -w 65535",
  "-A --sctp-service 10.10.0.202:7 -s mh -b mh-port",
  "-A -t [fd10::201]:443 -s rr -p 50 -M 64",
  "-a -t [fd10::201]:443 -r [fd10::31]:443 -g -w 1",
  "-A -f 2000000000 -s lblcr",
  "-A -f 5 -6 -s fo",
  "-a -f 5 -6 -r [fd10::31]:0 -i -w 2",
];

const PLAN_STEP = z.object({ text: z.string() });
const PLAN_JSON = z.object({
  host: z.array(PLAN_STEP),
  ipvs: z.array(PLAN_STEP),
  conditions: z.record(z.string(), z.array(z.object({ status: z.string() }))),
  problems: z.array(z.object({ where: z.string(), message: z.string() })),
});

describe("lvsctl on a node", { timeout: 60_000 }, () => {
  const lab = useLab({ hosts: [DIRECTOR, "rs1"], web: false });

  const plan = (host: typeof DIRECTOR | "rs1", ...args: readonly string[]) =>
    lab().lvsctl(host, "plan", "--manifests", lab().manifests.path, "--node", host, ...args);

  beforeAll(async () => {
    lab().manifests.write(
      "web.yaml",
      virtualService("web", { addresses: [{ ip: VIP }], backends: WEB_BACKEND }),
      virtualService("six", {
        addresses: [{ ip: "fd10::100" }],
        ports: [{ port: 443 }],
        scheduler: "mh",
        persistence: { ipv6PrefixLength: 56 },
        forwarding: { method: "TUN" },
        backends: servers("fd10::21*7"),
      }),
      realServer("rs1", "10.10.0.21", { weight: 3, upperThreshold: 100 }),
    );
    for (const line of FOREIGN)
      await lab().topology.exec(DIRECTOR, ["ipvsadm", ...line.split(" ")]);
  }, 60_000);

  describe("plan", () => {
    it("says what a director would change and changes nothing", async () => {
      const before = await worldOf(lab().topology, DIRECTOR);
      const { code, stdout, stderr } = await plan(DIRECTOR);
      expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
      for (const text of [
        `create-service TCP ${VIP}:80`,
        "10.10.0.21:80",
        "create-service TCP [fd10::100]:443",
        `add-address ${VIP} eth0`,
        "set-sysctl vs/expire_nodest_conn 1",
      ]) {
        expect(stdout).toContain(text);
      }
      expect(stdout).not.toMatch(/delete|remove|10\.10\.0\.201/);
      expect(await worldOf(lab().topology, DIRECTOR)).toEqual(before);
    });

    it("says what a real server would change and changes nothing", async () => {
      const before = await worldOf(lab().topology, "rs1");
      const { code, stdout } = await plan("rs1", "--role", "realserver");
      expect(code).toBe(1);
      const order = ["arp_ignore 1", `add-address ${VIP} lo`].map((text) => stdout.indexOf(text));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect(order).not.toContain(-1);
      expect(await worldOf(lab().topology, "rs1")).toEqual(before);
    });

    it("has the same to say as JSON", async () => {
      const { code, stdout } = await plan(DIRECTOR, "-o", "json");
      expect(code).toBe(1);
      const { ipvs, host, problems } = PLAN_JSON.parse(JSON.parse(stdout));
      expect(ipvs.map(({ text }) => text)).toContain(`create-service TCP ${VIP}:80`);
      expect(host.map(({ text }) => text)).toContain(`add-address ${VIP} eth0`);
      expect(problems).toEqual([]);
    });

    it("ends with status 3 and names the line when a manifest is wrong", async () => {
      const { manifests } = lab();
      manifests.writeText("wrong.yaml", "kind: VirtualService\nspec: {}\n");
      const { code, stdout } = await plan(DIRECTOR);
      manifests.remove("wrong.yaml");
      expect(code).toBe(3);
      expect(stdout).toContain("wrong.yaml:1");
      expect(stdout).toContain(`create-service TCP ${VIP}:80`);
    });
  });

  describe("when the agents have done their work", () => {
    beforeAll(async () => {
      await Promise.all([lab().startDirector(), lab().start("rs1", "realserver")]);
      await lab().untilBound(VIP, "fd10::100");
    }, 60_000);

    it.each([
      [DIRECTOR, "director"],
      ["rs1", "realserver"],
    ] as const)("plan has nothing to change on %s and ends with status 0", async (host, role) => {
      expect(await plan(host, "--role", role)).toMatchObject({
        code: 0,
        stdout: "Nothing to change.\n",
      });
    });

    it("list -o ipvsadm is ipvsadm -S -n line by line, thresholds aside", async () => {
      const { code, stdout } = await lab().lvsctl(DIRECTOR, "list", "-o", "ipvsadm");
      expect(code).toBe(0);
      const plain = linesOf(stdout).map((line) => line.replace(/ -x \d+| -y \d+/g, ""));
      expect(plain).toEqual(await savedTable(lab().topology, DIRECTOR));
      expect(plain.length).toBe(FOREIGN.length + 4);
      expect(stdout).toContain("-r 10.10.0.21:80 -g -w 3 -x 100\n");
    });

    it("list -o ipvsadm can be read back by ipvsadm -R", async () => {
      const { topology } = lab();
      const { stdout } = await lab().lvsctl(DIRECTOR, "list", "-o", "ipvsadm");
      await topology.exec("rs1", ["ipvsadm", "-R"], { input: stdout });
      expect(await savedTable(topology, "rs1")).toEqual(await savedTable(topology, DIRECTOR));
    });

    it("list shows a person each service, and which are foreign", async () => {
      const { code, stdout } = await lab().lvsctl(DIRECTOR, "list");
      expect(code).toBe(0);
      const rows = linesOf(stdout);
      expect(rows.find((row) => row.includes(`${VIP}:80`))).not.toContain("foreign");
      expect(rows.find((row) => row.includes("10.10.0.201:80"))).toContain("foreign");
      expect(stdout).toContain("10.10.0.21:80");
    });

    it("list -o json tells the same to a program", async () => {
      const { code, stdout } = await lab().lvsctl(DIRECTOR, "list", "-o", "json");
      expect(code).toBe(0);
      expect(JSON.stringify(JSON.parse(stdout))).toContain(VIP);
    });
  });

  it("every command answers --help with all of its options", async () => {
    const program = (name: string): string => join(PROJECT_ROOT, `src/main/${name}.ts`);
    for (const spec of [DIRECTOR_SPEC, REALSERVER, PLAN, LIST, CLEANUP]) {
      const [name = "", command = ""] = spec.name.split(" ");
      const argv = [process.execPath, program(name), command, "--help"];
      const { stdout } = await lab().topology.exec("client", argv);
      expect(stdout).toContain(`Usage: ${spec.name}`);
      for (const option of Object.keys(spec.options)) expect(stdout).toContain(`--${option}`);
    }
    for (const name of ["lvs-operator", "lvsctl"]) {
      const argv = [process.execPath, program(name), "--help"];
      const { stdout } = await lab().topology.exec("client", argv);
      expect(stdout).toContain(`Usage: ${name} COMMAND`);
    }
  });
});
