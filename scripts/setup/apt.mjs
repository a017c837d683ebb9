/**
 * Debian packages: installing what is missing, and downloading packages of another suite without
 * telling the machine about that suite.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, distribution, findProgram, runLogged, say, SetupError } from "./system.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MINUTE_MS = 60_000;

/** Packages that start a service of their own, which the lab has no use for on this machine. */
const SERVICES = ["nginx", "keepalived", "ipvsadm"];

/**
 * Installs with services neither started now nor at the next boot. A policy-rc.d is Debian's way
 * to say so; one that the administrator has placed stays.
 */
const QUIET_INSTALL = `
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\\nexit 101\\n' >$policy
  chmod 755 $policy
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
if [ -d /run/systemd/system ]; then
  for service in $NEW_SERVICES; do systemctl --quiet disable "$service" || true; done
fi
`;

/**
 * Names from the list that are not installed.
 * @param {readonly string[]} names
 */
export function missingPackages(names) {
  const format = "${binary:Package} ${db:Status-Status}\n";
  const out = capture("dpkg-query", ["-W", "-f", format]);
  if (out === undefined) return [...names];
  const installed = new Set(
    out
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.slice(0, line.search(/[: ]/))),
  );
  return names.filter((name) => !installed.has(name));
}

/** How this user becomes root: nothing for root itself, undefined when there is no way. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (findProgram("sudo") === undefined) return undefined;
  if (capture("sudo", ["-n", "true"]) !== undefined) return ["sudo", "-n"];
  return process.stdin.isTTY ? ["sudo"] : undefined;
}

/**
 * Installs the named packages that are missing.
 * @param {readonly string[]} names
 * @param {string} logFile
 * @throws {SetupError} naming the exact command when this user or this system cannot
 */
export async function installPackages(names, logFile) {
  const missing = missingPackages(names);
  if (missing.length === 0) return;
  if (findProgram("apt-get") === undefined) {
    throw new SetupError(
      `this needs Debian 12 or newer (found "${distribution() || "unknown"}"). ` +
        `Install what these Debian packages hold and try again: ${missing.join(" ")}`,
    );
  }
  const prefix = rootPrefix();
  if (prefix === undefined) {
    const command = `apt-get install --no-install-recommends ${missing.join(" ")}`;
    throw new SetupError(`Debian packages are missing; as root, run:\n  ${command}`);
  }
  say(`installing Debian packages: ${missing.join(" ")}`);
  const services = SERVICES.filter((name) => missing.includes(name)).join(" ");
  const argv = [...prefix, "env", `NEW_SERVICES=${services}`, "sh", "-ec", QUIET_INSTALL, "sh"];
  await runLogged("installing Debian packages", [...argv, ...missing], {
    logFile,
    deadlineMs: 20 * MINUTE_MS,
  });
}

/**
 * The Debian mirror that this machine itself uses, or the one that LVS_DEBIAN_MIRROR names.
 * @returns {string}
 */
function mirror() {
  const chosen = process.env["LVS_DEBIAN_MIRROR"];
  if (chosen) return chosen;
  const format = "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)";
  const args = ["indextargets", "--format", format, "Identifier: Packages"];
  for (const line of (capture("apt-get", args) ?? "").split("\n")) {
    const [origin, component, codename = "", uri] = line.split(" ");
    const plain = !/-(security|updates)$/.test(codename);
    if (origin === "Debian" && component === "main" && plain && uri) return uri;
  }
  throw new SetupError(
    "apt knows no Debian mirror with component main; run `apt-get update`, " +
      "or name a mirror in the environment variable LVS_DEBIAN_MIRROR",
  );
}

/**
 * An apt state of its own for one suite: the machine's lists, pins and packages are neither read
 * nor changed.
 */
export class ForeignSuite {
  /**
   * @param {string} suite e.g. "testing"
   * @param {string} directory for the state and for downloads
   */
  constructor(suite, directory) {
    this.suite = suite;
    this.directory = directory;
    const state = join(directory, `apt-${suite}`);
    for (const sub of ["etc/preferences.d", "lists/partial", "cache/archives/partial"]) {
      mkdirSync(join(state, sub), { recursive: true });
    }
    const sources = join(state, "sources.list");
    const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
    writeFileSync(sources, `deb ${signed}${mirror()} ${suite} main\n`);
    const settings = {
      "Dir::Etc": join(state, "etc"),
      "Dir::Etc::sourcelist": sources,
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::State": state,
      "Dir::State::lists": join(state, "lists"),
      "Dir::State::status": "/dev/null",
      "Dir::Cache": join(state, "cache"),
      "APT::Sandbox::User": "root",
      "Acquire::Languages": "none",
      "Acquire::Retries": "3",
    };
    this.options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  }

  /**
   * Fetches the suite's package list.
   * @param {string} logFile
   */
  async update(logFile) {
    const argv = ["apt-get", ...this.options, "-q", "update"];
    const what = `reading the package list of Debian ${this.suite}`;
    await runLogged(what, argv, { logFile, deadlineMs: 5 * MINUTE_MS });
  }

  /**
   * Package names that match the regular expression.
   * @param {string} pattern
   */
  search(pattern) {
    const found = capture("apt-cache", [...this.options, "--names-only", "search", pattern]) ?? "";
    return found
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.replace(/ .*/, ""));
  }

  /**
   * Version of the package, or undefined when the suite has none of that name.
   * @param {string} name
   */
  version(name) {
    const args = [...this.options, "show", "--no-all-versions", name];
    return /^Version: (.*)$/m.exec(capture("apt-cache", args) ?? "")?.[1];
  }

  /**
   * Fetches packages into the directory and returns the paths of the .deb files.
   * @param {string[]} names
   * @param {string} logFile
   */
  async download(names, logFile) {
    const argv = ["apt-get", ...this.options, "-q", "download", ...names];
    const what = `downloading ${names.join(" ")}`;
    await runLogged(what, argv, { cwd: this.directory, logFile, deadlineMs: 20 * MINUTE_MS });
    return names.map((name) => {
      const file = readdirSync(this.directory).find((found) => found.startsWith(`${name}_`));
      if (file === undefined) throw new SetupError(`apt-get did not deliver ${name}`);
      return join(this.directory, file);
    });
  }
}

/**
 * Unpacks a package's files without installing it.
 * @param {string} deb
 * @param {string} directory
 */
export function extractPackage(deb, directory) {
  const result = spawnSync("dpkg-deb", ["-x", deb, directory], { encoding: "utf8" });
  if (result.status !== 0) throw new SetupError(`cannot unpack ${deb}: ${result.stderr}`);
}

/**
 * Removes a work directory; not an error when it is gone.
 * @param {string} directory
 */
export function removeDirectory(directory) {
  rmSync(directory, { recursive: true, force: true });
}
