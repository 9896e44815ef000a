/** A server of some version and row metadata, and the program under test that reads all of it into a file. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { startMysql, type Mysql, type MysqlVersion } from "../../../tools/services/services.ts";
import { FileLines } from "../file-lines.ts";
import { builtBundle, Product } from "../product.ts";
import { cdcUser } from "../servers.ts";
import { until } from "../wait.ts";
import { parseExactly, type ExactValue } from "./exact-json.ts";

export type Metadata = "FULL" | "MINIMAL";

export type Row = Readonly<Record<string, ExactValue>>;

export interface Envelope {
  readonly op: string;
  readonly before: Row | null;
  readonly after: Row | null;
  readonly source: { readonly table: string };
}

const DATABASE = "types";
const READ_TIMEOUT_MS = 300_000;

export class TypesSource {
  readonly mysql: Mysql;
  readonly connection: Connection;

  private constructor(mysql: Mysql, connection: Connection) {
    this.mysql = mysql;
    this.connection = connection;
  }

  static async start(version: MysqlVersion, metadata: Metadata): Promise<TypesSource> {
    const args = ["--max-allowed-packet=64M"];
    if (version !== "mysql-5") args.push(`--binlog-row-metadata=${metadata}`);
    const mysql = await startMysql(version, { args });
    const { host, port, user, password } = mysql;
    const connection = await createConnection({
      ...{ host, port, user, password, charset: "utf8mb4" },
      // Numbers as the server writes them.
      typeCast: field => field.string(),
    });
    const { user: reader, password: secret } = cdcUser;
    for (const statement of [
      "SET NAMES utf8mb4",
      "SET time_zone = '+00:00', sql_mode = ''",
      `CREATE USER '${reader}'@'%' IDENTIFIED BY '${secret}'`,
      `GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${reader}'@'%'`,
      `GRANT SELECT ON ${DATABASE}.* TO '${reader}'@'%'`,
      `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4`,
      `USE ${DATABASE}`,
    ]) {
      await connection.query(statement);
    }
    return new TypesSource(mysql, connection);
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await this.connection.query(statement);
  }

  async select(sql: string): Promise<readonly Readonly<Record<string, string | null>>[]> {
    const [rows] = await this.connection.query<RowDataPacket[]>(sql);
    return rows;
  }

  /** Every message of the tables from the beginning of the binlog to its present end. */
  async messages(): Promise<readonly Envelope[]> {
    await this.run(
      "CREATE TABLE IF NOT EXISTS the_end (id INT PRIMARY KEY AUTO_INCREMENT)",
      "INSERT INTO the_end VALUES ()",
    );
    const dir = mkdtempSync(join(tmpdir(), "tidemark-types-"));
    mkdirSync(join(dir, "state"));
    const config = join(dir, "tidemark.yaml");
    writeFileSync(config, JSON.stringify(this.#config()));
    const bundle = join(dir, "tidemark.mjs");
    copyFileSync(builtBundle(undefined), bundle);
    const product = new Product({ bundle, config, dir });
    const lines = new FileLines(join(dir, "out.jsonl"));
    const found: Envelope[] = [];
    let hasEnded = false;
    try {
      product.start();
      await until(
        () => {
          if (product.ended) throw new Error(`Tidemark ended:\n${product.logTail(8)}`);
          lines.readToEnd(line => {
            const message = parseExactly(line) as unknown as Envelope | null;
            if (message === null) return;
            if (message.source.table === "the_end") hasEnded = true;
            else found.push(message);
          });
          return hasEnded;
        },
        { what: "every row arrives", timeoutMs: READ_TIMEOUT_MS },
      );
      await product.terminate();
    } finally {
      await product.dispose();
      rmSync(dir, { recursive: true, force: true });
    }
    return found;
  }

  async stop(): Promise<void> {
    this.connection.destroy();
    await this.mysql.stop();
  }

  #config(): unknown {
    const { host, port } = this.mysql;
    return {
      source: { host, port, ...cdcUser, start: "earliest" },
      pipelines: [
        {
          name: "types",
          tables: [`${DATABASE}.*`],
          format: "debezium",
          sink: { type: "file", path: "out.jsonl" },
          commit_log: { type: "file", dir: "state" },
        },
      ],
    };
  }
}
