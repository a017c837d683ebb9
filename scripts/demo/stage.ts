/** What the demo shows: text for a person, on standard output unless a program asked for JSON. */
import process from "node:process";
import type { Spread } from "../../test/lab/http-client.ts";

const PICTURES: Readonly<Record<string, string>> = {
  dr: `
                             VIP 10.10.0.100:80
   client ───── router ──┬── director-a 10.10.0.11      requests come here,
 10.20.0.10              │        │ same network, only the MAC address changes
      ▲                  ├── rs1 .21   rs2 .22   rs3 .23   (VIP on lo, ARP silent)
      └──────────────────┘        answers go straight back to the client
`,
  nat: `
                             VIP 10.10.0.100:80
   client ───── router ───── director-a 10.10.0.11 / 10.30.0.1
 10.20.0.10                       │ address and port rewritten, 80 becomes 8080
      ▲                  ┌────────┼────────┐
      │                rs1 .21  rs2 .22  rs3 .23     network 10.30.0.0/24
      └── answers come back through director-a, which is their gateway
`,
  tun: `
                             VIP 10.10.0.100:80
   client ───── router ──┬── director-a 10.10.0.11      wraps requests in IPIP
 10.20.0.10     │        ├── rs1 .21   rs2 .22          (VIP on tunl0)
      ▲         └── 10.40.0.0/24 ── rs3 10.40.0.23      behind the router
      └─────────────────── answers go straight back to the client
`,
};

/** Width of a bar that stands for all answers. */
const BAR = 40;

/** Where the demo prints. */
export class Stage {
  readonly #quiet: boolean;
  #step = 0;

  /** @param quiet nothing is shown, because standard output belongs to a program */
  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  picture(method: string): void {
    this.#write(`\nlvs-operator demo, forwarding method ${method.toUpperCase()}\n`);
    this.#write(PICTURES[method] ?? "");
  }

  title(text: string): void {
    this.#step += 1;
    this.#write(`\n${this.#step}. ${text}\n`);
  }

  /** Text as it is, indented. */
  show(text: string): void {
    this.#write(text.trimEnd().replace(/^/gm, "   ").replace(/ +$/gm, ""));
    this.#write("\n");
  }

  /** A bar for each real server. */
  spread({ sent, failed, perServer }: Spread): void {
    const rows = Object.entries(perServer).sort(([a], [b]) => a.localeCompare(b));
    for (const [server, answers] of rows) {
      const bar = "█".repeat(Math.max(1, Math.round((BAR * answers) / Math.max(1, sent))));
      this.show(`${server.padEnd(5)} ${String(answers).padStart(5)}  ${bar}`);
    }
    this.show(`${sent} requests, ${failed} failed`);
  }

  #write(text: string): void {
    if (!this.#quiet) process.stdout.write(text);
  }
}
