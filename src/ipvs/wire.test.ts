import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireFormatError } from "../netlink/errors.ts";
import { MessageWriter } from "../netlink/writer.ts";
import type { IpvsCommand } from "./client.ts";
import { CommandWriter } from "./command-writer.ts";
import { anIdentity, aDestination, aMark, aService } from "./testing/builders.ts";
import { daemons, destinations, identities, services } from "./testing/arbitraries.ts";
import { IPVS_CMD_ATTR, IPVS_SVC_ATTR } from "./uapi.ts";
import {
  CONFIG_MESSAGE,
  DAEMON_MESSAGE,
  DEST_CONFIG_MESSAGE,
  DEST_MESSAGE,
  INFO_MESSAGE,
  REQUEST_MESSAGE,
  SERVICE_CONFIG_MESSAGE,
  SERVICE_MESSAGE,
  STATS64_ATTRS,
  STATS_ATTRS,
} from "./wire.ts";
import { addressBytes } from "./wire-address.ts";
import {
  commandAttrs,
  daemonFromAttrs,
  daemonToAttrs,
  infoFromAttrs,
  timeoutsFromAttrs,
  timeoutsToAttrs,
} from "./wire-command.ts";
import {
  destinationFromAttrs,
  destinationToAttrs,
  observedDestinationFromAttrs,
} from "./wire-destination.ts";
import {
  identityFromAttrs,
  identityToAttrs,
  serviceFromAttrs,
  serviceToAttrs,
  statsFromAttrs,
} from "./wire-service.ts";

function bytesOf(write: (writer: MessageWriter) => void): Uint8Array {
  const writer = new MessageWriter(256);
  write(writer);
  return writer.toBytes();
}

function bytesOfCommand(command: IpvsCommand): Uint8Array {
  return bytesOf((writer) => new CommandWriter().write(writer, command));
}

describe("round trips", () => {
  it("gives back any service", () => {
    fc.assert(
      fc.property(services, (service) => {
        const bytes = bytesOfCommand({ op: "create-service", service });
        const { SERVICE } = SERVICE_CONFIG_MESSAGE.decode(bytes);
        expect(serviceFromAttrs(SERVICE)).toEqual(service);
      }),
    );
  });

  it("gives back any identity", () => {
    fc.assert(
      fc.property(identities, (identity) => {
        const bytes = bytesOfCommand({ op: "delete-service", identity });
        expect(identityFromAttrs(REQUEST_MESSAGE.decode(bytes).SERVICE ?? {})).toEqual(identity);
      }),
    );
  });

  it("gives back any destination", () => {
    fc.assert(
      fc.property(identities, destinations, (identity, destination) => {
        const bytes = bytesOfCommand({ op: "update-destination", identity, destination });
        const { DEST } = DEST_CONFIG_MESSAGE.decode(bytes);
        expect(destinationFromAttrs(DEST, identity.family)).toEqual(destination);
      }),
    );
  });

  it("gives back any sync daemon", () => {
    fc.assert(
      fc.property(daemons, (daemon) => {
        const bytes = bytesOfCommand({ op: "start-daemon", daemon });
        expect(daemonFromAttrs(DAEMON_MESSAGE.decode(bytes).DAEMON)).toEqual(daemon);
      }),
    );
  });

  it("gives back timeouts, absent ones too", () => {
    const timeouts = { tcpSeconds: 900, tcpFinSeconds: undefined, udpSeconds: 1 };
    const bytes = bytesOf((writer) => CONFIG_MESSAGE.encode(writer, timeoutsToAttrs(timeouts)));
    expect(timeoutsFromAttrs(CONFIG_MESSAGE.decode(bytes))).toEqual(timeouts);
  });

  it("gives back wide and narrow counters, and prefers the wide ones", () => {
    const narrow = {
      CONNS: 1,
      INPKTS: 2,
      OUTPKTS: 3,
      INBYTES: 4n,
      OUTBYTES: 2n ** 63n,
      CPS: 6,
      INPPS: 7,
      OUTPPS: 8,
      INBPS: 9,
      OUTBPS: 0xffffffff,
    };
    const wide = {
      CONNS: 2n ** 40n,
      INPKTS: 2n,
      OUTPKTS: 3n,
      INBYTES: 4n,
      OUTBYTES: 5n,
      CPS: 6n,
      INPPS: 7n,
      OUTPPS: 8n,
      INBPS: 9n,
      OUTBPS: 10n,
    };
    const seenNarrow = STATS_ATTRS.decode(bytesOf((w) => STATS_ATTRS.encode(w, narrow)));
    const seenWide = STATS64_ATTRS.decode(bytesOf((w) => STATS64_ATTRS.encode(w, wide)));
    expect(seenNarrow).toEqual(narrow);
    expect(seenWide).toEqual(wide);
    expect(statsFromAttrs(seenWide, seenNarrow)?.connections).toBe(2n ** 40n);
    expect(statsFromAttrs(undefined, seenNarrow)?.outBytesPerSecond).toBe(0xffffffffn);
    expect(statsFromAttrs(undefined, undefined)).toBeUndefined();
  });
});

describe("arbitrary bytes", () => {
  const decoders: readonly (readonly [string, (bytes: Uint8Array) => unknown])[] = [
    ["a service", (b) => serviceFromAttrs(SERVICE_MESSAGE.decode(b).SERVICE)],
    [
      "a service without counters",
      (b) => serviceFromAttrs(SERVICE_CONFIG_MESSAGE.decode(b).SERVICE),
    ],
    ["a destination", (b) => observedDestinationFromAttrs(DEST_MESSAGE.decode(b).DEST, "IPv6")],
    ["a daemon", (b) => daemonFromAttrs(DAEMON_MESSAGE.decode(b).DAEMON)],
    ["timeouts", (b) => timeoutsFromAttrs(CONFIG_MESSAGE.decode(b))],
    ["information", (b) => infoFromAttrs(INFO_MESSAGE.decode(b))],
    ["a request", (b) => REQUEST_MESSAGE.decode(b)],
  ];

  function valueOrWireFormatError(decode: () => unknown): void {
    try {
      decode();
    } catch (error) {
      if (!(error instanceof WireFormatError)) throw error;
    }
  }

  it.each(decoders)("decode as %s or throw WireFormatError", (_name, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        valueOrWireFormatError(() => decode(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it.each(decoders)(
    "in a valid message still decode as %s or throw WireFormatError",
    (_name, decode) => {
      const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4,
      });
      const commands = fc.oneof(
        services.map((service): IpvsCommand => ({ op: "create-service", service })),
        fc.tuple(identities, destinations).map(([identity, destination]): IpvsCommand => ({
          op: "create-destination",
          identity,
          destination,
        })),
        daemons.map((daemon): IpvsCommand => ({ op: "start-daemon", daemon })),
      );
      fc.assert(
        fc.property(commands, edits, fc.nat({ max: 40 }), (command, changes, cut) => {
          const bytes = bytesOfCommand(command);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          valueOrWireFormatError(() => decode(bytes.subarray(0, bytes.length - cut)));
        }),
        { numRuns: 2000 },
      );
    },
  );
});

describe("services", () => {
  const decode = (
    over: Partial<ReturnType<typeof serviceToAttrs>>,
    service = aService(),
  ): unknown => serviceFromAttrs({ ...serviceToAttrs(service), ...over });

  it("do not show the kernel's HASHED flag nor unknown ones", () => {
    expect(decode({ FLAGS: { flags: 0xff02, mask: 0xffffffff } })).toEqual(aService());
  });

  it("have timeout and netmask only with persistence", () => {
    expect(decode({ TIMEOUT: 300, NETMASK: new Uint8Array(4) })).toEqual(aService());
  });

  it("have no engine when its name is empty", () => {
    expect(decode({ PE_NAME: "" })).toEqual(aService());
  });

  it("take IPv4 from the first of sixteen bytes", () => {
    const ADDR = new Uint8Array(16);
    ADDR.set([192, 0, 2, 10]);
    expect(decode({ ADDR })).toEqual(aService());
  });

  it("of a protocol that IPVS never schedules are left out", () => {
    expect(decode({ PROTOCOL: 47 })).toBeUndefined();
  });

  it("need protocol, address and port unless they have a mark", () => {
    for (const key of ["PROTOCOL", "ADDR", "PORT"]) {
      expect(() => decode({ [key]: undefined })).toThrow(WireFormatError);
    }
    expect(decode({ PROTOCOL: undefined, ADDR: undefined, PORT: undefined, FWMARK: 7 })).toEqual(
      aService({ identity: aMark(7) }),
    );
  });

  it("are sent with all flags meant, and with the host's netmask where there is no persistence", () => {
    const v4 = serviceToAttrs(aService());
    expect(v4.FLAGS.mask).toBe(0xffffffff);
    expect([...v4.NETMASK]).toEqual([255, 255, 255, 255]);
    const v6 = serviceToAttrs(aService({ identity: anIdentity("2001:db8::10") }));
    expect(new Uint32Array(v6.NETMASK.slice().buffer)[0]).toBe(128);
  });

  it("cannot have mark 0, of which the kernel would make TCP 0.0.0.0:0", () => {
    expect(() => identityToAttrs(aMark(0))).toThrow(RangeError);
  });

  it("skip unknown attributes and do not need the nested flag", () => {
    const bytes = bytesOf((writer) => {
      const service = writer.nest(IPVS_CMD_ATTR.SERVICE);
      writer.attrU32(99, 1);
      writer.attrU16(IPVS_SVC_ATTR.AF, 2);
      writer.attrU32(IPVS_SVC_ATTR.FWMARK, 7);
      writer.endNest(service);
      writer.attrU32(88, 1);
    });
    expect(identityFromAttrs(REQUEST_MESSAGE.decode(bytes).SERVICE ?? {})).toEqual(aMark(7));
  });
});

describe("destinations", () => {
  const decode = (
    over: Partial<ReturnType<typeof destinationToAttrs>>,
    destination = aDestination(),
  ): unknown => destinationFromAttrs({ ...destinationToAttrs(destination), ...over }, "IPv4");

  it("have the family of their service when the kernel names none", () => {
    expect(decode({ ADDR_FAMILY: undefined })).toEqual(aDestination());
  });

  it("have a tunnel only with method TUN", () => {
    expect(decode({ TUN_TYPE: 1, TUN_PORT: 6080, TUN_FLAGS: 1 })).toEqual(aDestination());
  });

  it("show a tunnel that the kernel cannot know as none", () => {
    const tunnel = { type: "IPIP", port: 0, checksum: "None" } as const;
    const tun = aDestination({ method: "TUN", tunnel });
    expect(decode({}, tun)).toEqual(tun);
    expect(decode({ TUN_TYPE: 9 }, tun)).toEqual({ ...tun, tunnel: undefined });
    expect(decode({ TUN_FLAGS: 3 }, tun)).toEqual({ ...tun, tunnel: undefined });
  });

  it("show methods without a meaning as Bypass, and ignore connection flags", () => {
    expect(decode({ FWD_METHOD: 6 })).toMatchObject({ method: "Bypass" });
    expect(decode({ FWD_METHOD: 0x103 })).toMatchObject({ method: "DR" });
  });

  it("name their family in every command", () => {
    const identity = anIdentity();
    const destination = aDestination({ address: "2001:db8::1" });
    const attrs = commandAttrs({ op: "delete-destination", identity, destination });
    expect(attrs.DEST).toEqual({
      ADDR: addressBytes("2001:db8::1"),
      PORT: 80,
      ADDR_FAMILY: 10,
    });
  });
});

describe("commands", () => {
  it("zero everything by a message without attributes", () => {
    expect(bytesOfCommand({ op: "zero", identity: undefined })).toHaveLength(0);
  });

  it("stop a daemon by its state alone", () => {
    expect(commandAttrs({ op: "stop-daemon", role: "backup" })).toEqual({ DAEMON: { STATE: 2 } });
  });

  it("take an IPv6 group into its own attribute", () => {
    const attrs = daemonToAttrs({
      role: "master",
      interfaceName: "eth0",
      syncId: 1,
      maxMessageBytes: undefined,
      multicastGroup: "ff02::81",
      multicastPort: undefined,
      multicastTtl: undefined,
    });
    expect(attrs.MCAST_GROUP).toBeUndefined();
    expect(attrs.MCAST_GROUP6).toHaveLength(16);
  });

  it.each(["192.0.2.010", "192.0.2", "192.0.2.256", "192.0.2.1.1", "::ffff:1.2.3.4", "", "1..2.3"])(
    "refuse the address %j",
    (address) => {
      expect(() => identityToAttrs(anIdentity(address))).toThrow(
        expect.objectContaining({ code: "LVS_ADDRESS_SYNTAX" }),
      );
    },
  );
});

describe("information", () => {
  it("spells the version out", () => {
    expect(infoFromAttrs({ VERSION: 0x010201, CONN_TAB_SIZE: 4096 })).toEqual({
      version: "1.2.1",
      connectionTableSize: 4096,
    });
  });
});

describe("a CommandWriter", () => {
  it("writes the same bytes whatever it wrote before", () => {
    const commands = fc.array(
      fc.oneof(
        fc
          .tuple(fc.constantFrom(anIdentity(), aMark(7), anIdentity("2001:db8::10")), destinations)
          .map(([identity, destination]): IpvsCommand => ({
            op: "update-destination",
            identity,
            destination,
          })),
        services.map((service): IpvsCommand => ({ op: "update-service", service })),
      ),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(commands, (list) => {
        const writer = new CommandWriter();
        for (const command of list) {
          expect(bytesOf((w) => writer.write(w, command))).toEqual(
            bytesOf((w) => REQUEST_MESSAGE.encode(w, commandAttrs(command))),
          );
        }
      }),
    );
  });

  it("forgets an identity that it could not write", () => {
    const writer = new CommandWriter();
    const command = {
      op: "update-destination",
      identity: aMark(0),
      destination: aDestination(),
    } as const;
    const write = (): Uint8Array => bytesOf((w) => writer.write(w, command));
    expect(write).toThrow(RangeError);
    expect(write).toThrow(RangeError);
  });
});
