/** What an agent says about itself at /status. */
import { z } from "zod";
import type { Agent } from "../../lab/agents.ts";

const CONDITION = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
});

const STATUS = z.object({
  settled: z.boolean(),
  hostRepaired: z.int(),
  objects: z.record(z.string(), z.array(CONDITION)),
  problems: z.array(z.object({ severity: z.string(), where: z.string(), message: z.string() })),
  lastFailure: z.string().optional(),
});

const DIRECTOR_STATUS = STATUS.extend({
  writeCommands: z.int(),
  tableChanges: z.int(),
  driftRepaired: z.int(),
  withheld: z.array(z.string()),
});

export type Condition = z.output<typeof CONDITION>;
export type AgentStatus = z.output<typeof STATUS>;
export type DirectorStatus = z.output<typeof DIRECTOR_STATUS>;

export async function agentStatus(agent: Agent): Promise<AgentStatus> {
  return STATUS.parse(await agent.status());
}

export async function directorStatus(agent: Agent): Promise<DirectorStatus> {
  return DIRECTOR_STATUS.parse(await agent.status());
}

/** Conditions that say that something is wrong with the object. */
export async function troublesOf(agent: Agent, object: string): Promise<readonly Condition[]> {
  const { objects } = await agentStatus(agent);
  return (objects[object] ?? []).filter(
    ({ type, status }) => status === (type === "Degraded" ? "True" : "False"),
  );
}
