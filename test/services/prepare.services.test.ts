import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { cacheFolder } from "../../tools/services/cache.ts";
import { findProgram } from "../../tools/services/commands.ts";
import { prepare } from "../../tools/services/services.ts";
import { newCache, newFolder, services, startProgram, until } from "./support/programs.ts";

const kafka = "kafka-4.1.0";
const caches: string[] = [];

/** Jars come from the local repository after the first run, so that each test needs seconds. */
beforeAll(() => prepare(["kafka"]));
afterEach(() => {
  for (const cache of caches.splice(0)) rmSync(cache, { recursive: true, force: true });
});

async function emptyCache(): Promise<string> {
  const cache = await newCache(["maven-repository"]);
  caches.push(cache);
  return cache;
}

function jars(cache: string): Record<string, number> {
  const libs = join(cache, kafka, "libs");
  return Object.fromEntries(readdirSync(libs).map(name => [name, statSync(join(libs, name)).size]));
}

test("a folder that is only half there is fetched again", async () => {
  const cache = await emptyCache();
  for (const half of [kafka, join("unfinished", kafka)]) {
    mkdirSync(join(cache, half, "libs"), { recursive: true });
    writeFileSync(join(cache, half, "libs", `${kafka}.jar`), "cut short");
  }
  const { code, stderr } = await services(["prepare", "kafka"], { TIDEMARK_CACHE: cache });
  expect(stderr).toContain("fetching Kafka");
  expect(code).toBe(0);
  expect(jars(cache)).toEqual(jars(cacheFolder()));
});

test("a download cut by SIGKILL is completed by the next run", async () => {
  const cache = await emptyCache();
  const env = { TIDEMARK_CACHE: cache };
  const killed = startProgram("tools/services/main.ts", ["prepare", "kafka"], env);
  await until("it has begun", () => existsSync(join(cache, "unfinished", kafka)));
  killed.child.kill("SIGKILL");
  await killed.finished;
  expect(existsSync(join(cache, kafka))).toBe(false);
  expect((await services(["prepare", "kafka"], env)).code).toBe(0);
  expect(jars(cache)).toEqual(jars(cacheFolder()));
});

test("two runs at once fetch once", async () => {
  const cache = await emptyCache();
  const run = (): ReturnType<typeof services> =>
    services(["prepare", "kafka"], { TIDEMARK_CACHE: cache });
  const both = await Promise.all([run(), run()]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  const lines = both.flatMap(({ stderr }) => stderr.split("\n"));
  expect(lines.filter(line => /fetching Kafka.*…/.test(line))).toHaveLength(1);
  expect(jars(cache)).toEqual(jars(cacheFolder()));
});

test("a run that finds everything calls no Maven", async () => {
  const programs = newFolder("programs");
  caches.push(programs);
  symlinkSync(findProgram("java") ?? "java", join(programs, "java"));
  const { code, stderr } = await services(["prepare", "kafka"], { PATH: programs });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test("says in one sentence what is missing and how to get it", async () => {
  const cache = await emptyCache();
  const { code, stderr } = await services(["prepare", "kafka"], {
    PATH: cache,
    TIDEMARK_CACHE: cache,
  });
  expect(code).toBe(69);
  expect(stderr).toBe(
    "Java 17 and Maven must be installed first: " +
      'run "apt-get install openjdk-17-jre-headless maven" as root.\n',
  );
});
