/**
 * Where Maxwell comes from: its last release on Maven, and what Java no longer has. Its filters could be
 * written in JavaScript, and it asks of every value whether it came from there.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, maven } from "./packages.ts";
import { step } from "./progress.ts";

const version = "1.22.6";
const cacheName = `maxwell-${version}`;
/** Shows bytes within JSON. */
const bindings = "javax.xml.bind:jaxb-api:2.3.1";
/** Compiles without a JDK. */
const compiler = { artifact: "org.eclipse.jdt:ecj:3.33.0", jar: "ecj-3.33.0.jar" };

const missingClass = `package jdk.nashorn.api.scripting;
public class ScriptObjectMirror extends java.util.HashMap<String, Object> {
  public boolean isArray() { return false; }
}
`;

/** Returns the class path. */
export async function maxwellProgram(): Promise<string> {
  await installMissing(isCached(cacheName) ? [java] : [java, maven]);
  const folder = await cached(cacheName, building =>
    step(`fetching Maxwell ${version} with Maven (52 MB)`, async () => {
      const libs = join(building, "libs");
      const artifacts = [`com.zendesk:maxwell:${version}`, bindings, compiler.artifact];
      await fetchWithMaven({ artifacts, goal: "copy-dependencies", folder: libs });
      await compile(join(libs, compiler.jar), join(building, "classes"));
    }),
  );
  const libs = join(folder, "libs");
  const jars = readdirSync(libs).sort();
  return [join(folder, "classes"), ...jars.map(jar => join(libs, jar))].join(":");
}

async function compile(jar: string, folder: string): Promise<void> {
  mkdirSync(folder);
  const source = join(folder, "ScriptObjectMirror.java");
  writeFileSync(source, missingClass);
  await runCommand("java", ["-jar", jar, "-17", "-nowarn", "-d", folder, source]);
}
