/**
 * The kernel's error numbers in the words of IPVS. IPVS sends no text with an error (its nested
 * attributes are parsed without an extended ack), so the meaning follows from command and number.
 */
import { LvsError } from "../lib/errors.ts";
import { KernelRejectedError } from "../netlink/errors.ts";
import type { IpvsCommand } from "./client.ts";
import { destinationKey, serviceKey, type ServiceIdentity } from "./model.ts";
import { NO_SCHEDULER } from "./uapi.ts";

export { KernelRejectedError };

/** Why IPVS cannot be used in this network namespace at all. */
export type UnavailableReason =
  | "NoModule" // the kernel has no family of that name and could not load ip_vs
  | "NoPermission" // CAP_NET_ADMIN in the initial user namespace is missing
  | "Unloading"; // the module is going away or comes and goes

const UNAVAILABLE: Readonly<Record<UnavailableReason, string>> = {
  NoModule: "the kernel has no IPVS and could not load it (module ip_vs)",
  NoPermission: "IPVS needs CAP_NET_ADMIN in the initial user namespace, for reading too",
  Unloading: "the module ip_vs is being unloaded",
};

/** IPVS is not there, or we may not use it. Nothing was changed. */
export class KernelUnavailableError extends LvsError {
  override readonly name = "KernelUnavailableError";
  readonly code = "LVS_KERNEL_UNAVAILABLE";
  readonly retryable = true;
  readonly reason: UnavailableReason;
  readonly errno: string;
  constructor(reason: UnavailableReason, errno: string, options?: ErrorOptions) {
    super(`${errno}: ${UNAVAILABLE[reason]}`, options);
    this.reason = reason;
    this.errno = errno;
  }
}

/**
 * The class of a refusal that concerns IPVS as a whole, or undefined when it concerns one command.
 * @param errno name
 */
export function unavailableReason(errno: string): UnavailableReason | undefined {
  if (errno === "EPERM" || errno === "EACCES") return "NoPermission";
  return errno === "ENOPROTOOPT" ? "Unloading" : undefined;
}

/** What a refusal of a write command asks of the caller. */
export type RefusalKind =
  | "stale" // the table is not what we thought: read again
  | "missing-module" // the scheduler or persistence engine is not in this kernel
  | "unavailable" // IPVS as a whole
  | "transient" // the same command may work later
  | "invalid"; // the kernel will never accept it

/** A refusal in words, with what it asks of the caller. */
export interface Refusal {
  readonly kind: RefusalKind;
  readonly meaning: string;
}

/** @param errno name of the error that the kernel answered `command` with */
export function explainRefusal(command: IpvsCommand, errno: string): Refusal {
  if (errno === "ENOENT") return explainNotFound(command);
  return EXPLAINED[errno]?.(command) ?? { kind: "invalid", meaning: "unexpected answer" };
}

/** The refusal as an error, for callers that cannot go on. */
export function rejected(command: IpvsCommand, errno: string): KernelRejectedError {
  return new KernelRejectedError(
    describeCommand(command),
    errno,
    explainRefusal(command, errno).meaning,
  );
}

/** One line for people: `create-destination 192.0.2.21:80 of TCP 192.0.2.10:80`. */
export function describeCommand(command: IpvsCommand): string {
  const identity = serviceOf(command);
  if (identity === undefined) return describeSetting(command);
  const service = serviceKey(identity);
  if (!("destination" in command)) return `${command.op} ${service}`;
  return `${command.op} ${destinationKey(command.destination)} of ${service}`;
}

function describeSetting(command: IpvsCommand): string {
  switch (command.op) {
    case "zero":
      return "zero all";
    case "start-daemon":
      return `start-daemon ${command.daemon.role}`;
    case "stop-daemon":
      return `stop-daemon ${command.role}`;
    default:
      return command.op;
  }
}

/** Service that a command is about; undefined for the whole namespace. */
export function serviceOf(command: IpvsCommand): ServiceIdentity | undefined {
  if ("service" in command) return command.service.identity;
  return "identity" in command ? command.identity : undefined;
}

type Explain = (command: IpvsCommand) => Refusal;

const EXPLAINED: Readonly<Record<string, Explain | undefined>> = {
  EEXIST: (command) => ({
    kind: "stale",
    meaning: `${subject(command)} exists already and was left as it is`,
  }),
  ESRCH: (command) => ({
    kind: "stale",
    meaning:
      command.op === "stop-daemon" ? "the daemon does not run" : "the service does not exist",
  }),
  EINVAL: explainInvalid,
  ERANGE: () => ({
    kind: "invalid",
    meaning: "the weight is negative or the lower threshold is above the upper one",
  }),
  EAFNOSUPPORT: () => ({ kind: "invalid", meaning: "the address family is not available here" }),
  EPERM: () => ({ kind: "unavailable", meaning: UNAVAILABLE.NoPermission }),
  ENOPROTOOPT: () => ({ kind: "unavailable", meaning: UNAVAILABLE.Unloading }),
  EOPNOTSUPP: () => ({ kind: "invalid", meaning: "the kernel does not know this command" }),
  ENODEV: () => ({ kind: "transient", meaning: "the interface does not exist" }),
  EBUSY: () => ({ kind: "transient", meaning: "the kernel is busy" }),
  ENOMEM: () => ({ kind: "transient", meaning: "the kernel is out of memory" }),
};

function explainNotFound(command: IpvsCommand): Refusal {
  if (command.op === "update-destination" || command.op === "delete-destination") {
    return { kind: "stale", meaning: "the destination does not exist" };
  }
  if (command.op !== "create-service" && command.op !== "update-service") {
    return { kind: "invalid", meaning: "not found" };
  }
  const { scheduler, persistenceEngine: engine } = command.service;
  const modules = scheduler === NO_SCHEDULER ? [] : [`ip_vs_${scheduler}`];
  if (engine !== undefined) modules.push(`ip_vs_pe_${engine}`);
  return {
    kind: "missing-module",
    meaning: `the kernel has no module ${modules.join(" or ")}`,
  };
}

function explainInvalid(command: IpvsCommand): Refusal {
  switch (command.op) {
    case "create-service":
    case "update-service":
      return { kind: "invalid", meaning: "the netmask or prefix length is not possible" };
    case "create-destination":
    case "update-destination":
      return {
        kind: "invalid",
        meaning:
          "the address is not one of a host (none is before an interface of the namespace is up), " +
          "the families differ without a tunnel or beside a sync daemon, or GUE has no port",
      };
    case "start-daemon":
      return { kind: "invalid", meaning: "the group is not multicast, or families are mixed" };
    default:
      return { kind: "invalid", meaning: "a value is out of range" };
  }
}

function subject(command: IpvsCommand): string {
  if (command.op === "create-destination") return "the destination";
  return command.op === "start-daemon" ? "the daemon" : "the service";
}
