/**
 * How each MySQL is called. Beside the program the cache keeps a freshly initialised data folder with
 * keys and certificates: copying it takes a fraction of the time that initialising takes.
 *
 *   <cache>/<name>/root    the unpacked program, see mysql-releases.ts
 *   <cache>/<name>/data    the data folder that every server starts from
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import type { MysqlVersion } from "./interfaces.ts";
import { releases, type MysqlCall } from "./mysql-releases.ts";
import { installMissing } from "./packages.ts";
import { step } from "./progress.ts";

export interface MysqlProgram extends MysqlCall {
  /** A data folder to copy. */
  readonly emptyData: string;
  /** What this version needs to be told to serve as Tidemark's source. */
  readonly settings: readonly string[];
}

export async function mysqlProgram(version: MysqlVersion): Promise<MysqlProgram> {
  const release = releases[version];
  const { name, title, isX64Only, needs, settings } = release;
  if (isX64Only && process.arch !== "x64") {
    const message = `${title} exists for x64 only, and this is ${process.arch}: use mysql-9.`;
    throw new ServicesError(message, exitCodes.unavailable);
  }
  await installMissing(isCached(name) ? needs.toRun : [...needs.toRun, ...needs.toFetch]);
  const folder = await cached(name, async building => {
    await release.build(join(building, "root"));
    await step(`initialising ${version}`, () => initialise(version, building));
  });
  return { ...call(version, folder), emptyData: join(folder, "data"), settings };
}

function call(version: MysqlVersion, folder: string): MysqlCall {
  const { command, args } = releases[version].call(join(folder, "root"));
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : [];
  return { command, args: [...args, ...asRoot] };
}

async function initialise(version: MysqlVersion, folder: string): Promise<void> {
  const release = releases[version];
  const unfinished = join(folder, "data.new");
  await release.initialise(call(version, folder), unfinished, folder);
  // Every copy must make up its own server UUID: GTIDs of two servers would be taken for one's.
  rmSync(join(unfinished, "auto.cnf"), { force: true });
  if (!existsSync(join(unfinished, release.proof))) {
    throw new ServicesError(`${version} was initialised without data`, exitCodes.software);
  }
  renameSync(unfinished, join(folder, "data"));
}
