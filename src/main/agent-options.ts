import { hostname } from "node:os";
import { integerOption, textOption, type OptionValues } from "../cli/command-line.ts";

/** What the command line of an agent says, typed. */
export interface AgentOptions {
  readonly manifests: string;
  readonly nodeName: string;
  readonly groupName: string;
  readonly interfaceName: string | undefined;
  readonly stateDirectory: string;
  readonly once: boolean;
  readonly auditMs: number;
  readonly healthAddress: string;
  /** 0 = no health endpoint. */
  readonly healthPort: number;
  readonly logLevel: string;
}

export function agentOptions(values: OptionValues): AgentOptions {
  return {
    // The parser has refused a command line without it.
    manifests: textOption(values, "manifests") ?? "",
    nodeName: textOption(values, "node") ?? hostname(),
    groupName: textOption(values, "group") ?? "default",
    interfaceName: textOption(values, "interface"),
    stateDirectory: textOption(values, "state-dir") ?? "/run/lvs-operator",
    once: values.get("once") === true,
    auditMs: integerOption(values, "audit-seconds") * 1000,
    healthAddress: textOption(values, "health-address") ?? "127.0.0.1",
    healthPort: integerOption(values, "health-port"),
    logLevel: textOption(values, "log-level") ?? "info",
  };
}
