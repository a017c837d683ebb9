/** The contract of HostClient on the running kernel; each test has network namespaces of its own. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { NetlinkHost } from "../../src/host/netlink-host.ts";
import { describeHostClient } from "../../src/host/testing/host-client.contract.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";
import { TestNetwork } from "./support/test-network.ts";

// Whether new namespaces get a tunl0 by themselves. The contract wants to create it.
const FALLBACK_TUNNELS = "/proc/sys/net/core/fb_tunnels_only_for_init_net";
const before = readFileSync(FALLBACK_TUNNELS, "latin1");
beforeAll(() => writeFileSync(FALLBACK_TUNNELS, "2"));
afterAll(() => writeFileSync(FALLBACK_TUNNELS, before));

describeHostClient("a client of the running kernel", () => {
  const network = TestNetwork.create();
  network.inNode("link add spare0 type dummy");
  network.inNode("route add 172.16.0.0/12 via 10.0.0.254");
  network.inNode("route add 2001:db8:2::/48 via 2001:db8:1::fe");
  const client = new NetlinkHost({ transport: nativeTransport, netnsPath: network.nodePath });
  return Promise.resolve({
    client,
    addForeign: ({ address, prefixLength, interfaceName }) => {
      network.inNode(`addr add ${address}/${prefixLength} dev ${interfaceName}`);
      return Promise.resolve();
    },
    dispose: () => network.dispose(),
  });
});
