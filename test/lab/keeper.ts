/**
 * The process behind `npm run lab -- up`: it holds the guest's serial lines and answers on a socket
 * until the lab is taken down. Started by session.ts; arguments: JSON of GuestOptions.
 *
 * A client sends one line of JSON, an Order. A shell's connection then carries the terminal's bytes
 * both ways and ends with the shell; every other order is answered with one line of JSON.
 */
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { z } from "zod";
import { bootGuest, guestDirectory, SHELL_LINES, type Guest, type GuestOptions } from "./guest.ts";

/** What a client of the keeper may ask for. */
export const ORDER = z.discriminatedUnion("op", [
  z.object({
    op: z.literal("shell"),
    host: z.string().regex(/^[a-z0-9-]+$/),
    rows: z.int(),
    columns: z.int(),
  }),
  z.object({ op: z.literal("size"), line: z.int(), rows: z.int(), columns: z.int() }),
  z.object({ op: z.literal("job"), id: z.string().regex(/^[a-z0-9]+$/) }),
  z.object({ op: z.literal("stop") }),
]);
export type Order = z.infer<typeof ORDER>;

/** First thing that a shell's connection says, before the bytes of the terminal. */
export const SHELL_STARTED = z.object({ line: z.int() });

/** Time for the guest to power off before it is ended. */
const POWER_OFF_MS = 5_000;

/** Socket of the keeper of a lab. */
export function keeperSocket(name: string): string {
  return join(guestDirectory(name), "keeper");
}

class Keeper {
  readonly #guest: Guest;
  readonly #control: Duplex;
  readonly #shells = new Map<number, Socket>();
  readonly #jobs = new Map<string, Socket>();
  #partial = "";

  constructor(guest: Guest, name: string) {
    this.#guest = guest;
    this.#control = serialLine(guest, 0);
    this.#control.on("data", (chunk: Buffer) => this.#fromGuest(chunk.toString("utf8"), name));
  }

  accept(socket: Socket): void {
    let head = "";
    const onData = (chunk: Buffer): void => {
      head += chunk.toString("latin1");
      const end = head.indexOf("\n");
      if (end < 0) return;
      socket.off("data", onData);
      const rest = Buffer.from(head.slice(end + 1), "latin1");
      this.#obey(ORDER.parse(JSON.parse(head.slice(0, end))), socket, rest);
    };
    socket.on("data", onData);
    socket.on("error", () => socket.destroy());
  }

  stop(): void {
    this.#control.write("stop\n");
    setTimeout(() => this.#guest.kill(), POWER_OFF_MS).unref();
  }

  #obey(order: Order, socket: Socket, rest: Buffer): void {
    switch (order.op) {
      case "shell":
        this.#startShell(order, socket, rest);
        return;
      case "size":
        this.#control.write(`size ${order.line} ${order.rows} ${order.columns}\n`);
        socket.end("{}\n");
        return;
      case "job":
        this.#jobs.set(order.id, socket);
        this.#control.write(`job ${order.id}\n`);
        return;
      case "stop":
        socket.end("{}\n");
        this.stop();
    }
  }

  #startShell(order: Extract<Order, { op: "shell" }>, socket: Socket, rest: Buffer): void {
    const free = Array.from({ length: SHELL_LINES }, (_, i) => i + 1);
    const line = free.find((candidate) => !this.#shells.has(candidate));
    if (line === undefined) {
      socket.end(`${JSON.stringify({ error: `${SHELL_LINES} shells are open already` })}\n`);
      return;
    }
    this.#shells.set(line, socket);
    const terminal = serialLine(this.#guest, line);
    socket.write(`${JSON.stringify({ line })}\n`);
    this.#control.write(`shell ${line} ${order.host} ${order.rows} ${order.columns}\n`);
    terminal.removeAllListeners("data").on("data", (chunk: Buffer) => socket.write(chunk));
    terminal.write(rest);
    socket.on("data", (chunk: Buffer) => terminal.write(chunk));
    // A client that is gone leaves a shell that nobody can see: end-of-file ends it.
    socket.once("close", () => {
      if (this.#shells.get(line) === socket) terminal.write("\x03\x04");
    });
  }

  #fromGuest(text: string, name: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const words of lines.map((line) => line.trim().split(" "))) this.#report(words, name);
  }

  #report([verb, kind, subject = "", code = ""]: readonly string[], name: string): void {
    if (verb === "ready") writeFileSync(join(guestDirectory(name), "ready"), "");
    if (verb !== "end") return;
    if (kind === "job") {
      this.#jobs.get(subject)?.end(`${JSON.stringify({ code: Number(code) })}\n`);
      this.#jobs.delete(subject);
    } else {
      const line = Number(subject);
      const socket = this.#shells.get(line);
      this.#shells.delete(line);
      socket?.end();
    }
  }
}

function serialLine(guest: Guest, line: number): Duplex {
  // bootGuest opens descriptors 3 and up as pipes, which Node makes duplex sockets.
  return guest.process.stdio[line + 3] as Duplex;
}

async function main(options: GuestOptions): Promise<void> {
  const guest = bootGuest(options);
  const keeper = new Keeper(guest, options.name);
  const server = createServer((socket) => keeper.accept(socket));
  server.listen(keeperSocket(options.name));
  process.on("SIGTERM", () => keeper.stop());
  process.on("SIGHUP", () => undefined);
  await guest.ended;
  server.close();
  guest.remove(false);
  process.exit(0);
}

if (import.meta.main) {
  // Written by session.ts from the same type.
  await main(JSON.parse(process.argv[2] ?? "") as GuestOptions);
}
