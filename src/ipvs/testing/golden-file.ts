/**
 * The text form of recorded messages: comment lines that say where they come from, then sections of
 * hexadecimal bytes. One section is one generic netlink message from its command byte on, without
 * the message header, whose numbers differ from run to run.
 *
 *     # kernel: Linux 7.2.12
 *     [request create-service tcp]
 *     # ipvsadm -A -t 192.0.2.10:80 -s wlc
 *     01 01 00 00 …
 */

/** A recording. `provenance` lines have no leading mark. */
export interface GoldenFile {
  readonly provenance: readonly string[];
  readonly sections: readonly GoldenSection[];
}

export interface GoldenSection {
  readonly title: string;
  readonly note: string;
  readonly bytes: Uint8Array;
}

const BYTES_PER_LINE = 16;

export function formatGoldenFile({ provenance, sections }: GoldenFile): string {
  const head = provenance.map((line) => `# ${line}\n`).join("");
  const parts = sections.map(({ title, note, bytes }) => {
    const lines: string[] = [];
    for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
      lines.push(hexLine(bytes.subarray(at, at + BYTES_PER_LINE)));
    }
    return `\n[${title}]\n# ${note}\n${lines.join("")}`;
  });
  return head + parts.join("");
}

/** @throws Error on text that `formatGoldenFile` does not write */
export function parseGoldenFile(text: string): GoldenFile {
  const [head = "", ...parts] = text.split(/\n\[/);
  const provenance = head.split("\n").filter((line) => line !== "");
  return { provenance: provenance.map(withoutMark), sections: parts.map(parseSection) };
}

function parseSection(part: string): GoldenSection {
  const [title = "", note = "", ...lines] = part.trimEnd().split("\n");
  if (!title.endsWith("]")) throw new Error(`no title: ${title}`);
  const hex = lines
    .join(" ")
    .split(" ")
    .filter((byte) => byte !== "");
  if (!hex.every((byte) => /^[0-9a-f]{2}$/.test(byte)))
    throw new Error(`not hexadecimal: ${title}`);
  return {
    title: title.slice(0, -1),
    note: withoutMark(note),
    bytes: Uint8Array.from(hex, (byte) => Number.parseInt(byte, 16)),
  };
}

function withoutMark(line: string): string {
  if (!line.startsWith("# ")) throw new Error(`not a comment: ${line}`);
  return line.slice(2);
}

function hexLine(bytes: Uint8Array): string {
  return `${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ")}\n`;
}
