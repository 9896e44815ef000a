/** A server of some version and row metadata, with a user for the program under test. */
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { startMysql, type Mysql, type MysqlVersion } from "../../../tools/services/services.ts";
import { cdcUser } from "../servers.ts";
import { until } from "../wait.ts";
import { FileRun, type BinlogPosition, type Envelope } from "./file-run.ts";

export type Metadata = "FULL" | "MINIMAL";

export const DATABASE = "types";
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
    const run = new FileRun(this.mysql, "earliest");
    try {
      const isLast = ({ source }: Envelope): boolean => source.table === "the_end";
      const messages = await run.until(isLast, READ_TIMEOUT_MS);
      await run.product.terminate();
      return messages.filter(message => !isLast(message));
    } finally {
      await run.dispose();
    }
  }

  /** Every message of a snapshot of the tables, which have so many rows; and what comes behind it by mistake. */
  async existing(rows: number): Promise<readonly Envelope[]> {
    const run = new FileRun(this.mysql, await this.position(), {
      snapshot: { mode: "initial", quiesced: true },
    });
    try {
      const isThere = (): boolean =>
        run.messages().length >= rows || run.product.ended !== undefined;
      await until(isThere, { what: "every row is copied", timeoutMs: READ_TIMEOUT_MS });
      await this.run("CREATE TABLE behind (id INT PRIMARY KEY)", "INSERT INTO behind VALUES (1)");
      const isBehind = ({ source }: Envelope): boolean => source.table === "behind";
      const messages = await run.until(isBehind, READ_TIMEOUT_MS);
      await run.product.terminate();
      return messages.filter(message => !isBehind(message));
    } finally {
      await run.dispose();
    }
  }

  /** The end of the binlog. */
  async position(): Promise<BinlogPosition> {
    const statement =
      this.mysql.version === "mysql-9" ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
    const [row] = await this.select(statement);
    return { file: row?.["File"] ?? "", position: Number(row?.["Position"]) };
  }

  async stop(): Promise<void> {
    this.connection.destroy();
    await this.mysql.stop();
  }
}
