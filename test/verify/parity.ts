/**
 * The source that Tidemark and another program read beside each other, and the workload over every type
 * and operation that is compared.
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import { startMysql, type Mysql } from "../../tools/services/services.ts";
import type { Facts } from "./debezium/facts.ts";
import { changeAtRandom } from "./debezium/random-changes.ts";
import { stepsOf } from "./debezium/statements.ts";
import { changeKeys, fillWideTables } from "./debezium/wide-tables.ts";
import { rounds, type Options } from "./options.ts";
import { builtBundle, Product } from "./product.ts";
import { Random } from "./random.ts";
import { cdcUser } from "./servers.ts";
import { casesOf, textCasesOf } from "./types/cases.ts";

export const DATABASE = "parity";
export const REPLICA = "REPLICATION SLAVE, REPLICATION CLIENT ON *.*";
const SESSIONS = 3;

type Version = "mysql-8" | "mysql-9";

export class ParitySource {
  readonly mysql: Mysql;
  readonly #connections: Connection[] = [];

  private constructor(mysql: Mysql) {
    this.mysql = mysql;
  }

  /** @param statements what the other program needs besides. */
  static async start(version: Version, statements: readonly string[] = []): Promise<ParitySource> {
    const mysql = await startMysql(version, { args: ["--max-allowed-packet=64M"] });
    const connection = await createConnection(mysql.url);
    const { user, password } = cdcUser;
    for (const statement of [
      `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`,
      `GRANT ${REPLICA} TO '${user}'@'%'`,
      ...statements,
      `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4`,
    ]) {
      await connection.query(statement);
    }
    await connection.end();
    return new ParitySource(mysql);
  }

  /** A session of its own, whose transactions and thread id are told apart from the others'. */
  async connect(): Promise<Connection> {
    const { host, port, user, password } = this.mysql;
    const connection = await createConnection({
      ...{ host, port, user, password, charset: "utf8mb4" },
      multipleStatements: true,
    });
    this.#connections.push(connection);
    await connection.query(
      `SET NAMES utf8mb4; SET time_zone = '+00:00', sql_mode = ''; USE ${DATABASE}`,
    );
    return connection;
  }

  /** Tidemark, with this pipeline over all that is written, not yet started. */
  product(dir: string, pipeline: Readonly<Record<string, unknown>>): Product {
    mkdirSync(join(dir, "state"));
    const config = join(dir, "tidemark.yaml");
    const { host, port } = this.mysql;
    const all = {
      ...pipeline,
      tables: [`${DATABASE}.*`],
      commit_log: { type: "file", dir: "state" },
    };
    const source = { host, port, ...cdcUser, start: "earliest" };
    writeFileSync(config, JSON.stringify({ source, pipelines: [all] }));
    const bundle = join(dir, "tidemark.mjs");
    copyFileSync(builtBundle(undefined), bundle);
    return new Product({ bundle, config, dir });
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.mysql.stop();
  }
}

export interface ParityWorkload {
  readonly name: string;
  readonly version: Version;
  readonly charsets: readonly string[];
  /** Transactions at random, if it is not quick. */
  readonly transactions: number;
  readonly options: Options;
  readonly facts: Facts;
  /** The statement as the other program can take it; undefined if it cannot at all. */
  readonly statement?: (sql: string) => string | undefined;
}

export async function writeParity(source: ParitySource, workload: ParityWorkload): Promise<void> {
  const { name, version, charsets, transactions, options, facts } = workload;
  const sessions: Connection[] = [];
  for (let i = 0; i < SESSIONS; i += 1) sessions.push(await source.connect());
  const [first] = sessions;
  if (first === undefined) return;
  const random = new Random(options.seed, name);
  await fillWideTables(first, [...casesOf(version), ...textCasesOf(charsets)], random);
  await changeKeys(first);
  for (const { session, sql } of stepsOf(version)) {
    const known = workload.statement === undefined ? sql : workload.statement(sql);
    if (known === undefined) continue;
    await sessions[session]?.query(known);
    if (/CREATE TABLE|ALTER TABLE/.test(sql)) await facts.collect(first, DATABASE);
  }
  await changeAtRandom(sessions, random, rounds(options, transactions, 200));
  await facts.collect(first, DATABASE);
}
