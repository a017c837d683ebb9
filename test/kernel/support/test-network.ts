/** Two network namespaces on one wire: the node under test and a neighbour. */
import { execFileSync } from "node:child_process";

let networks = 0;

/**
 * `eth0` of the node has 10.0.0.1/24 and 2001:db8:1::1/64, that of the neighbour 10.0.0.2 and
 * 2001:db8:1::2; lo is up in both.
 */
export class TestNetwork {
  readonly node: string;
  readonly neighbour: string;

  private constructor(node: string, neighbour: string) {
    this.node = node;
    this.neighbour = neighbour;
  }

  static create(): TestNetwork {
    networks += 1;
    const name = `host-${process.pid}-${networks}`;
    const network = new TestNetwork(`${name}-a`, `${name}-b`);
    ip(`netns add ${network.node}`);
    ip(`netns add ${network.neighbour}`);
    const veth = `link add eth0 type veth peer name eth0 netns ${network.neighbour}`;
    setUp(network.node, 1, [veth]);
    setUp(network.neighbour, 2, []);
    return network;
  }

  get nodePath(): string {
    return `/run/netns/${this.node}`;
  }

  get neighbourPath(): string {
    return `/run/netns/${this.neighbour}`;
  }

  /** Runs `ip` with these words in the node. @returns what it printed */
  inNode(words: string): string {
    return ip(`-n ${this.node} ${words}`);
  }

  /** Runs `ip` with these words in the neighbour. */
  inNeighbour(words: string): string {
    return ip(`-n ${this.neighbour} ${words}`);
  }

  /** Runs a program in the node. @returns what it printed */
  execInNode(...command: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.node, ...command], { encoding: "utf8" });
  }

  dispose(): void {
    ip(`netns delete ${this.node}`);
    ip(`netns delete ${this.neighbour}`);
  }
}

/** One process for all commands: starting one costs more than what it does. */
function setUp(netns: string, host: number, first: readonly string[]): void {
  const commands = [
    ...first,
    "link set lo up",
    "link set eth0 up",
    `addr add 10.0.0.${host}/24 dev eth0`,
    `addr add 2001:db8:1::${host}/64 dev eth0 nodad`,
  ];
  execFileSync("ip", ["-n", netns, "-batch", "-"], { input: commands.join("\n") });
}

function ip(words: string): string {
  return execFileSync("ip", words.split(" "), { encoding: "utf8" });
}
