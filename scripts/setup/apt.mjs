/**
 * Debian packages: installing what is missing, and downloading packages of another suite without
 * telling the machine about that suite.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, distribution, findProgram, runLogged, say, SetupError } from "./system.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MINUTE_MS = 60_000;

/** Names from the list that are not installed. */
export function missingPackages(names) {
  const out = capture("dpkg-query", ["-W", "-f", "${binary:Package} ${db:Status-Status}\n"]);
  if (out === undefined) return [...names];
  const installed = new Set(
    out
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.slice(0, line.search(/[: ]/))),
  );
  return names.filter((name) => !installed.has(name));
}

/** How this user becomes root: `[]` for root itself, undefined when there is no way. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (findProgram("sudo") === undefined) return undefined;
  return capture("sudo", ["-n", "true"]) === undefined ? undefined : ["sudo", "-n"];
}

/**
 * Installs the named packages that are missing.
 * @throws SetupError naming the exact command when this user or this system cannot
 */
export async function installPackages(names, logFile) {
  const missing = missingPackages(names);
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(" ")}`;
  if (findProgram("apt-get") === undefined) {
    throw new SetupError(
      `this needs Debian 12 or newer (found "${distribution().id || "unknown"}"). ` +
        `Install what these Debian packages hold and try again: ${missing.join(" ")}`,
    );
  }
  const prefix = rootPrefix();
  if (prefix === undefined) {
    throw new SetupError(`Debian packages are missing; as root, run:\n  ${command}`);
  }
  say(`installing Debian packages: ${missing.join(" ")}`);
  const quiet = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { env: quiet, logFile, deadlineMs: 15 * MINUTE_MS };
  await runLogged("apt-get update", [...prefix, "apt-get", "-q", "update"], options);
  // Services of the packages must not start on this machine: the lab runs them in its own hosts.
  const install = ["apt-get", "-qy", "-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends"];
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"];
  await runLogged("apt-get install", [...prefix, ...environment, ...install, ...missing], options);
}

/** The Debian mirror that this machine itself uses. */
function mirror() {
  const format = ["--format", "$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"];
  const lines = (capture("apt-get", ["indextargets", ...format, "Identifier: Packages"]) ?? "")
    .split("\n")
    .map((line) => line.split(" "));
  const debian = lines.find(
    ([origin, component, codename]) =>
      origin === "Debian" && component === "main" && !/-(security|updates)$/.test(codename),
  );
  if (debian === undefined) {
    throw new SetupError("apt knows no Debian mirror with component main; run `apt-get update`");
  }
  return debian[3];
}

/**
 * An apt state of our own for one suite: the machine's lists, pins and packages are neither read
 * nor changed. `update()` fetches the lists, `search()` and `download()` use them.
 */
export class ForeignSuite {
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

  async update(logFile) {
    const argv = ["apt-get", ...this.options, "-q", "update"];
    const what = `reading the package list of Debian ${this.suite}`;
    await runLogged(what, argv, { logFile, deadlineMs: 5 * MINUTE_MS });
  }

  /** `Package Version` pairs whose name matches the regular expression. */
  search(pattern) {
    const names = capture("apt-cache", [...this.options, "--names-only", "search", pattern]) ?? "";
    return names
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split(" ")[0]);
  }

  /** Version of the candidate, or undefined when the suite has no such package. */
  version(name) {
    const text = capture("apt-cache", [...this.options, "show", "--no-all-versions", name]) ?? "";
    return /^Version: (.*)$/m.exec(text)?.[1];
  }

  /** Fetches packages into the directory and returns the paths of the .deb files. */
  async download(names, logFile) {
    const argv = ["apt-get", ...this.options, "-q", "download", ...names];
    const what = `downloading ${names.join(" ")}`;
    await runLogged(what, argv, { cwd: this.directory, logFile, deadlineMs: 20 * MINUTE_MS });
    return names.map((name) => {
      const file = readdirSync(this.directory).find((f) => f.startsWith(`${name}_`));
      if (file === undefined) throw new SetupError(`apt-get did not deliver ${name}`);
      return join(this.directory, file);
    });
  }

  remove() {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
