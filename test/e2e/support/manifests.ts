/** A directory of manifests as a person keeps it, and the objects in it. */
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

import { PROJECT_ROOT } from "../../lab/paths.ts";

/** An object as it stands in a manifest. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly spec: object;
}

const API_VERSION = "lvs-operator.io/v1alpha1";

/** What every service needs; a spec given to {@link virtualService} replaces parts of it. */
const DEFAULT_SPEC = { ports: [{ port: 80 }], scheduler: "rr", forwarding: { method: "DR" } };

export function virtualService(name: string, spec: object, namespace = "test"): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "VirtualService",
    metadata: { name, namespace },
    spec: { ...DEFAULT_SPEC, ...spec },
  };
}

/** A RealServer with the label `app: web`. */
export function realServer(
  name: string,
  address: string,
  spec: object = {},
  namespace = "test",
): Manifest {
  return {
    apiVersion: API_VERSION,
    kind: "RealServer",
    metadata: { name, namespace, labels: { app: "web" } },
    spec: { address, ...spec },
  };
}

/** The one backend that {@link realServer} objects belong to. */
export const WEB_BACKEND = [
  { type: "RealServers", realServers: { selector: { matchLabels: { app: "web" } } } },
];

/** A backend of servers by address; a number after `*` is the weight: `10.10.0.21*3`. */
export function servers(...addresses: readonly string[]): readonly object[] {
  const list = addresses.map((text) => {
    const [address, weight] = text.split("*");
    return weight === undefined ? { address } : { address, weight: Number(weight) };
  });
  return [{ type: "Servers", servers: list }];
}

/** Replaces files whole, as editors and deployment tools do. */
export class ManifestDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true });
  }

  write(file: string, ...objects: readonly Manifest[]): void {
    this.writeText(file, objects.map((object) => stringify(object)).join("---\n"));
  }

  writeText(file: string, text: string): void {
    const temporary = join(this.path, `.${file}.new`);
    writeFileSync(temporary, text);
    renameSync(temporary, join(this.path, file));
  }

  /** Copies what `examples/` has for a method. */
  addExample(method: "dr" | "nat" | "tun"): void {
    cpSync(join(PROJECT_ROOT, "examples", method), this.path, { recursive: true });
  }

  remove(file: string): void {
    rmSync(join(this.path, file));
  }
}
