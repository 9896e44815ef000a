/** A snapshot of the four tables into any destination, while a writer changes them and the program is killed. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RowDataPacket } from "mysql2/promise";
import type { Mysql } from "../../../tools/services/services.ts";
import { Product, builtBundle } from "../product.ts";
import { progressError } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import { Ledger } from "./ledger.ts";
import { HandoverOracle, type Faults, type Selected } from "./oracle.ts";
import { DATABASE, createTable, fillTable, tables } from "./tables.ts";
import { HandoverWriter } from "./writer.ts";

/** One message, tombstones aside. */
export interface Arrived {
  readonly id: string;
  readonly value: Buffer | string;
}

export interface CopyOptions {
  readonly name: string;
  readonly mysql: Mysql;
  /** In each table. */
  readonly rows: number;
  readonly batchRows: number;
  readonly transactionsPerSecond: number;
  readonly seed: number;
  /** In the place of host and port. */
  readonly source?: Readonly<Record<string, unknown>>;
  readonly pipeline: Readonly<Record<string, unknown>>;
  /** Changes of a row may be merged. */
  readonly merges?: boolean;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Gives what has arrived since the last time, the messages of a row in their order. */
  readonly read: (visit: (arrived: Arrived) => void) => Promise<void>;
}

const PATIENCE_MS = 180_000;
const LOOK_MS = 50;

export class CopyRun {
  readonly #options: CopyOptions;
  readonly #dir = mkdtempSync(join(tmpdir(), "tidemark-copy-"));
  readonly ledger: Ledger;
  readonly oracle: HandoverOracle;
  readonly writer: HandoverWriter;
  readonly product: Product;

  constructor(options: CopyOptions) {
    const { mysql, rows, seed, transactionsPerSecond, environment } = options;
    this.#options = options;
    this.ledger = new Ledger(tables.length, rows);
    this.oracle = new HandoverOracle(this.ledger, tables.length, options.merges);
    this.writer = new HandoverWriter({ mysql, seed, transactionsPerSecond, ledger: this.ledger });
    const config = join(this.#dir, "tidemark.yaml");
    writeFileSync(config, JSON.stringify(this.#config(), null, 2));
    // A copy: a build in the middle of the check must not change what is tested.
    const bundle = join(this.#dir, "tidemark.mjs");
    copyFileSync(builtBundle(undefined), bundle);
    this.product = new Product({ bundle, config, dir: this.#dir, environment });
  }

  #config(): unknown {
    const { name, mysql, batchRows, source, pipeline } = this.#options;
    return {
      source: {
        ...(source ?? { host: mysql.host, port: mysql.port }),
        ...cdcUser,
        snapshot: { mode: "initial", batch_rows: batchRows },
      },
      pipelines: [{ name, tables: [`${DATABASE}.*`], ...pipeline }],
      log: { format: "text" },
    };
  }

  /** A file of the program's own folder. */
  path(name: string): string {
    return join(this.#dir, name);
  }

  get log(): string {
    return readFileSync(this.product.logFile, "utf8");
  }

  get isCopied(): boolean {
    return this.product.logTail(20).includes("tables_left=0");
  }

  async prepare(): Promise<void> {
    const { mysql, rows } = this.#options;
    await withConnection(mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
      await connection.query(`CREATE DATABASE ${DATABASE}`);
      await connection.query(`GRANT SELECT ON ${DATABASE}.* TO '${cdcUser.user}'@'%'`);
      for (const [index, table] of tables.entries()) {
        await connection.query(createTable(table));
        await connection.query(fillTable(table, rows, this.ledger.firstVersion(index)));
      }
    });
  }

  /** All that is written lies behind the place where the stream began. */
  async start(): Promise<void> {
    this.product.start();
    await this.until(() => this.oracle.reads > 0, "the first row of the snapshot");
    this.writer.start();
  }

  async until(
    condition: () => boolean | Promise<boolean>,
    what: string,
    intervalMs = LOOK_MS,
  ): Promise<void> {
    await until(
      async () => {
        if (this.product.ended) throw new Error(`Tidemark ended:\n${this.product.logTail(8)}`);
        await this.read();
        return condition();
      },
      { what, timeoutMs: PATIENCE_MS, intervalMs },
    );
  }

  async read(): Promise<void> {
    await this.#options.read(({ id, value }) => {
      if (value.length === 0) return;
      const { op, before, after, source } = JSON.parse(value.toString()) as Envelope;
      const table = tables.findIndex(({ name }) => name === source.table);
      const { slot = NaN, version = NaN } = (op === "d" ? before : after) ?? {};
      this.oracle.observe({ id, table, slot, version, kind: KINDS[op] });
    });
  }

  /** When what arrived leads to the tables, or does not in time. */
  async judged(): Promise<Faults & { readonly lost_rows: number }> {
    const { oracle, writer } = this;
    await writer.stop();
    const selected = await this.#selected();
    await this.until(() => oracle.isWhole(selected), "everything to arrive", 500).catch(
      (error: unknown) => progressError("copy", error), // The faults say what is lacking.
    );
    await this.product.terminate();
    await this.read();
    const faults = oracle.faults(selected);
    return { ...faults, lost_rows: faults.lost - oracle.missing };
  }

  /** By table: slot → version. */
  #selected(): Promise<Selected> {
    return withConnection(this.#options.mysql, async connection => {
      const selected: Map<number, number>[] = [];
      for (const { name } of tables) {
        const [rows] = await connection.query<RowDataPacket[]>({
          sql: `SELECT slot, version FROM ${DATABASE}.${name}`,
          rowsAsArray: true,
        });
        selected.push(new Map(rows.map(row => [Number(row[0]), Number(row[1])])));
      }
      return selected;
    });
  }

  async close(): Promise<void> {
    await this.writer.stop().catch(() => undefined);
    await this.product.dispose();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

interface Envelope {
  readonly op: "r" | "c" | "u" | "d";
  readonly before: RowImage | null;
  readonly after: RowImage | null;
  readonly source: { readonly table: string };
}

interface RowImage {
  readonly slot: number;
  readonly version: number;
}

const KINDS = { r: "read", c: "upsert", u: "upsert", d: "delete" } as const;
