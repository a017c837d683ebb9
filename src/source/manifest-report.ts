/** Says for a person what is wrong in which file, on which line. */
import { firstLine, type ManifestFile } from "./manifest-file.ts";
import type { SourceProblem } from "./source.ts";
import type { Finding, ManifestDocument, ManifestItem } from "./yaml-document.ts";

/** Where an object is written. */
export interface Occurrence {
  readonly fileName: string;
  readonly document: ManifestDocument;
  readonly item: ManifestItem;
}

/** A finding with the line of the file instead of that of the document. */
interface LocatedFinding extends Finding {
  readonly fileName: string;
}

/** Everything that there may be something to say about. */
export interface Troubles {
  /** Files that cannot be used at all, and why. */
  readonly failures: ReadonlyMap<string, string>;
  /** Documents with findings of their own, and their files. */
  readonly noisy: ReadonlyMap<ManifestDocument, string>;
  /** The occurrences of each object that is refused. */
  readonly troubled: readonly (readonly Occurrence[])[];
}

/** What one condition can hold. */
const MAX_MESSAGES = 3;
/** What a log can hold, of a directory where everything is wrong. */
const MAX_PROBLEMS = 200;

export class ManifestReport {
  readonly #files: ReadonlyMap<string, ManifestFile>;

  /** @param files the files by name; may change between calls */
  constructor(files: ReadonlyMap<string, ManifestFile>) {
    this.#files = files;
  }

  /** Why the newest version of an object is not used. */
  refusal(occurrences: readonly Occurrence[]): string {
    if (occurrences.length > 1) {
      const places = occurrences.map((occurrence) => this.#where(occurrence));
      return `is in ${places.join(" and in ")}; remove all but one`;
    }
    const messages = occurrences.flatMap(({ fileName, document, item }) =>
      item.findings.map((finding) => {
        const located = this.#locate(fileName, document, finding);
        return `${placeText(located)}: ${finding.message}`;
      }),
    );
    const more = messages.length - MAX_MESSAGES;
    const shown = messages.slice(0, MAX_MESSAGES).join("; ");
    return more > 0 ? `${shown}; and ${more} more` : shown;
  }

  /** All that is wrong, in the order of files and lines. */
  problems({ failures, noisy, troubled }: Troubles): readonly SourceProblem[] {
    const findings = [
      ...[...failures].map(([fileName, message]): LocatedFinding => {
        return { fileName, line: 0, column: 0, severity: "Error", message };
      }),
      ...[...noisy].flatMap(([document, fileName]) =>
        document.findings.map((finding) => this.#locate(fileName, document, finding)),
      ),
      ...troubled.flatMap((occurrences) => this.#findingsOf(occurrences)),
    ];
    return findings
      .sort((a, b) => compareText(a.fileName, b.fileName) || a.line - b.line || a.column - b.column)
      .slice(0, MAX_PROBLEMS)
      .map((finding) => ({
        severity: finding.severity,
        where: placeText(finding),
        message: finding.message,
      }));
  }

  #findingsOf(occurrences: readonly Occurrence[]): readonly LocatedFinding[] {
    return occurrences.flatMap((occurrence) => {
      const { fileName, document, item } = occurrence;
      const others = occurrences.filter((other) => other !== occurrence).map((o) => this.#where(o));
      const message = `${item.key} is also in ${others.join(" and in ")}; remove all but one`;
      const { line, column } = item;
      const duplicate: Finding = { line, column, severity: "Error", message };
      const findings = others.length === 0 ? item.findings : [...item.findings, duplicate];
      return findings.map((finding) => this.#locate(fileName, document, finding));
    });
  }

  #where({ fileName, document, item }: Occurrence): string {
    const { line, column } = item;
    const here: Finding = { line, column, severity: "Notice", message: "" };
    return placeText(this.#locate(fileName, document, here));
  }

  #locate(fileName: string, document: ManifestDocument, finding: Finding): LocatedFinding {
    const file = this.#files.get(fileName);
    const first = file === undefined ? 1 : firstLine(file, document);
    return { ...finding, fileName, line: first + finding.line - 1 };
  }
}

/** Line 0 means the file as a whole. */
function placeText({ fileName, line, column }: LocatedFinding): string {
  return line === 0 ? fileName : `${fileName}:${line}:${column}`;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
