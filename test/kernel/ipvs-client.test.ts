/** The contract of IpvsClient on the running kernel; each test has a network namespace of its own. */
import { execFileSync } from "node:child_process";
import { describeIpvsClient } from "../../src/ipvs/testing/ipvs-client.contract.ts";
import { openIpvsClient } from "../../src/ipvs/netlink-client.ts";
import { nativeTransport } from "../../src/netlink/transport-native.ts";

let namespaces = 0;

describeIpvsClient("a client of the running kernel", () => {
  namespaces += 1;
  const name = `ipvs-contract-${process.pid}-${namespaces}`;
  execFileSync("ip", ["netns", "add", name]);
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  const client = openIpvsClient({ transport: nativeTransport, netnsPath: `/run/netns/${name}` });
  return {
    client,
    dispose: () => {
      execFileSync("ip", ["netns", "delete", name]);
    },
  };
});
