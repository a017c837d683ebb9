/** Counts TCP connections by local address from /proc/net/tcp and tcp6 of this network namespace. */
import { readFile } from "node:fs/promises";
import { endianness } from "node:os";
import { formatIp } from "../../lib/ip-address.ts";

/** Socket states that are not a connection somebody waits for: TIME_WAIT, CLOSE, LISTEN. */
const IDLE_STATES: ReadonlySet<string> = new Set(["06", "07", "0A"]);

/**
 * Connections per local address, canonical text. Absent = none.
 * @param procNet directory with the kernel's socket tables, normally `/proc/net`
 */
export async function countConnections(procNet: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const table of ["tcp", "tcp6"]) {
    const text = await readTable(`${procNet}/${table}`);
    for (const address of parseSocketTable(text)) {
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
  }
  return counts;
}

async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    // No IPv6 in this kernel: no table.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

/** Local addresses of the rows that are connections; one entry per row. */
export function parseSocketTable(text: string): readonly string[] {
  const addresses: string[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (local === undefined || state === undefined || IDLE_STATES.has(state)) continue;
    const address = parseHexAddress(local.split(":")[0] ?? "");
    if (address !== undefined) addresses.push(address);
  }
  return addresses;
}

/**
 * The kernel prints each 32-bit word of the address in host order. An IPv4 connection on an IPv6
 * socket shows as IPv4-mapped and counts for the IPv4 address.
 */
function parseHexAddress(hex: string): string | undefined {
  if (!/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined;
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (endianness() === "LE") {
    for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  }
  const mapped = bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff;
  const zeros = bytes.subarray(0, 10).every((b) => b === 0);
  return formatIp(mapped && zeros ? bytes.subarray(12) : bytes);
}
