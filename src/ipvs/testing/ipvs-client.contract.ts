/**
 * What an IpvsClient does, whatever is behind it. Runs on the kernel in memory (`npm test`) and on a
 * real one (`test/kernel/ipvs-client.test.ts`); a rule that only one of them follows fails there.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { IpvsClient, IpvsCommand } from "../client.ts";
import type {
  Destination,
  ObservedService,
  Service,
  ServiceIdentity,
  SyncDaemon,
} from "../model.ts";
import { serviceKey } from "../model.ts";
import { aDestination, aMark, anIdentity, aService, NO_FLAGS } from "./builders.ts";

/** A client of an empty table, and how to take it down. */
export interface ContractSubject {
  readonly client: IpvsClient;
  readonly dispose: () => void | Promise<void>;
}

const VIP = anIdentity();
const VIP6 = anIdentity("2001:db8::10", 443);

const createService = (service: Service): IpvsCommand => ({ op: "create-service", service });
const createDestination = (
  destination: Destination,
  identity: ServiceIdentity = VIP,
): IpvsCommand => ({ op: "create-destination", identity, destination });

export function describeIpvsClient(
  name: string,
  open: () => ContractSubject | Promise<ContractSubject>,
): void {
  describe(name, () => {
    let subject: ContractSubject;
    const signal = AbortSignal.timeout(300_000);

    beforeEach(async () => {
      subject = await open();
    });
    afterEach(async () => {
      subject.client.close();
      await subject.dispose();
    });

    /** Executes and gives the errno of each command, `ok` for none. */
    async function run(...commands: IpvsCommand[]): Promise<readonly string[]> {
      const { sent, failures } = await subject.client.execute(commands, signal);
      expect(sent).toBe(commands.length);
      const errnos = new Map(failures.map((failure) => [failure.index, failure.errno]));
      return commands.map((_, i) => errnos.get(i) ?? "ok");
    }
    async function read(identity: ServiceIdentity = VIP): Promise<ObservedService | undefined> {
      return subject.client.readService(identity, signal);
    }
    async function destinations(identity?: ServiceIdentity): Promise<readonly Destination[]> {
      return (await read(identity))?.destinations.map((d) => d.destination) ?? [];
    }

    describe("reading", () => {
      it("names a version of IPVS", async () => {
        const info = await subject.client.info(signal);
        expect(info.version).toMatch(/^1\.\d+\.\d+$/);
        expect(info.connectionTableSize).toBeGreaterThanOrEqual(0);
      });

      it("finds an empty table empty", async () => {
        expect((await subject.client.readTable(signal)).services.size).toBe(0);
      });

      it("says undefined for a service that does not exist", async () => {
        expect(await read()).toBeUndefined();
      });

      it("reads all services with their destinations, oldest destination first", async () => {
        const destination6 = aDestination({ address: "2001:db8::21", port: 443, method: "DR" });
        await run(
          createService(aService()),
          createDestination(aDestination({ address: "192.0.2.23" })),
          createDestination(aDestination({ address: "192.0.2.21" })),
          createDestination(aDestination({ address: "192.0.2.22" })),
          createService(aService({ identity: VIP6 })),
          createDestination(destination6, VIP6),
          createService(aService({ identity: aMark(7) })),
        );
        const { services } = await subject.client.readTable(signal);
        expect([...services.keys()].toSorted()).toEqual(
          [VIP, VIP6, aMark(7)].map((i) => serviceKey(i)).toSorted(),
        );
        const addresses = services
          .get(serviceKey(VIP))
          ?.destinations.map((d) => d.destination.address);
        expect(addresses).toEqual(["192.0.2.23", "192.0.2.21", "192.0.2.22"]);
        expect(services.get(serviceKey(VIP6))?.destinations[0]?.destination).toEqual(destination6);
        expect(services.get(serviceKey(aMark(7)))?.destinations).toEqual([]);
      });

      it("gives counts and counters of a fresh destination as zero", async () => {
        await run(createService(aService()), createDestination(aDestination()));
        const service = await read();
        expect(service?.stats?.connections).toBe(0n);
        expect(service?.destinations[0]).toMatchObject({
          connections: { active: 0, inactive: 0, persistent: 0 },
          stats: { inBytes: 0n, outBytesPerSecond: 0n },
        });
      });

      it("refuses to begin when the signal has fired", async () => {
        await expect(subject.client.readTable(AbortSignal.abort())).rejects.toMatchObject({
          code: "LVS_ABORTED",
        });
        await expect(
          subject.client.execute([createService(aService())], AbortSignal.abort()),
        ).rejects.toMatchObject({ code: "LVS_ABORTED" });
        expect(await read()).toBeUndefined();
      });
    });

    describe("services", () => {
      const services: readonly { readonly title: string; readonly service: Service }[] = [
        { title: "plain TCP over IPv4", service: aService() },
        {
          title: "UDP, one-packet",
          service: aService({
            identity: anIdentity("192.0.2.10", 53, "UDP"),
            scheduler: "rr",
            onePacket: true,
          }),
        },
        {
          title: "SCTP over IPv6",
          service: aService({ identity: anIdentity("2001:db8::10", 2905, "SCTP") }),
        },
        {
          title: "a mark over IPv4",
          service: aService({ identity: aMark(0xfffffffe), scheduler: "rr" }),
        },
        { title: "a mark over IPv6", service: aService({ identity: aMark(1, "IPv6") }) },
        {
          title: "every port, persistent by network",
          service: aService({
            identity: anIdentity("192.0.2.10", 0),
            persistence: { timeoutSeconds: 360, mask: 0xffffff00 },
          }),
        },
        {
          title: "persistent with mask 0",
          service: aService({ persistence: { timeoutSeconds: 1, mask: 0 } }),
        },
        {
          title: "persistent by IPv6 prefix",
          service: aService({
            identity: VIP6,
            persistence: { timeoutSeconds: 2_000_000, mask: 64 },
          }),
        },
        {
          title: "mh with both flags",
          service: aService({
            scheduler: "mh",
            schedulerFlags: { fallback: true, port: true, third: false },
          }),
        },
        {
          title: "all three scheduler flags",
          service: aService({
            scheduler: "sh",
            schedulerFlags: { fallback: true, port: false, third: true },
          }),
        },
        { title: "no scheduler", service: aService({ scheduler: "none" }) },
        {
          title: "persistence engine sip",
          service: aService({
            identity: anIdentity("192.0.2.10", 5060, "UDP"),
            persistence: { timeoutSeconds: 60, mask: 0xffffffff },
            persistenceEngine: "sip",
          }),
        },
      ];

      it.each(services)("reads back what was created: $title", async ({ service }) => {
        expect(await run(createService(service))).toEqual(["ok"]);
        expect((await read(service.identity))?.service).toEqual(service);
      });

      it("changes nothing when the identity exists", async () => {
        const errnos = await run(
          createService(aService({ scheduler: "wlc" })),
          createService(aService({ scheduler: "rr" })),
        );
        expect(errnos).toEqual(["ok", "EEXIST"]);
        expect((await read())?.service.scheduler).toBe("wlc");
      });

      it("replaces all settings by an update and keeps the destinations", async () => {
        const before = aService({
          scheduler: "sh",
          schedulerFlags: { fallback: true, port: true, third: false },
          persistence: { timeoutSeconds: 60, mask: 0xffffffff },
          persistenceEngine: "sip",
          identity: anIdentity("192.0.2.10", 5060, "UDP"),
        });
        const after = aService({ identity: before.identity, scheduler: "rr" });
        await run(createService(before), createDestination(aDestination(), before.identity), {
          op: "update-service",
          service: after,
        });
        const seen = await read(before.identity);
        expect(seen?.service).toEqual(after);
        expect(seen?.destinations).toHaveLength(1);
      });

      it("holds a mark once per family", async () => {
        const both = [aMark(9, "IPv4"), aMark(9, "IPv6")];
        expect(await run(...both.map((i) => createService(aService({ identity: i }))))).toEqual([
          "ok",
          "ok",
        ]);
        expect((await subject.client.readTable(signal)).services.size).toBe(2);
      });

      it("deletes a service with its destinations", async () => {
        await run(createService(aService()), createDestination(aDestination()));
        expect(await run({ op: "delete-service", identity: VIP })).toEqual(["ok"]);
        expect(await read()).toBeUndefined();
        await run(createService(aService()));
        expect(await destinations()).toEqual([]);
      });

      it("answers ESRCH for everything about a service that does not exist", async () => {
        const destination = aDestination();
        expect(
          await run(
            { op: "update-service", service: aService() },
            { op: "delete-service", identity: VIP },
            createDestination(destination),
            { op: "update-destination", identity: VIP, destination },
            { op: "delete-destination", identity: VIP, destination },
            { op: "zero", identity: VIP },
          ),
        ).toEqual(Array.from({ length: 6 }, () => "ESRCH"));
      });

      it("answers ENOENT for a scheduler or engine that the kernel has not", async () => {
        expect(
          await run(
            createService(aService({ scheduler: "nosuch" })),
            createService(aService({ persistenceEngine: "nosuch" })),
            createService(aService()),
            { op: "update-service", service: aService({ scheduler: "nosuch" }) },
          ),
        ).toEqual(["ENOENT", "ENOENT", "ok", "ENOENT"]);
        expect((await read())?.service.scheduler).toBe("wlc");
      });

      it.each([0, 129])("refuses an IPv6 persistence prefix of %i", async (mask) => {
        const service = aService({ identity: VIP6, persistence: { timeoutSeconds: 60, mask } });
        expect(await run(createService(service))).toEqual(["EINVAL"]);
      });
    });

    describe("destinations", () => {
      const TUNNELS = [
        { type: "IPIP", port: 0, checksum: "None" },
        { type: "GUE", port: 6080, checksum: "None" },
        { type: "GUE", port: 6080, checksum: "RemoteChecksum" },
        { type: "GRE", port: 0, checksum: "Checksum" },
      ] as const;
      const list: readonly Destination[] = [
        aDestination(),
        aDestination({ method: "DR", weight: 65_535 }),
        aDestination({ weight: 0, port: 8080 }),
        aDestination({ weight: 2 ** 31 - 1 }),
        aDestination({ upperThreshold: 1000, lowerThreshold: 10 }),
        aDestination({ upperThreshold: 2 ** 31 - 1, lowerThreshold: 0 }),
        aDestination({ method: "DR", port: 0 }),
        ...TUNNELS.map((tunnel) => aDestination({ method: "TUN", tunnel })),
        aDestination({ address: "2001:db8::21", method: "TUN", tunnel: TUNNELS[0] }),
      ];

      it.each(list)("reads back what was created: %j", async (destination) => {
        expect(await run(createService(aService()), createDestination(destination))).toEqual([
          "ok",
          "ok",
        ]);
        expect(await destinations()).toEqual([destination]);
      });

      it("changes nothing when the destination exists", async () => {
        const errnos = await run(
          createService(aService()),
          createDestination(aDestination({ weight: 5 })),
          createDestination(aDestination({ weight: 9 })),
        );
        expect(errnos).toEqual(["ok", "ok", "EEXIST"]);
        expect(await destinations()).toEqual([aDestination({ weight: 5 })]);
      });

      it("replaces method, weight, thresholds and tunnel in place", async () => {
        const first = aDestination({ address: "192.0.2.21" });
        const second = aDestination({ address: "192.0.2.22" });
        const tunnel = { type: "GUE", port: 6080, checksum: "Checksum" } as const;
        const changed = { ...first, method: "TUN", tunnel, weight: 7, upperThreshold: 9 } as const;
        await run(createService(aService()), createDestination(first), createDestination(second), {
          op: "update-destination",
          identity: VIP,
          destination: changed,
        });
        expect(await destinations()).toEqual([changed, second]);
      });

      it("answers ENOENT for a destination that does not exist", async () => {
        const destination = aDestination();
        await run(createService(aService()));
        expect(
          await run(
            { op: "update-destination", identity: VIP, destination },
            { op: "delete-destination", identity: VIP, destination },
          ),
        ).toEqual(["ENOENT", "ENOENT"]);
      });

      it("deletes one destination, also of another family than its service", async () => {
        const mixed = aDestination({
          address: "2001:db8::21",
          method: "TUN",
          tunnel: TUNNELS[0],
        });
        await run(
          createService(aService()),
          createDestination(aDestination()),
          createDestination(mixed),
        );
        expect(await run({ op: "delete-destination", identity: VIP, destination: mixed })).toEqual([
          "ok",
        ]);
        expect(await destinations()).toEqual([aDestination()]);
      });

      it("puts a destination that is deleted and added again at the end", async () => {
        const a = aDestination({ address: "192.0.2.21" });
        const b = aDestination({ address: "192.0.2.22" });
        await run(createService(aService()), createDestination(b), createDestination(a));
        await run(
          { op: "delete-destination", identity: VIP, destination: b },
          createDestination(b),
        );
        expect(await destinations()).toEqual([a, b]);
      });

      const refused: readonly (readonly [string, string, Destination])[] = [
        ["ERANGE", "a negative weight", aDestination({ weight: -1 })],
        [
          "ERANGE",
          "a lower threshold above the upper",
          aDestination({ upperThreshold: 1, lowerThreshold: 2 }),
        ],
        ["ERANGE", "a lower threshold alone", aDestination({ lowerThreshold: 2 })],
        ["EINVAL", "a multicast address", aDestination({ address: "224.0.0.5" })],
        ["EINVAL", "the zero address", aDestination({ address: "0.0.0.0" })],
        ["EINVAL", "the broadcast address", aDestination({ address: "255.255.255.255" })],
        ["EINVAL", "mixed families without a tunnel", aDestination({ address: "2001:db8::21" })],
        [
          "EINVAL",
          "GUE without a port",
          aDestination({ method: "TUN", tunnel: { type: "GUE", port: 0, checksum: "None" } }),
        ],
      ];
      it.each(refused)("answers %s for %s", async (errno, _what, destination) => {
        await run(createService(aService()));
        expect(await run(createDestination(destination))).toEqual([errno]);
        expect(await destinations()).toEqual([]);
      });
    });

    describe("batches", () => {
      it("executes every other command when one is refused", async () => {
        const port = (i: number): ServiceIdentity => anIdentity("192.0.2.10", 1000 + i);
        const commands = Array.from({ length: 500 }, (_, i) =>
          createService(
            aService({ identity: port(i % 250 === 249 ? 0 : i), schedulerFlags: NO_FLAGS }),
          ),
        );
        const { sent, failures } = await subject.client.execute(commands, signal);
        expect(sent).toBe(500);
        expect(failures.map(({ index, errno }) => [index, errno])).toEqual([
          [249, "EEXIST"],
          [499, "EEXIST"],
        ]);
        expect(failures[0]?.command).toBe(commands[249]);
        expect((await subject.client.readTable(signal)).services.size).toBe(498);
      });

      it("sends nothing for an empty list", async () => {
        const before = subject.client.counters.commands;
        expect(await subject.client.execute([], signal)).toEqual({ sent: 0, failures: [] });
        expect(subject.client.counters).toMatchObject({ commands: before, batches: 0 });
      });

      it("counts commands and batches", async () => {
        await run(createService(aService()), createDestination(aDestination()));
        expect(subject.client.counters).toMatchObject({ commands: 2, batches: 1 });
      });

      it("reports every one of many refusals", async () => {
        const commands = Array.from({ length: 1000 }, (): IpvsCommand => ({
          op: "delete-service",
          identity: VIP,
        }));
        const { failures } = await subject.client.execute(commands, signal);
        expect(failures.map((f) => f.errno)).toEqual(commands.map(() => "ESRCH"));
        expect(failures.map((f) => f.index)).toEqual(commands.map((_, i) => i));
      });

      it("moves more destinations than one send carries without tearing a pair apart", async () => {
        const all = Array.from({ length: 100 }, (_, i) =>
          aDestination({ address: `198.51.100.${i + 1}` }),
        );
        await run(
          createService(aService({ scheduler: "sh" })),
          ...all.map((d) => createDestination(d)),
        );
        const moves = all
          .toReversed()
          .flatMap((destination): IpvsCommand[] => [
            { op: "delete-destination", identity: VIP, destination },
            createDestination(destination),
          ]);
        expect(new Set(await run(...moves))).toEqual(new Set(["ok"]));
        expect(await destinations()).toEqual(all.toReversed());
      });
    });

    describe("settings of the namespace", () => {
      it("sets each timeout on its own", async () => {
        const before = await subject.client.timeouts(signal);
        await run({
          op: "set-timeouts",
          timeouts: { tcpSeconds: undefined, tcpFinSeconds: undefined, udpSeconds: 77 },
        });
        expect(await subject.client.timeouts(signal)).toEqual({ ...before, udpSeconds: 77 });
        await run({ op: "set-timeouts", timeouts: before });
        expect(await subject.client.timeouts(signal)).toEqual(before);
      });

      it("refuses a timeout that the kernel's clock cannot hold", async () => {
        const timeouts = { tcpSeconds: 2 ** 31, tcpFinSeconds: undefined, udpSeconds: undefined };
        expect(await run({ op: "set-timeouts", timeouts })).toEqual(["EINVAL"]);
      });

      it("zeroes one service and all", async () => {
        await run(createService(aService()), createDestination(aDestination()));
        expect(
          await run({ op: "zero", identity: VIP }, { op: "zero", identity: undefined }),
        ).toEqual(["ok", "ok"]);
        expect((await read())?.destinations).toHaveLength(1);
      });
    });

    describe("sync daemons", () => {
      const daemon: SyncDaemon = {
        role: "master",
        interfaceName: "lo",
        syncId: 7,
        maxMessageBytes: 1400,
        multicastGroup: "224.0.0.99",
        multicastPort: 8900,
        multicastTtl: 2,
      };
      const start = (over: Partial<SyncDaemon> = {}): IpvsCommand => ({
        op: "start-daemon",
        daemon: { ...daemon, ...over },
      });

      it("has none at first", async () => {
        expect(await subject.client.daemons(signal)).toEqual([]);
        expect(await run({ op: "stop-daemon", role: "master" })).toEqual(["ESRCH"]);
      });

      it("runs both roles at once, reads them back and stops them", async () => {
        expect(await run(start(), start({ role: "backup" }), start())).toEqual([
          "ok",
          "ok",
          "EEXIST",
        ]);
        expect(await subject.client.daemons(signal)).toEqual([
          daemon,
          { ...daemon, role: "backup" },
        ]);
        expect(
          await run({ op: "stop-daemon", role: "master" }, { op: "stop-daemon", role: "backup" }),
        ).toEqual(["ok", "ok"]);
        expect(await subject.client.daemons(signal)).toEqual([]);
      });

      it("names what is wrong with interface and group", async () => {
        expect(
          await run(start({ interfaceName: "nosuch0" }), start({ multicastGroup: "192.0.2.1" })),
        ).toEqual(["ENODEV", "EINVAL"]);
      });

      it("excludes destinations of another family, in both directions", async () => {
        const mixed = aDestination({
          address: "2001:db8::21",
          method: "TUN",
          tunnel: { type: "IPIP", port: 0, checksum: "None" },
        });
        await run(createService(aService()));
        expect(await run(start(), createDestination(mixed))).toEqual(["ok", "EINVAL"]);
        expect(
          await run({ op: "stop-daemon", role: "master" }, createDestination(mixed), start()),
        ).toEqual(["ok", "ok", "EINVAL"]);
      });
    });
  });
}
