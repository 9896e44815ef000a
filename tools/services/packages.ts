/**
 * Installs what the servers need from the operating system: Java and Maven for Kafka, two libraries
 * for MySQL 8. Only as root on a Debian-like system; anybody else gets one sentence that names the
 * package and the command.
 */
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, runCommand } from "./commands.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import { withLock } from "./lock.ts";
import { step } from "./progress.ts";

export interface Requirement {
  readonly what: string;
  readonly package: string;
  readonly present: () => boolean;
}

const javaMajorMin = 17;
const lockTimeoutS = 600;

export const java: Requirement = {
  what: `Java ${javaMajorMin}`,
  package: "openjdk-17-jre-headless",
  present: () => installedJavaMajor() >= javaMajorMin,
};

/** 0 if there is none. */
export function installedJavaMajor(): number {
  const { stderr, status } = spawnSync("java", ["-version"], { encoding: "utf8" });
  return status === 0 ? Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) : 0;
}

export const pip: Requirement = {
  what: "pip",
  package: "python3-pip",
  present: () => spawnSync("python3", ["-m", "pip", "--version"]).status === 0,
};

export const maven: Requirement = {
  what: "Maven",
  package: "maven",
  present: () => findProgram("mvn") !== undefined,
};

export function library(file: string, packageName: string): Requirement {
  const present = (): boolean => {
    const ldconfig = findProgram("ldconfig") ?? "ldconfig";
    const { stdout, status } = spawnSync(ldconfig, ["-p"], { encoding: "utf8" });
    return status === 0 && stdout.includes(`\t${file} `);
  };
  return { what: file, package: packageName, present };
}

export async function installMissing(requirements: readonly Requirement[]): Promise<void> {
  const missing = requirements.filter(requirement => !requirement.present());
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(requirement => requirement.package))];
  const mayInstall = process.getuid?.() === 0 && findProgram("apt-get") !== undefined;
  if (!mayInstall) throw stillMissing(missing);
  await withAptLock(async () => {
    if (requirements.every(requirement => requirement.present())) return;
    await step(`installing ${packages.join(", ")} with apt-get`, async () => {
      // Not under the keeper: dpkg cut down half-way leaves a broken system, and it ends by itself.
      const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
      const options = ["-q", "-y", "-o", `DPkg::Lock::Timeout=${lockTimeoutS}`];
      options.push("-o", "Acquire::Retries=3");
      await runCommand("apt-get", [...options, "update"], { env });
      const install = [...options, "install", "--no-install-recommends", ...packages];
      await runCommand("apt-get", install, { env });
    });
  });
  const after = requirements.filter(requirement => !requirement.present());
  if (after.length > 0) throw stillMissing(after);
}

/**
 * The packages belong to the machine, so the lock does too. It also keeps our private index
 * (debian-packages.ts) apart: in a container image `apt-get update` may empty the archive folder
 * that an installation next to it is about to read.
 */
export function withAptLock<T>(run: () => Promise<T>): Promise<T> {
  // By user: in a shared temporary folder nobody may open another one's lock file.
  const file = join(tmpdir(), `tidemark-apt-${process.getuid?.() ?? 0}.lock`);
  return withLock(file, "another run that uses apt-get", run);
}

function stillMissing(missing: readonly Requirement[]): ServicesError {
  const what = missing.map(requirement => requirement.what).join(" and ");
  const packages = missing.map(requirement => requirement.package).join(" ");
  const message = `${what} must be installed first: run "apt-get install ${packages}" as root.`;
  return new ServicesError(message, exitCodes.unavailable);
}
