import process from "node:process";

/**
 * Fires on SIGTERM and SIGINT. A second signal ends the process at once, for the person who does
 * not want to wait.
 */
export function stopSignal(onStop: (signalName: string) => void): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      onStop(name);
      controller.abort(new Error(name));
    });
  }
  return controller.signal;
}
