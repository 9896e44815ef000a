/** Fetches jars with Maven, into a local repository of our own beside the other downloads. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, lockFile } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { withLock } from "./lock.ts";

/** Pinned: what an unpinned plugin does depends on the age of the installed Maven. */
const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";

export interface MavenRequest {
  /** `group:artifact:version`. */
  readonly artifacts: readonly string[];
  /** Copy the jars with all they depend on, or unpack only the named ones. */
  readonly goal: "copy-dependencies" | "unpack-dependencies";
  readonly folder: string;
}

export async function fetchWithMaven({ artifacts, goal, folder }: MavenRequest): Promise<void> {
  const projectFolder = `${folder}.pom`;
  mkdirSync(projectFolder, { recursive: true });
  const pom = join(projectFolder, "pom.xml");
  writeFileSync(pom, projectFile(artifacts, goal === "copy-dependencies"));
  const args = [
    ...["--batch-mode", "--quiet", "--file", pom],
    `-Dmaven.repo.local=${join(cacheFolder(), "maven-repository")}`,
    "-Dmaven.wagon.http.retryHandler.count=5",
    `-DoutputDirectory=${folder}`,
    `${plugin}:${goal}`,
  ];
  // Two Mavens of this age must not share a local repository.
  await withLock(lockFile("maven"), "another download with Maven", () => runCommand("mvn", args));
}

function projectFile(artifacts: readonly string[], transitive: boolean): string {
  const exclusions = transitive
    ? ""
    : "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
  const dependencies = artifacts.map(artifact => {
    const [group = "", name = "", version = ""] = artifact.split(":");
    const coordinates = `<groupId>${group}</groupId><artifactId>${name}</artifactId>`;
    return `<dependency>${coordinates}<version>${version}</version>${exclusions}</dependency>`;
  });
  return `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidemark.services</groupId><artifactId>download</artifactId><version>1</version>
  <dependencies>${dependencies.join("")}</dependencies>
</project>
`;
}
