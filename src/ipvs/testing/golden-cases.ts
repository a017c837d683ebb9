/**
 * What is recorded from a real kernel and real `ipvsadm`: a command line beside the command of ours
 * that must mean the same. `scripts/capture-golden.ts` runs the lines, `golden.test.ts` compares.
 */
import type { IpvsCommand } from "../client.ts";
import type { Destination, Service, SyncDaemon } from "../model.ts";
import { aDestination, aMark, anIdentity, aService } from "./builders.ts";

export interface GoldenCase {
  /** Section in the recording. */
  readonly name: string;
  /** Arguments of ipvsadm. */
  readonly line: string;
  readonly command: IpvsCommand;
}

/** A service that is created by ipvsadm and then read from the kernel. */
export interface GoldenService {
  readonly name: string;
  readonly line: string;
  readonly service: Service;
}

export interface GoldenDestination {
  readonly name: string;
  readonly line: string;
  readonly destination: Destination;
}

const VIP = anIdentity("192.0.2.10", 80);
const flags = (fallback: boolean, port: boolean): Service["schedulerFlags"] => ({
  fallback,
  port,
  third: false,
});

/** Options as on the command line, without the operation. */
export const GOLDEN_SERVICES: readonly GoldenService[] = [
  { name: "tcp", line: "-t 192.0.2.10:80 -s wlc", service: aService() },
  {
    name: "tcp6",
    line: "-t [2001:db8::10]:443 -s rr",
    service: aService({ identity: anIdentity("2001:db8::10", 443), scheduler: "rr" }),
  },
  {
    name: "udp-one-packet",
    line: "-u 192.0.2.10:53 -s rr -o",
    service: aService({
      identity: anIdentity("192.0.2.10", 53, "UDP"),
      scheduler: "rr",
      onePacket: true,
    }),
  },
  {
    name: "sctp",
    line: "--sctp-service 192.0.2.10:2905 -s wrr",
    service: aService({ identity: anIdentity("192.0.2.10", 2905, "SCTP"), scheduler: "wrr" }),
  },
  {
    name: "mark",
    line: "-f 7 -s lc",
    service: aService({ identity: aMark(7), scheduler: "lc" }),
  },
  {
    name: "mark6",
    line: "-f 4294967295 -6 -s lc",
    service: aService({ identity: aMark(0xffffffff, "IPv6"), scheduler: "lc" }),
  },
  {
    name: "every-port-persistent",
    line: "-t 192.0.2.10:0 -s wlc -p 360 -M 255.255.255.0",
    service: aService({
      identity: anIdentity("192.0.2.10", 0),
      persistence: { timeoutSeconds: 360, mask: 0xffffff00 },
    }),
  },
  {
    name: "persistent6",
    line: "-t [2001:db8::10]:80 -s wlc -p 50 -M 64",
    service: aService({
      identity: anIdentity("2001:db8::10", 80),
      persistence: { timeoutSeconds: 50, mask: 64 },
    }),
  },
  {
    name: "sh-flags",
    line: "-t 192.0.2.11:80 -s sh -b sh-fallback,sh-port",
    service: aService({
      identity: anIdentity("192.0.2.11", 80),
      scheduler: "sh",
      schedulerFlags: flags(true, true),
    }),
  },
  {
    name: "mh-flag",
    line: "-t 192.0.2.12:80 -s mh -b mh-fallback",
    service: aService({
      identity: anIdentity("192.0.2.12", 80),
      scheduler: "mh",
      schedulerFlags: flags(true, false),
    }),
  },
  {
    name: "engine-sip",
    line: "-u 192.0.2.10:5060 -s rr -p 60 --pe sip",
    service: aService({
      identity: anIdentity("192.0.2.10", 5060, "UDP"),
      scheduler: "rr",
      persistence: { timeoutSeconds: 60, mask: 0xffffffff },
      persistenceEngine: "sip",
    }),
  },
];

const gue = (checksum: "None" | "Checksum" | "RemoteChecksum"): Destination["tunnel"] => ({
  type: "GUE",
  port: 6080,
  checksum,
});

/** Destinations of the first service, without service and operation. */
export const GOLDEN_DESTINATIONS: readonly GoldenDestination[] = [
  {
    name: "nat-other-port",
    line: "-r 192.0.2.21:8080 -m -w 5",
    destination: aDestination({ port: 8080, weight: 5 }),
  },
  {
    name: "dr",
    line: "-r 192.0.2.22:80 -g -w 65535",
    destination: aDestination({ address: "192.0.2.22", method: "DR", weight: 65_535 }),
  },
  {
    name: "drained",
    line: "-r 192.0.2.23:80 -g -w 0",
    destination: aDestination({ address: "192.0.2.23", method: "DR", weight: 0 }),
  },
  {
    name: "thresholds",
    line: "-r 192.0.2.24:80 -m -w 1 -x 1000 -y 10",
    destination: aDestination({
      address: "192.0.2.24",
      upperThreshold: 1000,
      lowerThreshold: 10,
    }),
  },
  {
    name: "ipip",
    line: "-r 192.0.2.25:80 -i -w 1",
    destination: aDestination({
      address: "192.0.2.25",
      method: "TUN",
      tunnel: { type: "IPIP", port: 0, checksum: "None" },
    }),
  },
  {
    name: "gue",
    line: "-r 192.0.2.26:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
    destination: aDestination({ address: "192.0.2.26", method: "TUN", tunnel: gue("None") }),
  },
  {
    name: "gue-checksum",
    line: "-r 192.0.2.27:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
    destination: aDestination({ address: "192.0.2.27", method: "TUN", tunnel: gue("Checksum") }),
  },
  {
    name: "gue-remote-checksum",
    line: "-r 192.0.2.28:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
    destination: aDestination({
      address: "192.0.2.28",
      method: "TUN",
      tunnel: gue("RemoteChecksum"),
    }),
  },
  {
    name: "gre",
    line: "-r 192.0.2.29:80 -i -w 1 --tun-type gre --tun-csum",
    destination: aDestination({
      address: "192.0.2.29",
      method: "TUN",
      tunnel: { type: "GRE", port: 0, checksum: "Checksum" },
    }),
  },
  {
    name: "mixed-family",
    line: "-r [2001:db8::21]:80 -i -w 1",
    destination: aDestination({
      address: "2001:db8::21",
      method: "TUN",
      tunnel: { type: "IPIP", port: 0, checksum: "None" },
    }),
  },
];

/** Runs before destinations of mixed family exist, which exclude it. */
export const GOLDEN_DAEMON: SyncDaemon = {
  role: "master",
  interfaceName: "lo",
  syncId: 7,
  maxMessageBytes: 1400,
  multicastGroup: "224.0.0.99",
  multicastPort: 8900,
  multicastTtl: 2,
};

const FIRST_DESTINATION = aDestination({ port: 8080 });

/** Every other write command of ipvsadm, in an order in which each succeeds. */
export const GOLDEN_COMMANDS: readonly GoldenCase[] = [
  {
    name: "start-daemon",
    line: "--start-daemon master --mcast-interface lo --syncid 7 --sync-maxlen 1400 --mcast-group 224.0.0.99 --mcast-port 8900 --mcast-ttl 2",
    command: { op: "start-daemon", daemon: GOLDEN_DAEMON },
  },
  {
    name: "stop-daemon",
    line: "--stop-daemon master",
    command: { op: "stop-daemon", role: "master" },
  },
  {
    name: "set-timeouts",
    line: "--set 1200 60 77",
    command: {
      op: "set-timeouts",
      timeouts: { tcpSeconds: 1200, tcpFinSeconds: 60, udpSeconds: 77 },
    },
  },
  ...GOLDEN_SERVICES.map(({ name, line, service }): GoldenCase => ({
    name: `create-service ${name}`,
    line: `-A ${line}`,
    command: { op: "create-service", service },
  })),
  {
    name: "update-service",
    line: "-E -t 192.0.2.10:80 -s wlc",
    command: { op: "update-service", service: aService() },
  },
  ...GOLDEN_DESTINATIONS.map(({ name, line, destination }): GoldenCase => ({
    name: `create-destination ${name}`,
    line: `-a -t 192.0.2.10:80 ${line}`,
    command: { op: "create-destination", identity: VIP, destination },
  })),
  {
    name: "update-destination",
    line: "-e -t 192.0.2.10:80 -r 192.0.2.21:8080 -m -w 5",
    command: {
      op: "update-destination",
      identity: VIP,
      destination: { ...FIRST_DESTINATION, weight: 5 },
    },
  },
  {
    name: "zero-service",
    line: "-Z -t 192.0.2.10:80",
    command: { op: "zero", identity: VIP },
  },
  { name: "zero-all", line: "-Z", command: { op: "zero", identity: undefined } },
];

/** Deletions, after everything was read. */
export const GOLDEN_DELETIONS: readonly GoldenCase[] = [
  {
    name: "delete-destination",
    line: "-d -t 192.0.2.10:80 -r 192.0.2.21:8080",
    command: { op: "delete-destination", identity: VIP, destination: FIRST_DESTINATION },
  },
  {
    name: "delete-destination mixed-family",
    line: "-d -t 192.0.2.10:80 -r [2001:db8::21]:80",
    command: {
      op: "delete-destination",
      identity: VIP,
      destination: aDestination({ address: "2001:db8::21" }),
    },
  },
  {
    name: "delete-service",
    line: "-D -t 192.0.2.10:80",
    command: { op: "delete-service", identity: VIP },
  },
  {
    name: "delete-service mark",
    line: "-D -f 7",
    command: { op: "delete-service", identity: aMark(7) },
  },
];
