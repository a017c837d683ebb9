import { describe, expect, it } from "vitest";
import {
  serviceKey,
  type Destination,
  type ObservedService,
  type ObservedTable,
  type Service,
} from "../../ipvs/model.ts";
import { renderIpvsadm } from "./ipvsadm.ts";
import { renderJson } from "./json.ts";
import { renderTable } from "./table.ts";

const PLAIN: Service = {
  identity: { kind: "address", family: "IPv4", protocol: "TCP", address: "10.0.0.1", port: 80 },
  scheduler: "wlc",
  schedulerFlags: { fallback: false, port: false, third: false },
  persistence: undefined,
  onePacket: false,
  persistenceEngine: undefined,
};
const SERVER: Destination = {
  family: "IPv4",
  address: "10.1.0.1",
  port: 80,
  method: "DR",
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
  tunnel: undefined,
};

function observed(service: Service, ...destinations: Destination[]): ObservedService {
  return {
    service,
    destinations: destinations.map((destination) => ({
      destination,
      connections: { active: 2, inactive: 1, persistent: 0 },
      stats: undefined,
    })),
    stats: undefined,
  };
}

function table(...services: ObservedService[]): ObservedTable {
  return { services: new Map(services.map((s) => [serviceKey(s.service.identity), s])) };
}

describe("renderIpvsadm", () => {
  it.each([
    {
      name: "writes NAT with a weight and keeps thresholds",
      world: observed(PLAIN, {
        ...SERVER,
        port: 8080,
        method: "NAT",
        weight: 5,
        upperThreshold: 9,
        lowerThreshold: 4,
      }),
      lines: ["-A -t 10.0.0.1:80 -s wlc", "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 5 -x 9 -y 4"],
    },
    {
      name: "writes hashing flags and persistence",
      world: observed({
        ...PLAIN,
        scheduler: "sh",
        schedulerFlags: { fallback: true, port: true, third: false },
        persistence: { timeoutSeconds: 300, mask: 0xffffff00 },
      }),
      lines: ["-A -t 10.0.0.1:80 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port"],
    },
    {
      name: "writes a mark service with GUE tunnels",
      world: observed(
        { ...PLAIN, identity: { kind: "mark", family: "IPv4", mark: 7 }, scheduler: "rr" },
        {
          ...SERVER,
          port: 0,
          method: "TUN",
          tunnel: { type: "GUE", port: 6080, checksum: "Checksum" },
        },
      ),
      lines: [
        "-A -f 7 -s rr",
        "-a -f 7 -r 10.1.0.1:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
      ],
    },
    {
      name: "writes IPv6 in brackets",
      world: observed({
        ...PLAIN,
        identity: {
          kind: "address",
          family: "IPv6",
          protocol: "TCP",
          address: "2001:db8::1",
          port: 80,
        },
        persistence: { timeoutSeconds: 60, mask: 64 },
      }),
      lines: ["-A -t [2001:db8::1]:80 -s wlc -p 60 -M 64"],
    },
  ])("$name", ({ world, lines }) => {
    expect(renderIpvsadm(table(world))).toBe(lines.map((l) => `${l}\n`).join(""));
  });

  it("lists addresses before marks and orders real servers by address", () => {
    const mark = observed({ ...PLAIN, identity: { kind: "mark", family: "IPv4", mark: 1 } });
    const text = renderIpvsadm(
      table(
        mark,
        observed(PLAIN, { ...SERVER, address: "10.1.0.10" }, { ...SERVER, address: "10.1.0.9" }),
      ),
    );
    expect(text.split("\n").map((l) => l.split(" ").slice(0, 5).join(" "))).toEqual([
      "-A -t 10.0.0.1:80 -s wlc",
      "-a -t 10.0.0.1:80 -r 10.1.0.9:80",
      "-a -t 10.0.0.1:80 -r 10.1.0.10:80",
      "-A -f 1 -s wlc",
      "",
    ]);
  });
});

describe("renderTable", () => {
  it("shows real servers below their service and marks foreign services", () => {
    const text = renderTable(table(observed(PLAIN, { ...SERVER, weight: 0 })), new Set());
    expect(text).toContain("TCP 10.0.0.1:80");
    expect(text).toMatch(/-> 10\.1\.0\.1:80\s+DR\s+0\s+2\s+1\s+draining/);
    expect(text).toContain("foreign");
  });

  it("says so when there is nothing", () => {
    expect(renderTable(table(), new Set())).toContain("No virtual services");
  });
});

describe("renderJson", () => {
  it("is an object with services and their destinations", () => {
    const key = "TCP 10.0.0.1:80";
    const parsed: unknown = JSON.parse(renderJson(table(observed(PLAIN, SERVER)), new Set([key])));
    expect(parsed).toMatchObject({
      services: [{ key, managed: true, destinations: [{ address: "10.1.0.1", method: "DR" }] }],
    });
  });
});
