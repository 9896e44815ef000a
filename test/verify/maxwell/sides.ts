/**
 * Maxwell's daemon and the program under test, which read the same binlog, each into a file.
 *
 *   MySQL 8.0.15 ─┬─▶ Maxwell  ──▶ out.jsonl ─┐
 *                 └─▶ Tidemark ──▶ out.jsonl ─┴─▶ lines, in the order of the binlog
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnection, type Connection } from "mysql2/promise";
import {
  startMaxwell,
  startMysql,
  type Maxwell,
  type Mysql,
} from "../../../tools/services/services.ts";
import { FileLines } from "../file-lines.ts";
import { builtBundle, Product } from "../product.ts";
import { cdcUser } from "../servers.ts";
import { until } from "../wait.ts";

export const DATABASE = "parity";
const COMPLAINT_CHARS = 2_000;
const ARRIVAL_TIMEOUT_MS = 180_000;
const LAST_LINE = '"table":"the_end"';

/** It knows no newer way to log in. */
const maxwellUser = { user: "maxwell", password: "maxwell-Pa55word" } as const;

export interface BothSides {
  readonly maxwell: readonly string[];
  readonly tidemark: readonly string[];
}

export class Sides {
  readonly #mysql: Mysql;
  readonly #maxwell: Maxwell;
  readonly #connections: Connection[] = [];

  private constructor(mysql: Mysql, maxwell: Maxwell) {
    this.#mysql = mysql;
    this.#maxwell = maxwell;
  }

  static async start(): Promise<Sides> {
    const mysql = await startMysql("mysql-8", { args: ["--max-allowed-packet=64M"] });
    const connection = await createConnection(mysql.url);
    const { user, password } = cdcUser;
    const replica = "REPLICATION SLAVE, REPLICATION CLIENT ON *.*";
    for (const statement of [
      `CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`,
      `GRANT ${replica} TO '${user}'@'%'`,
      `CREATE USER '${maxwellUser.user}'@'%' IDENTIFIED WITH mysql_native_password BY '${maxwellUser.password}'`,
      `GRANT SELECT, ${replica} TO '${maxwellUser.user}'@'%'`,
      `GRANT ALL ON maxwell.* TO '${maxwellUser.user}'@'%'`,
      `CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4`,
    ]) {
      await connection.query(statement);
    }
    await connection.end();
    return new Sides(mysql, await startMaxwell({ mysql, ...maxwellUser, database: DATABASE }));
  }

  /** A session of its own, whose transactions are told apart from the others'. */
  async connect(): Promise<Connection> {
    const { host, port, user, password } = this.#mysql;
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

  /** All that both wrote of what stands in the binlog now. */
  async lines(): Promise<BothSides> {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-maxwell-"));
    const product = this.#product(dir);
    const sides = {
      maxwell: { file: new FileLines(this.#maxwell.output), lines: [] as string[] },
      tidemark: { file: new FileLines(join(dir, "out.jsonl")), lines: [] as string[] },
    };
    try {
      const connection = await this.connect();
      await connection.query("CREATE TABLE the_end (id INT); INSERT INTO the_end VALUES (1)");
      product.start();
      await until(
        () => {
          if (product.ended) throw new Error(`Tidemark ended:\n${product.logTail(8)}`);
          if (!this.#maxwell.isRunning) throw new Error(`Maxwell ended:\n${this.#complaint()}`);
          return Object.values(sides).every(({ file, lines }) => {
            file.readToEnd(line => lines.push(line));
            return lines.at(-1)?.includes(LAST_LINE) === true;
          });
        },
        { what: "both write everything", timeoutMs: ARRIVAL_TIMEOUT_MS, intervalMs: 200 },
      );
      await product.terminate();
    } finally {
      await product.dispose();
      rmSync(dir, { recursive: true, force: true });
    }
    return { maxwell: sides.maxwell.lines, tidemark: sides.tidemark.lines };
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.#maxwell.stop();
    await this.#mysql.stop();
  }

  /** What Maxwell says about its end. */
  #complaint(): string {
    const log = readFileSync(join(this.#maxwell.dir, "log"), "utf8");
    const from = Math.max(0, log.search(/ (ERROR|FATAL) |Exception/));
    return log.slice(from, from + COMPLAINT_CHARS);
  }

  #product(dir: string): Product {
    mkdirSync(join(dir, "state"));
    const config = join(dir, "tidemark.yaml");
    const { host, port } = this.#mysql;
    const pipeline = {
      name: "maxwell",
      tables: [`${DATABASE}.*`],
      format: "maxwell",
      sink: { type: "file", path: join(dir, "out.jsonl") },
      commit_log: { type: "file", dir: "state" },
    };
    const source = { host, port, ...cdcUser, start: "earliest" };
    writeFileSync(config, JSON.stringify({ source, pipelines: [pipeline] }));
    const bundle = join(dir, "tidemark.mjs");
    copyFileSync(builtBundle(undefined), bundle);
    return new Product({ bundle, config, dir });
  }
}
