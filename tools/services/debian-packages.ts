/**
 * Unpacks programs of a suite of Debian, with every library they need, into a folder of ours.
 * The system itself is not touched: the programs are run with the loader that comes along.
 *
 *   machine's own mirror ──▶ private index ──▶ apt picks the packages ──▶ dpkg -x ──▶ <folder>
 *
 * The package list is apt's answer to "what would a system that has nothing install?", because
 * names and versions move with the suite.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram, runCommand } from "./commands.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import { withAptLock } from "./packages.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface DebianPrograms {
  /** Named in messages. */
  readonly what: string;
  /** A suite that has it, whatever the machine itself runs. */
  readonly suite: string;
  readonly packages: readonly string[];
}

export async function unpackFromDebian(programs: DebianPrograms, folder: string): Promise<void> {
  const { what, suite, packages } = programs;
  for (const program of ["apt-get", "dpkg"]) {
    if (findProgram(program)) continue;
    const message = `${what} is unpacked from Debian packages and needs ${program}: use Debian, or mysql-8.`;
    throw new ServicesError(message, exitCodes.unavailable);
  }
  const work = `${folder}.apt`;
  const options = privateIndex(work, `${mirror(what)} ${suite}`);
  await withAptLock(async () => {
    await runCommand("apt-get", [...options, "update"]);
    await runCommand("apt-get", [...options, "install", "--download-only", ...packages]);
  });
  mkdirSync(folder, { recursive: true });
  const archives = join(work, "cache", "archives");
  const files = readdirSync(archives).filter(name => name.endsWith(".deb"));
  // Perl is there for helper scripts of the package, which nobody here runs.
  for (const name of files.filter(file => !file.startsWith("perl"))) {
    await runCommand("dpkg", ["-x", join(archives, name), folder]);
  }
  rmSync(work, { recursive: true });
  for (const unused of ["doc", "locale", "man", "perl"]) {
    rmSync(join(folder, "usr", "share", unused), { recursive: true, force: true });
  }
}

/** Options that make apt use only folders of ours: an empty system, one source, its own downloads. */
function privateIndex(work: string, source: string): string[] {
  rmSync(work, { recursive: true, force: true });
  for (const folder of ["state/lists/partial", "cache/archives/partial", "empty"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  writeFileSync(join(work, "status"), "");
  writeFileSync(join(work, "sources.list"), `deb [signed-by=${keyring}] ${source} main\n`);
  const settings = {
    "Dir::State": join(work, "state"),
    "Dir::State::status": join(work, "status"),
    "Dir::Cache": join(work, "cache"),
    "Dir::Etc::sourcelist": join(work, "sources.list"),
    "Dir::Etc::sourceparts": join(work, "empty"),
    "Dir::Etc::preferences": join(work, "none"),
    "Dir::Etc::preferencesparts": join(work, "empty"),
    "Acquire::Retries": "3",
    "Acquire::Languages": "none",
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "root", // Root's folders need not be open to apt's own user.
  };
  const pairs = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return ["-q", "-y", ...pairs];
}

/** The mirror from which this machine gets its own Debian packages. */
function mirror(what: string): string {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const codename = /^VERSION_CODENAME="?([\w-]+)/m.exec(release)?.[1] ?? "stable";
  const sources = sourceFiles().flatMap(file => parseSources(readFileSync(file, "utf8")));
  const own = sources.find(
    source =>
      source.suites.includes(codename) && source.hasMain && !source.uri.startsWith("cdrom:"),
  );
  if (/^ID="?debian/m.test(release) && own && existsSync(keyring)) return own.uri;
  const message =
    `${what} comes from the Debian mirror in this machine's apt sources, and there is none: ` +
    "use Debian (with the package debian-archive-keyring), or mysql-8.";
  throw new ServicesError(message, exitCodes.unavailable);
}

function sourceFiles(): string[] {
  const parts = "/etc/apt/sources.list.d";
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  return ["/etc/apt/sources.list", ...names.map(name => join(parts, name))].filter(
    file => /\.(list|sources)$/.test(file) && existsSync(file),
  );
}

interface Source {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly hasMain: boolean;
}

/** Reads both forms: one line per source (`deb [options] uri suite component…`), and stanzas. */
export function parseSources(text: string): Source[] {
  const lines = [...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)(.*)$/gm)].map(
    ([, uri = "", suite = "", rest = ""]) => source(uri, [suite], words(rest)),
  );
  const stanzas = text.split(/\n\s*\n/).flatMap(stanza => {
    const field = (name: string): string[] =>
      words(new RegExp(`^${name}:(.*)$`, "im").exec(stanza)?.[1] ?? "");
    const enabled = field("Enabled")[0] !== "no" && field("Types").includes("deb");
    const [uri] = field("URIs");
    return enabled && uri ? [source(uri, field("Suites"), field("Components"))] : [];
  });
  return [...lines, ...stanzas];
}

function source(uri: string, suites: string[], components: string[]): Source {
  return { uri, suites, hasMain: components.includes("main") };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== "");
}
