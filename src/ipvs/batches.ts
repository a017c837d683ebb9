/** Keeps together in one send what must not be torn apart. Pure. */
import type { IpvsCommand } from "./client.ts";
import { destinationKey } from "./model.ts";

/**
 * Commands of any kind that surely fit one send of the connection: at most 120 messages, and below
 * 14 kB with a destination command of at most 200 bytes.
 */
const ONE_SEND = 60;

/**
 * The list in groups that the connection can cut where it likes, or of which each fits one send
 * when the list moves destinations. A deletion and the creation of the same destination right
 * after it (the kernel then revives the object with its connections) are never in two groups.
 */
export function unsplitGroups(
  commands: readonly IpvsCommand[],
): readonly (readonly IpvsCommand[])[] {
  if (commands.length <= ONE_SEND) return commands.length === 0 ? [] : [commands];
  if (!commands.some((_, i) => isMove(commands, i))) return [commands];
  const groups: (readonly IpvsCommand[])[] = [];
  for (let start = 0; start < commands.length;) {
    const limit = Math.min(start + ONE_SEND, commands.length);
    const end = isMove(commands, limit - 1) ? limit - 1 : limit;
    groups.push(commands.slice(start, end));
    start = end;
  }
  return groups;
}

/** Whether the command at `i` deletes what the next one creates. */
function isMove(commands: readonly IpvsCommand[], i: number): boolean {
  const first = commands[i];
  const second = commands[i + 1];
  return (
    first?.op === "delete-destination" &&
    second?.op === "create-destination" &&
    destinationKey(first.destination) === destinationKey(second.destination)
  );
}
