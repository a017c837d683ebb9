/**
 * Calls the addon with wrong and hostile arguments. Every call must return a number or throw
 * TypeError; under AddressSanitizer it must also not touch memory that is not its own.
 */
import { NETLINK_ROUTE } from "../../../src/netlink/messages.ts";
import { loadAddon } from "../../../src/netlink/transport-native.ts";
import { MessageWriter } from "../../../src/netlink/writer.ts";
import { collectGarbage, openSockets, report } from "./support.ts";

const ROUNDS = Number(process.argv[2] ?? "20000");
// Untyped on purpose: the point is to break the types.
const addon = loadAddon() as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>;
const names = Object.keys(addon);
const before = openSockets();

// A small generator with a fixed seed, so that a failure repeats.
let state = 20_261_121;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  // The high bits: the low ones of such a generator repeat after a few numbers.
  return Math.floor((state / 2 ** 32) * below);
}

function detached(): Uint8Array {
  const bytes = new Uint8Array(64);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

function dumpRequest(): Uint8Array {
  const writer = new MessageWriter(64);
  writer.begin(18, 0x301, 1 + random(1000));
  writer.zeros(16);
  writer.end();
  return writer.toBytes();
}

const live: unknown[] = [];
// Few packet sockets: the kernel waits some milliseconds for each that is closed.
const open = (): unknown =>
  random(40) === 0 ? addon["open"]?.(17, 2, 0) : addon["open"]?.(16, 3, random(2) * 16);

const VALUES: readonly (() => unknown)[] = [
  () => live[random(live.length || 1)],
  () => live[random(live.length || 1)],
  () => live[random(live.length || 1)],
  () => open(),
  () => undefined,
  () => null,
  () => ({}),
  () => addon,
  () => () => undefined,
  () => "/proc/self/ns/net",
  () => "/nonexistent",
  () => "a\0b",
  () => "x".repeat(random(10_000)),
  () => Symbol("s"),
  () => 1n,
  () => Number.NaN,
  () => -1,
  () => 2 ** 31,
  () => 0.5,
  () => random(70_000),
  () => [0, 1, 2, 3, 16, 17, 64, 270, 0x806, 0x86dd][random(10)],
  () => dumpRequest(),
  () => dumpRequest().length,
  () => Uint8Array.from({ length: random(200) }, () => random(256)),
  () => new Uint8Array(random(200_000)),
  () => new Uint8Array(new SharedArrayBuffer(512)),
  () => new Uint32Array(random(80)),
  () => new Uint32Array(new ArrayBuffer(4096), 4, 1 + random(64)),
  () => new Float64Array(8),
  () => new DataView(new ArrayBuffer(16)),
  () => new ArrayBuffer(16),
  () => detached(),
];

const socket = (): unknown => live[random(live.length || 1)];
const bytes = (limit: number): Uint8Array => new Uint8Array(random(limit));
const near = (...numbers: number[]): number =>
  (numbers[random(numbers.length)] ?? 0) + random(3) - 1;

// Right types, hostile values: these get past the first checks.
const PLAUSIBLE: readonly (() => [name: string, ...args: unknown[]])[] = [
  () => ["send", socket(), bytes(300), near(0, 16, 32, 300)],
  () => ["send", socket(), dumpRequest(), near(16, 32, 33)],
  () => ["receive", socket(), bytes(70_000), near(64, 128, 1024) & ~7, new Uint32Array(random(70))],
  () => ["receive", socket(), new Uint8Array(8192), 64, new Uint32Array(64), bytes(4096)],
  () => ["setOption", socket(), near(1, 270), near(8, 10, 11, 33), near(0, 1, 2 ** 30)],
  () => ["getOption", socket(), near(1, 270), near(8, 10, 11, 33)],
  () => ["bindLink", socket(), near(0, 1), near(0x806, 0x86dd)],
  () => ["attachFilter", socket(), near(1)],
  () => ["joinMulticast", socket(), near(1), bytes(12)],
  () => ["sendLink", socket(), bytes(2000), near(1), near(0x806, 0x86dd), bytes(12)],
  () => ["watch", socket(), random(2) === 0 ? null : () => undefined],
  () => ["portId", socket()],
  () => ["close", random(4) === 0 ? socket() : undefined],
];

function plausibleCall(): [name: string, ...args: unknown[]] {
  return PLAUSIBLE[random(PLAUSIBLE.length)]?.() ?? ["open"];
}

function wildCall(): [name: string, ...args: unknown[]] {
  const name = names[random(names.length)] ?? "open";
  const args = Array.from({ length: random(7) }, () => VALUES[random(VALUES.length)]?.());
  // Mostly a real socket first, or nothing would get past the first check.
  if (name !== "open" && random(4) !== 0) args[0] = socket();
  return [name, ...args];
}

let calls = 0;
let refused = 0;
for (let round = 0; round < ROUNDS; round++) {
  const [name, ...args] = random(2) === 0 ? wildCall() : plausibleCall();
  calls += 1;
  try {
    const result = name === "open" && random(2) === 0 ? open() : addon[name]?.(...args);
    if (typeof result === "object" && result !== null) live.push(result);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    refused += 1;
  }
  if (live.length > 20) live.splice(0, 10);
  if (random(4) === 0) live.push(open());
  if (round % 500 === 0) await collectGarbage();
}
// Real exchanges between the hostile ones: slots of every size, down to cutting the answer.
const handle = addon["open"]?.(16, 3, NETLINK_ROUTE);
for (const slot of [64, 128, 1024, 32_768]) {
  const request = dumpRequest();
  addon["send"]?.(handle, request, request.length);
  const lengths = new Uint32Array(8);
  for (let i = 0; i < 20; i++) addon["receive"]?.(handle, new Uint8Array(8 * slot), slot, lengths);
}
live.length = 0;
addon["close"]?.(handle);
await collectGarbage();
report({ calls, refused, left: openSockets() - before });
