/** Compiles Java without a JDK. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cached } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, maven } from "./packages.ts";

const artifact = "org.eclipse.jdt:ecj:3.33.0";
const cacheName = "ecj-3.33.0";

export interface CompileOptions {
  readonly source: string;
  /** Where the classes go. */
  readonly folder: string;
  /** What it needs beside Java itself. */
  readonly classPath?: string;
}

export async function compileJava({
  source,
  folder,
  classPath = "",
}: CompileOptions): Promise<void> {
  const place = await cached(cacheName, async building => {
    await installMissing([java, maven]);
    await fetchWithMaven({
      artifacts: [artifact],
      goal: "copy-dependencies",
      folder: join(building, "libs"),
    });
  });
  const libs = join(place, "libs");
  const jar = join(libs, readdirSync(libs).find(name => name.startsWith("ecj-")) ?? "");
  const needed = classPath === "" ? [] : ["-cp", classPath];
  await runCommand("java", ["-jar", jar, "-17", "-nowarn", ...needed, "-d", folder, source]);
}
