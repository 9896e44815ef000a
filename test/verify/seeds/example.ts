/** A file of examples/ as it stands, run by the built program in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Connection } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { FileCommitLogReader } from "../commit-log.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";

/** That of the files. */
export const DATABASE = "shop";
const START_MS = 60_000;

export interface ExampleSetup {
  /** Without `.yaml`; its pipeline is called the same. */
  readonly name: string;
  readonly mysql: Mysql;
  /** What differs from the defaults that stand in the file. */
  readonly environment: Readonly<Record<string, string>>;
  readonly tables: readonly string[];
  /** Words in the place of `run` with the example, after which the same is expected. */
  readonly command?: readonly string[];
}

export interface Example {
  readonly product: Product;
  /** Where it runs. */
  readonly dir: string;
  /** Of a superuser, in the database of the examples, with the time zone UTC. */
  readonly connection: Connection;
  /** Resolves when it is decided from where on it reads. */
  started(): Promise<void>;
}

/** Makes the tables, gives everything to `use`, and leaves nothing behind. */
export async function withExample<T>(
  { name, mysql, environment, tables, command }: ExampleSetup,
  use: (example: Example) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-example-"));
  const product = new Product({
    bundle: builtBundle(undefined),
    config: fileURLToPath(new URL(`../../../examples/${name}.yaml`, import.meta.url)),
    ...{ dir, command },
    environment: {
      MYSQL_HOST: mysql.host,
      MYSQL_PORT: String(mysql.port),
      MYSQL_PASSWORD: cdcUser.password,
      ...environment,
    },
  });
  const log = new FileCommitLogReader(join(dir, "tidemark-state", `${name}.json`));
  const started = (): Promise<void> =>
    until(async () => product.ended !== undefined || (await log.read()) !== undefined, {
      what: `${name}.yaml reads the binlog`,
      timeoutMs: START_MS,
    });
  try {
    return await withConnection(mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await connection.query(`CREATE DATABASE ${DATABASE}`);
      await connection.query(`USE ${DATABASE}`);
      await connection.query("SET time_zone = '+00:00'");
      for (const table of tables) await connection.query(table);
      return await use({ product, dir, connection, started });
    });
  } catch (error) {
    progress(`${name}: the end of Tidemark's log:\n${product.logTail()}`);
    throw error;
  } finally {
    await product.dispose();
    await withConnection(mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`),
    );
    rmSync(dir, { recursive: true, force: true });
  }
}
