/**
 * Where Maxwell comes from: its last release on Maven, and what Java no longer has. Its filters could be
 * written in JavaScript, and it asks of every value whether it came from there.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { compileJava } from "./java-compiler.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, maven } from "./packages.ts";
import { step } from "./progress.ts";

const version = "1.22.6";
const cacheName = `maxwell-${version}`;
/** Shows bytes within JSON. */
const bindings = "javax.xml.bind:jaxb-api:2.3.1";

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
      const artifacts = [`com.zendesk:maxwell:${version}`, bindings];
      await fetchWithMaven({ artifacts, goal: "copy-dependencies", folder: libs });
      await compileMissing(join(building, "classes"));
    }),
  );
  const libs = join(folder, "libs");
  const jars = readdirSync(libs).sort();
  return [join(folder, "classes"), ...jars.map(jar => join(libs, jar))].join(":");
}

async function compileMissing(folder: string): Promise<void> {
  mkdirSync(folder);
  const source = join(folder, "ScriptObjectMirror.java");
  writeFileSync(source, missingClass);
  await compileJava({ source, folder });
}
