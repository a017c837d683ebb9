/** What every program needs of the node it runs on; the one place where it is put together. */
import { release } from "node:os";
import { currentWorld, JournalStore } from "../host/journal-store.ts";
import { NodeLocks } from "../host/lock.ts";
import { NetlinkHost } from "../host/netlink-host.ts";
import type { IpvsClient } from "../ipvs/client.ts";
import { openIpvsClient } from "../ipvs/netlink-client.ts";
import { systemClock } from "../lib/clock.ts";
import { nativeTransport } from "../netlink/transport-native.ts";

/** Open handles on this node; `close` them when done. */
export interface Node {
  readonly host: NetlinkHost;
  readonly ipvs: IpvsClient;
  readonly store: JournalStore;
  readonly locks: NodeLocks;
  close(): void;
}

/** @param stateDirectory where the journal lives */
export async function openNode(stateDirectory: string): Promise<Node> {
  const host = new NetlinkHost({ transport: nativeTransport, kernelRelease: release() });
  const ipvs = openIpvsClient({ transport: nativeTransport, clock: systemClock });
  return {
    host,
    ipvs,
    store: new JournalStore(stateDirectory, await currentWorld()),
    locks: new NodeLocks(),
    close: () => {
      host.close();
      ipvs.close();
    },
  };
}
