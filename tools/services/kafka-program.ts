/** Where Kafka comes from: its jars, fetched with Maven. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, maven } from "./packages.ts";
import { step } from "./progress.ts";

const version = "4.1.0";
const cacheName = `kafka-${version}`;
const artifacts = [
  `org.apache.kafka:kafka_2.13:${version}`,
  `org.apache.kafka:kafka-tools:${version}`,
  // Without it a broker that cannot start says nothing about the reason.
  "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
];

/** Returns the class path. */
export async function kafkaProgram(): Promise<string> {
  await installMissing(isCached(cacheName) ? [java] : [java, maven]);
  const folder = await cached(cacheName, building =>
    step(`fetching Kafka ${version} with Maven (54 MB)`, () =>
      fetchWithMaven({ artifacts, goal: "copy-dependencies", folder: join(building, "libs") }),
    ),
  );
  const libs = join(folder, "libs");
  return readdirSync(libs)
    .sort()
    .map(jar => join(libs, jar))
    .join(":");
}
