/** Fetches jars with Maven, into a local repository of our own beside the other downloads. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, lockFile } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { withLock } from "./lock.ts";

/** Pinned: what an unpinned plugin does depends on the age of the installed Maven. */
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

export interface MavenRequest {
  /** `group:artifact:version`, and `:type` where it is no jar. */
  readonly artifacts: readonly string[];
  /** Copy the jars with all they depend on, or unpack only the named ones. */
  readonly goal: "copy-dependencies" | "unpack-dependencies";
  readonly folder: string;
  /** What the project that asks is called. */
  readonly project?: string;
  /** Patterns of what is not unpacked. */
  readonly excludes?: readonly string[];
}

export async function fetchWithMaven(request: MavenRequest): Promise<void> {
  const { goal, folder, excludes = [] } = request;
  const projectFolder = `${folder}.pom`;
  mkdirSync(projectFolder, { recursive: true });
  const pom = join(projectFolder, "pom.xml");
  writeFileSync(pom, projectFile(request));
  const args = [
    ...["--batch-mode", "--quiet", "--file", pom],
    `-Dmaven.repo.local=${mavenRepository()}`,
    "-Dmaven.wagon.http.retryHandler.count=5",
    `-DoutputDirectory=${folder}`,
    ...(excludes.length > 0 ? [`-Dmdep.unpack.excludes=${excludes.join(",")}`] : []),
    `${plugin}:${goal}`,
  ];
  // Two Mavens of this age must not share a local repository.
  await withLock(lockFile("maven"), "another download with Maven", () => runCommand("mvn", args));
}

/** Removes what Maven keeps of one artifact beside what was unpacked from it. */
export function forgetDownload(artifact: string): void {
  const [group = "", name = ""] = artifact.split(":");
  rmSync(join(mavenRepository(), ...group.split("."), name), { recursive: true, force: true });
}

function mavenRepository(): string {
  return join(cacheFolder(), "maven-repository");
}

function projectFile(request: MavenRequest): string {
  const { artifacts, goal, project = "tidemark.services:download:1" } = request;
  const exclusions =
    goal === "copy-dependencies"
      ? ""
      : "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
  const dependencies = artifacts.map(artifact => {
    const [, , , type = "jar"] = artifact.split(":");
    return `<dependency>${coordinates(artifact)}<type>${type}</type>${exclusions}</dependency>`;
  });
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  ${coordinates(project)}<packaging>pom</packaging>
  <dependencies>${dependencies.join("")}</dependencies>
</project>
`;
}

function coordinates(artifact: string): string {
  const [group = "", name = "", version = ""] = artifact.split(":");
  return `<groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>`;
}
