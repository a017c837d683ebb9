/** Every command of both programs with its options: the parser, `--help` and docs/cli.md read this. */
import type { CommandSpec, OptionSpec } from "./command-line.ts";

const MANIFESTS: OptionSpec = {
  type: "string",
  value: "DIR",
  required: true,
  description: "Directory of manifests (*.yaml, *.yml, *.json) to work from; an agent watches it.",
};
const NODE: OptionSpec = {
  type: "string",
  value: "NAME",
  description: "Name of this node in logs and reports; the host name when absent.",
};
const GROUP: OptionSpec = {
  type: "string",
  value: "NAME",
  default: "default",
  description: "Director group; virtual services of other groups are not for this node.",
};
const STATE_DIR: OptionSpec = {
  type: "string",
  value: "DIR",
  default: "/run/lvs-operator",
  description:
    "Where the node's journal lives: what was changed here and which value stood there before. Must survive a restart of the agent, need not survive a reboot.",
};
const LOG_LEVEL: OptionSpec = {
  type: "string",
  value: "LEVEL",
  default: "info",
  choices: ["debug", "info", "warn", "error"],
  description: "Least severe messages to write; logs are JSON lines on standard error.",
};

function agentOptions(interfaceText: string, healthPort: number): Record<string, OptionSpec> {
  return {
    manifests: MANIFESTS,
    node: NODE,
    group: GROUP,
    interface: { type: "string", value: "NAME", description: interfaceText },
    "state-dir": STATE_DIR,
    once: {
      type: "boolean",
      description: "Bring the node to what the manifests say, then exit and leave it so.",
    },
    "audit-seconds": {
      type: "integer",
      value: "N",
      default: 5,
      min: 1,
      max: 3600,
      description: "Time between two looks for changes made by others, seconds.",
    },
    "health-address": {
      type: "string",
      value: "IP",
      default: "127.0.0.1",
      description: "Address of the health endpoint (/healthz, /readyz, /status).",
    },
    "health-port": {
      type: "integer",
      value: "PORT",
      default: healthPort,
      max: 65535,
      description: "Port of the health endpoint; 0 switches it off.",
    },
    "log-level": LOG_LEVEL,
  };
}

const AGENT_DETAILS = [
  "Needs CAP_NET_ADMIN in the initial user namespace. On SIGTERM and SIGINT the agent exits and leaves services, addresses and settings in place, so that traffic goes on; `lvsctl cleanup` takes them back.",
  "Exit status: 0 stopped as asked (with --once: the node is as wanted), 2 wrong usage, 3 with --once: a manifest is wrong or an object is refused (the others are in place), 4 the kernel lacks IPVS or refuses access, 5 failed, 6 another agent of this role runs in this network namespace.",
];

export const DIRECTOR: CommandSpec = {
  name: "lvs-operator director",
  summary: "Program this node's IPVS table and VIPs from VirtualService and RealServer objects.",
  options: agentOptions(
    "Interface for VIPs whose network is connected to none of this node's interfaces.",
    9640,
  ),
  details: AGENT_DETAILS,
};

export const REALSERVER: CommandSpec = {
  name: "lvs-operator realserver",
  summary:
    "Prepare this node as a real server for DR and TUN: VIPs on lo or a tunnel device, ARP silenced.",
  options: agentOptions(
    "Interface that receives for the VIPs, where it cannot be found from the real server's address.",
    9641,
  ),
  details: AGENT_DETAILS,
};

export const PLAN: CommandSpec = {
  name: "lvsctl plan",
  summary: "Show what an agent would change on this node. Nothing is written.",
  options: {
    manifests: MANIFESTS,
    role: {
      type: "string",
      value: "ROLE",
      default: "director",
      choices: ["director", "realserver"],
      description: "Which agent's view to compute.",
    },
    node: NODE,
    group: GROUP,
    interface: {
      type: "string",
      value: "NAME",
      description: "As the agent's option of the same name.",
    },
    "state-dir": STATE_DIR,
    output: {
      type: "string",
      short: "o",
      value: "FORMAT",
      default: "table",
      choices: ["table", "json"],
      description: "Form of the answer.",
    },
  },
  details: [
    "Exit status: 0 nothing to change, 1 there are changes, 2 wrong usage, 3 a manifest is wrong or an object is refused (changes are shown all the same), 4 the kernel lacks IPVS or refuses access, 5 failed.",
  ],
};

export const LIST: CommandSpec = {
  name: "lvsctl list",
  summary: "List the kernel's virtual services with their real servers.",
  options: {
    output: {
      type: "string",
      short: "o",
      value: "FORMAT",
      default: "table",
      choices: ["table", "json", "ipvsadm"],
      description: "A table for people, JSON, or commands as of `ipvsadm -S -n`.",
    },
    "state-dir": STATE_DIR,
  },
  details: [
    "Services that no agent of this node programmed are marked foreign.",
    "Exit status: 0, 2 wrong usage, 4 the kernel lacks IPVS or refuses access, 5 failed.",
  ],
};

export const CLEANUP: CommandSpec = {
  name: "lvsctl cleanup",
  summary:
    "Take back everything the agents put on this node: services, VIPs, devices and settings; nothing else.",
  options: {
    "state-dir": STATE_DIR,
    "dry-run": { type: "boolean", description: "Say what would be taken back, and stop." },
    output: {
      type: "string",
      short: "o",
      value: "FORMAT",
      default: "table",
      choices: ["table", "json"],
      description: "Form of the answer.",
    },
  },
  details: [
    "Stop the agents of this node first; while one runs, nothing is done. A setting that somebody else has changed since keeps its value and is reported.",
    "Exit status: 0, 2 wrong usage, 4 the kernel lacks IPVS or refuses access, 5 failed, 6 an agent still runs.",
  ],
};

/** Exit statuses of both programs; docs/cli.md explains them. */
export const EXIT = {
  ok: 0,
  changes: 1,
  usage: 2,
  refused: 3,
  unavailable: 4,
  failed: 5,
  running: 6,
} as const;
