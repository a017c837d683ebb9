import { FakeHost } from "./testing/fake-host.ts";
import { aLink, anAddress } from "./testing/builders.ts";
import { describeHostClient } from "./testing/host-client.contract.ts";
import { HostWorld } from "./testing/host-world.ts";

const SETTINGS = {
  arp_ignore: 0,
  arp_announce: 0,
  rp_filter: 0,
  send_redirects: 1,
  accept_local: 0,
  forwarding: 0,
};

describeHostClient("a node in memory", () => {
  const sysctls: Record<string, number> = { "ipv4/ip_forward": 0 };
  for (const device of ["all", "lo", "eth0", "spare0"]) {
    for (const [name, value] of Object.entries(SETTINGS)) {
      sysctls[`conf/${device}/${name}`] = value;
    }
  }
  const world = new HostWorld({
    links: [
      aLink("lo"),
      aLink("eth0"),
      aLink("spare0", { index: 3, up: false, kind: "dummy", noArp: true }),
    ],
    addresses: [
      anAddress("10.0.0.1", "eth0", { prefixLength: 24 }),
      anAddress("2001:db8:1::1", "eth0", { prefixLength: 64 }),
    ],
    sysctls,
    newDeviceSettings: SETTINGS,
  });
  const client = new FakeHost(world, [
    { prefix: "10.0.0.0/24", interfaceName: "eth0" },
    { prefix: "2001:db8:1::/64", interfaceName: "eth0" },
    { prefix: "172.16.0.0/12", interfaceName: "eth0", gateway: true },
    { prefix: "2001:db8:2::/48", interfaceName: "eth0", gateway: true },
  ]);
  return Promise.resolve({
    client,
    addForeign: (address) => client.change((node) => node.addForeign(address)),
    dispose: () => undefined,
  });
});
