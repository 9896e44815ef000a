/** Where ElasticMQ comes from: its jars, fetched with Maven. */
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, maven } from "./packages.ts";
import { step } from "./progress.ts";

const version = "1.6.11";
const cacheName = `elasticmq-${version}`;

/** Returns the class path. */
export async function elasticmqProgram(): Promise<string> {
  await installMissing(isCached(cacheName) ? [java] : [java, maven]);
  const folder = await cached(cacheName, building =>
    step(`fetching ElasticMQ ${version} with Maven (37 MB)`, () =>
      fetchWithMaven({
        artifacts: [`org.elasticmq:elasticmq-server_2.13:${version}`],
        goal: "copy-dependencies",
        folder: join(building, "libs"),
      }),
    ),
  );
  return join(folder, "libs", "*");
}
