import type { HostReport, HostReportKind } from "../host/reports.ts";
import type { Logger } from "../lib/logger.ts";

/** What a plan or the kernel has to say about one thing. */
export type Report =
  | HostReport
  | { readonly kind: "command-refused"; readonly subject: string; readonly message: string };

/** Reports that tell of a repair: each time is news. The others are said once while they hold. */
const EVENTS: ReadonlySet<Report["kind"]> = new Set<HostReportKind>([
  "sysctl-drift",
  "address-drift",
  "link-drift",
]);

/** Writes reports to the log without repeating itself. */
export class ReportLog {
  readonly #log: Logger;
  #standing: ReadonlySet<string> = new Set();
  /** Repairs since the start. */
  repaired = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  note(reports: readonly Report[]): void {
    const standing = new Set<string>();
    for (const { kind, subject, message } of reports) {
      const key = `${kind} ${subject}`;
      const isNews = !this.#standing.has(key) && !standing.has(key);
      if (EVENTS.has(kind)) this.repaired += 1;
      else standing.add(key);
      if (isNews) this.#log.warn({ kind, subject, detail: message }, "node report");
    }
    this.#standing = standing;
  }
}
