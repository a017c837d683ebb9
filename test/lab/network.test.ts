import { expect, it } from "vitest";
import { addressOf, HOST_NAMES, networkScript, portsOf, switchPort } from "./network.ts";

it("an address ends with the same number in every network", () => {
  expect(addressOf("rs2", "lan", "IPv4")).toBe("10.10.0.22");
  expect(addressOf("rs2", "back", "IPv4")).toBe("10.30.0.22");
  expect(addressOf("rs2", "far", "IPv6")).toBe("fd40::22");
});

it("every port has a MAC address and a switch port of its own, short enough for Linux", () => {
  const ports = portsOf({ hosts: HOST_NAMES, behindRouter: ["rs4"] });
  expect(new Set(ports.map((port) => port.mac)).size).toBe(ports.length);
  const names = ports.map(switchPort);
  expect(new Set(names).size).toBe(ports.length);
  expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(15);
});

it("a real server behind the router has no leg on the LAN", () => {
  const ports = portsOf({ behindRouter: ["rs3"] });
  const networks = (host: string): readonly string[] =>
    ports.filter((port) => port.host === host).map((port) => port.network);
  expect(networks("rs1")).toEqual(["lan", "back"]);
  expect(networks("rs3")).toEqual(["far"]);
});

it("nothing of what the agents set up is there from the start", () => {
  const script = networkScript("x-", { hosts: HOST_NAMES });
  const lines = [...script.base, ...[...script.hosts.values()].flatMap((batch) => batch.lines)];
  expect(lines.join("\n")).not.toMatch(/arp_|forward=|dev lo\b|tunl0/);
});

it("the director that is the NAT gateway is the one that was chosen", () => {
  const script = networkScript("", { hosts: HOST_NAMES, natGateway: "director-b" });
  expect(script.hosts.get("director-b")?.lines).toContain("addr add 10.30.0.1/24 dev eth1");
  expect(script.hosts.get("director-a")?.lines).not.toContain("addr add 10.30.0.1/24 dev eth1");
});
