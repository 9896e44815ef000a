/** A real MySQL with a user's connection to it, and readers of its binlog that end with the test. */
import { randomUUID } from "node:crypto";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import { CellState, type Image, type Operation, type Rows } from "../../src/core/rows.ts";
import type { BinlogEvent, BinlogReader, DumpStart } from "../../src/binlog/reader.ts";
import { MysqlServer } from "../../src/binlog/server.ts";
import { openReader, type ReaderName } from "../../src/binlog/open-reader.ts";
import type { ReaderOptions } from "../../src/binlog/pulled-reader.ts";
import type { Mysql } from "../../tools/services/interfaces.ts";
import { startMysql, type MysqlVersion } from "../../tools/services/services.ts";

export const versions: readonly MysqlVersion[] = ["mysql-8", "mysql-9"];

export type RowsEvent = Extract<BinlogEvent, { kind: "rows" }>;

/** Long enough for a loaded machine; a test that needs it all has failed. */
const PATIENCE_MS = 30_000;

export class SourceServer {
  readonly mysql: Mysql;
  readonly connection: { host: string; port: number; user: string; password: string };
  readonly server: MysqlServer;
  readonly #client: Connection;
  readonly #readerName: ReaderName;

  private constructor(mysql: Mysql, client: Connection, readerName: ReaderName) {
    this.mysql = mysql;
    this.#readerName = readerName;
    this.connection = addressOf(mysql);
    this.server = new MysqlServer(this.connection);
    this.#client = client;
  }

  static async start(
    version: MysqlVersion,
    args: readonly string[] = [],
    readerName: ReaderName = "native",
  ): Promise<SourceServer> {
    const mysql = await startMysql(version, { args });
    return new SourceServer(mysql, await SourceServer.#connect(mysql), readerName);
  }

  static async #connect(mysql: Mysql): Promise<Connection> {
    const client = await createConnection({
      ...addressOf(mysql),
      charset: "utf8mb4",
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      multipleStatements: true,
    });
    await client.query("SET time_zone = '+00:00', sql_mode = ''");
    return client;
  }

  /** A session of its own. */
  client(): Promise<Connection> {
    return SourceServer.#connect(this.mysql);
  }

  async run(...statements: string[]): Promise<void> {
    for (const sql of statements) await this.#client.query(sql);
  }

  async select(sql: string): Promise<Record<string, unknown>[]> {
    const [rows] = await this.#client.query<RowDataPacket[]>(sql);
    return rows;
  }

  /** The end of the binlog, as the start of a dump. */
  async now(): Promise<DumpStart & { kind: "position" }> {
    const { file, position } = await this.server.currentPosition();
    return { kind: "position", file, position };
  }

  reader(options: Partial<ReaderOptions> = {}): BinlogReader {
    return openReader(this.#readerName, {
      connection: this.connection,
      serverId: 4_000 + Math.floor(Math.random() * 1_000_000),
      replicaUuid: randomUUID(),
      wants: () => true,
      ...options,
    });
  }

  /** Events from `start` up to the first of which `isLast` is true. */
  async read(
    start: DumpStart,
    isLast: (event: BinlogEvent) => boolean,
    options: Partial<ReaderOptions> = {},
  ): Promise<BinlogEvent[]> {
    return collect(this.reader(options), start, isLast);
  }

  /** Events from `start` up to the present end of the binlog. */
  async readAll(start: DumpStart, options: Partial<ReaderOptions> = {}): Promise<BinlogEvent[]> {
    const end = await this.now();
    let file = "";
    const isLast = (event: BinlogEvent): boolean => {
      if (event.kind === "file") file = event.file;
      return file === end.file && event.kind !== "file" && event.nextPosition >= end.position;
    };
    return this.read(start, isLast, options);
  }

  /** The rows events that the statements cause. */
  async rowsOf(...statements: string[]): Promise<RowsEvent[]> {
    const start = await this.now();
    await this.run(...statements);
    return (await this.readAll(start)).filter(event => event.kind === "rows");
  }

  async stop(): Promise<void> {
    this.#client.destroy();
    await this.mysql.stop();
  }
}

function addressOf({ host, port, user, password }: Mysql): SourceServer["connection"] {
  return { host, port, user, password };
}

export async function collect(
  reader: BinlogReader,
  start: DumpStart,
  isLast: (event: BinlogEvent) => boolean,
): Promise<BinlogEvent[]> {
  const found: BinlogEvent[] = [];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for await (const batch of reader.events(start, signal)) {
    for (const event of batch) {
      found.push(event);
      if (isLast(event)) return found;
    }
  }
  throw new Error(`waited in vain; ${found.length} events came, the last one ${last(found)}`);
}

function last(events: readonly BinlogEvent[]): string {
  return JSON.stringify(events.at(-1));
}

/** The error with which reading ends. */
export async function failure(events: AsyncIterable<unknown>): Promise<Error> {
  try {
    await drain(events);
  } catch (thrown) {
    return thrown as Error;
  }
  throw new Error("reading ended without an error");
}

export async function drain(events: AsyncIterable<unknown>): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  while (!(await iterator.next()).done);
}

/** The cells of one row image: text, or null. */
export function cellsOf(rows: Rows, row: number, image: Image): (string | null)[] {
  return rows.table.columns.map((_, column) =>
    rows.state(row, image, column) === 2 ? rows.cell(row, image, column).toString("utf8") : null,
  );
}

/** Each image of each row as text: a column that was not logged is left out. */
export function imagesOf(rows: Rows): string[] {
  const isThere: Readonly<Record<Operation, readonly Image[]>> = {
    ...{ insert: ["after"], update: ["before", "after"], delete: ["before"], read: ["after"] },
  };
  const there = isThere[rows.operation];
  return Array.from({ length: rows.count }, (_, row) => row).flatMap(row =>
    there.map(image => {
      const cells = rows.table.columns.flatMap(({ name }, column) => {
        const state = rows.state(row, image, column);
        if (state === CellState.absent) return [];
        const text = state === CellState.null ? "NULL" : rows.cell(row, image, column).toString();
        return [`${name}=${text}`];
      });
      return [image, ...cells].join(" ");
    }),
  );
}

/** Every kind in order, for comparing streams at a glance. */
export function kinds(events: readonly BinlogEvent[]): string[] {
  return events.filter(event => event.kind !== "heartbeat").map(event => event.kind);
}
