/**
 * Downloads that are kept between runs, under TIDEMARK_CACHE (default: ~/.cache/tidemark).
 *
 *   <cache>/<name>/           complete, always: it got this name by a rename after its last file
 *   <cache>/unfinished/<name> being built; whatever a killed run left there is thrown away
 *   <cache>/locks/<name>      one builder at a time, see lock.ts
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { withLock } from "./lock.ts";

/** Inside the folder, so that a folder somebody copied by hand and cut short is not trusted. */
const marker = ".complete";

export function cacheFolder(): string {
  return resolve(process.env["TIDEMARK_CACHE"] ?? join(homedir(), ".cache", "tidemark"));
}

export function lockFile(name: string): string {
  return join(cacheFolder(), "locks", name);
}

export function isCached(name: string): boolean {
  return existsSync(join(cacheFolder(), name, marker));
}

/** The folder of that name, built first if it is not complete. */
export async function cached(
  name: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(cacheFolder(), name);
  if (isCached(name)) return folder;
  return withLock(lockFile(name), `another run that is fetching ${name}`, async () => {
    if (isCached(name)) return folder; // The other run has built it while we waited.
    const unfinished = join(cacheFolder(), "unfinished", name);
    for (const leftover of [folder, unfinished]) rmSync(leftover, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await build(unfinished);
    writeFileSync(join(unfinished, marker), "");
    renameSync(unfinished, folder);
    return folder;
  });
}
