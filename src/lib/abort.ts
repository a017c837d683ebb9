import { AbortedError } from "./errors.ts";

/** @throws AbortedError when the signal has fired */
export function throwIfAborted(signal: AbortSignal, what: string): void {
  if (signal.aborted) throw new AbortedError(`${what}: aborted`, { cause: signal.reason });
}

/** Whether the error says that somebody asked us to stop, as opposed to a failure. */
export function isAbort(error: unknown): boolean {
  return error instanceof AbortedError || (error instanceof Error && error.name === "AbortError");
}
