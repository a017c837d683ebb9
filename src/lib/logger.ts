/**
 * The logger as the rest of the code sees it: a subset of pino's, so that tests can pass a silent
 * one and no module but `main` chooses a destination. Messages are constant, lower case; what
 * varies goes into fields.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(bindings: object): Logger;
}

/** Discards everything. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
