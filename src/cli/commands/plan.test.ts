import { describe, expect, it } from "vitest";
import type { Condition } from "../../api/conditions.ts";
import { aVip } from "../../host/testing/builders.ts";
import type { IpvsStep } from "../../ipvs/steps.ts";
import { aService } from "../../ipvs/testing/builders.ts";
import { EXIT } from "../specs.ts";
import { planStatus, renderPlan, renderPlanJson, type PlanOutcome } from "./plan.ts";

const WEB = "VirtualService shop/web";
const STEP: IpvsStep = {
  command: { op: "create-service", service: aService() },
  service: "TCP 192.0.2.10:80",
  destination: undefined,
  effect: "grow",
  reason: "missing in the kernel",
};
const REFUSED: Condition = {
  type: "Accepted",
  status: "False",
  reason: "PortConflict",
  message: "taken",
};

function outcome(over: Partial<PlanOutcome> = {}): PlanOutcome {
  return {
    host: [],
    ipvs: [],
    withheld: [],
    reports: [],
    conditions: new Map(),
    problems: [],
    ...over,
  };
}

const about = (condition: Condition): PlanOutcome["conditions"] => new Map([[WEB, [condition]]]);
const held: Condition = { ...REFUSED, type: "Programmed", reason: "DryRun", message: "held" };
const degraded: Condition = {
  type: "Degraded",
  status: "True",
  reason: "RealServersDown",
  message: "nobody serves",
};

describe("plan", () => {
  it.each([
    { name: "nothing to change", over: {}, status: EXIT.ok },
    { name: "steps", over: { ipvs: [STEP] }, status: EXIT.changes },
    { name: "a refused object", over: { conditions: about(REFUSED) }, status: EXIT.refused },
    {
      name: "a broken manifest beside steps",
      over: { ipvs: [STEP], problems: [{ severity: "Error", where: "a.yaml:3:1", message: "no" }] },
      status: EXIT.refused,
    },
    {
      name: "a notice",
      over: { problems: [{ severity: "Notice", where: "a.yaml", message: "hm" }] },
      status: EXIT.ok,
    },
    {
      name: "an object that holds itself back",
      over: { conditions: about(held) },
      status: EXIT.ok,
    },
    { name: "a degraded object", over: { conditions: about(degraded) }, status: EXIT.ok },
  ] satisfies { name: string; over: Partial<PlanOutcome>; status: number }[])(
    "ends with $status for $name",
    ({ over, status }) => {
      expect(planStatus(outcome(over))).toBe(status);
    },
  );

  it("says when there is nothing to do", () => {
    expect(renderPlan(outcome())).toBe("Nothing to change.\n");
  });

  it("lists steps with their reasons, what is held back, and what needs attention", () => {
    const text = renderPlan(
      outcome({
        host: [{ op: "add-address", address: aVip("192.0.2.10", "eth0"), owner: "director" }],
        ipvs: [STEP],
        withheld: [STEP],
        reports: [{ kind: "sysctl-missing", subject: "vs/x", message: "does not exist" }],
        conditions: about(degraded),
        problems: [{ severity: "Error", where: "a.yaml:3:1", message: "unknown field" }],
      }),
    );
    expect(text.split("\n")).toEqual([
      "add-address 192.0.2.10 eth0",
      expect.stringMatching(/^create-service TCP 192\.0\.2\.10:80 +missing in the kernel$/),
      expect.stringMatching(/^\(held back\) create-service TCP 192\.0\.2\.10:80 +missing/),
      "",
      "Needs attention:",
      "a.yaml:3:1: unknown field",
      `${WEB}: RealServersDown: nobody serves`,
      "vs/x: does not exist",
      "",
    ]);
  });

  it("is JSON for programs, with the text of each step", () => {
    const document: unknown = JSON.parse(
      renderPlanJson(outcome({ ipvs: [STEP], conditions: about(REFUSED) })),
    );
    expect(document).toMatchObject({
      host: [],
      ipvs: [{ text: "create-service TCP 192.0.2.10:80", effect: "grow" }],
      conditions: { [WEB]: [REFUSED] },
    });
  });
});
