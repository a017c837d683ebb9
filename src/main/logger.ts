import { destination, pino } from "pino";
import type { Logger } from "../lib/logger.ts";

/**
 * JSON lines on standard error, written at once: an agent that is killed has said everything it
 * did. `err` fields keep code, stack and cause.
 */
export function createLogger(level: string, bindings: object): Logger {
  return pino(
    {
      level,
      base: bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  );
}
