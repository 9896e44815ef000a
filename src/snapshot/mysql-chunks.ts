/**
 * Chunks from a MySQL server, over one connection that is kept for as long as it lasts.
 *
 * What a SELECT may have seen is what may be seen afterwards. The server may be a replica of the one that is
 * streamed from: then it is waited for until it has what the stream has, and must not have anything else.
 */
import type { Connection } from "mysql2/promise";
import { mysqlError } from "../binlog/mysql-errors.ts";
import { seenGtids } from "../binlog/seen-gtids.ts";
import { asker, text, type Ask } from "../binlog/statement-answers.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { partsOf, type Rows } from "../core/rows.ts";
import type { SnapshotKey } from "../core/snapshot-state.ts";
import {
  KeyChanged,
  KeyMissing,
  type Batch,
  type Chunk,
  type ChunkRequest,
  type ChunkSource,
  type StreamEnd,
} from "./chunk-source.ts";
import type { RowColumn } from "./row-columns.ts";
import { keyLiteral, rowKey, type RowKey } from "./row-key.ts";
import { readRows, ROW_SESSION, TableChanged } from "./row-reader.ts";
import { selectStatement, type ChunkQuery } from "./row-select.ts";
import { describeTable, type RowTable } from "./row-table.ts";

export interface MysqlChunksOptions {
  /** The signal ends the connection. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /** Asks the server that is streamed from. */
  readonly end: () => Promise<StreamEnd>;
  /** If that is not the server that rows are read from. */
  readonly replica?: ReplicaQuestions | undefined;
  readonly rowBytesMax: number;
  /** Condition in SQL of those rows that are wanted, by table. */
  readonly where?: Readonly<Record<string, string>> | undefined;
  readonly clock: Clock;
}

export interface ReplicaQuestions {
  /** @throws TidemarkError if it is none. */
  check(): Promise<void>;
  /** It did not get these in so many seconds. @throws TidemarkError if it does not try to. */
  late(gtids: string, waitedS: number): Promise<void>;
  /** It has these. @throws TidemarkError if the source never had them. */
  known(gtids: string): Promise<void>;
  /** It shows no such table. @throws TidemarkError if the source does. */
  gone(table: string): Promise<void>;
  /** Gives up the questions that are under way. */
  close(): void;
}

interface Session {
  readonly connection: Connection;
  readonly ask: Ask;
  readonly closing: AbortController;
  /** Described once, until something may have changed. */
  readonly tables: Map<string, RowTable>;
}

/** Short, so that a stop does not wait for the answer. */
const CATCH_UP_S = 1;
/** A replica may lag by design. */
const LATE_S = 60;

export class MysqlChunks implements ChunkSource {
  readonly #options: MysqlChunksOptions;
  #session: Promise<Session> | undefined;

  constructor(options: MysqlChunksOptions) {
    this.#options = options;
  }

  async end(): Promise<StreamEnd> {
    await this.#options.replica?.check();
    return this.#options.end();
  }

  async caughtUp(gtids: string, signal: AbortSignal): Promise<void> {
    if (gtids === "") return;
    for (let waitedS = CATCH_UP_S; ; waitedS += CATCH_UP_S) {
      const [row] = await this.#ask("what it has executed", signal, [
        `SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ${CATCH_UP_S}) AS late`,
        [gtids],
      ]);
      if (Number(row?.["late"]) === 0) return;
      signal.throwIfAborted();
      if (waitedS % LATE_S === 0) await this.#options.replica?.late(gtids, waitedS);
    }
  }

  async seenBeside(gtids: string, signal: AbortSignal): Promise<string> {
    const seen = await this.#seen(signal);
    return this.#subtract(seen, gtids, signal);
  }

  async stillThere(gtids: string, signal: AbortSignal): Promise<string> {
    const gone = await this.#subtract(gtids, await this.#seen(signal), signal);
    const still = await this.#subtract(gtids, gone, signal);
    if (still !== "") await this.#options.replica?.known(still);
    return still;
  }

  #seen(signal: AbortSignal): Promise<string> {
    return seenGtids((sql, values = []) =>
      this.#ask("what it has executed", signal, [sql, values]),
    );
  }

  async #subtract(set: string, taken: string, signal: AbortSignal): Promise<string> {
    const [row] = await this.#ask("a comparison of GTID sets", signal, [
      "SELECT GTID_SUBTRACT(?, ?) AS rest",
      [set, taken],
    ]);
    return compact(text(row, "rest"));
  }

  async read(request: ChunkRequest, signal: AbortSignal): Promise<Chunk | undefined> {
    try {
      return await this.#read(request, signal);
    } catch (thrown) {
      if (!(thrown instanceof TableChanged)) throw thrown;
    }
    const session = await this.#open(signal);
    session.tables.clear();
    try {
      return await this.#read(request, signal);
    } catch (thrown) {
      if (!(thrown instanceof TableChanged)) throw thrown;
      const message = `Table ${request.table} is being changed.`;
      throw new TidemarkError("SOURCE_UNAVAILABLE", message, { cause: thrown });
    }
  }

  async #read(request: ChunkRequest, signal: AbortSignal): Promise<Chunk | undefined> {
    const { clock, rowBytesMax } = this.#options;
    const { limit } = request;
    const { connection, ask, tables } = await this.#open(signal);
    const doing = `the rows of ${request.table}`;
    const table = tables.get(request.table) ?? (await described(ask, request.table, doing));
    if (table === undefined) {
      await this.#options.replica?.gone(request.table);
      return undefined;
    }
    if (table.index === undefined) throw new KeyMissing(request.table);
    tables.set(request.table, table);
    const after = request.after === null ? undefined : keyOf(table, request.after);
    const range = request.until === null ? [] : [upTo(table, keyOf(table, request.until))];
    const read = (query: ChunkQuery): AsyncGenerator<Rows> => {
      const statement = selectStatement(table, query);
      return readRows({ connection, clock, rowBytesMax }, { table, statement }, signal);
    };
    const keyAt = (rows: Rows): SnapshotKey => named(table, rowKey(table, rows, rows.count - 1));
    const condition = this.#options.where?.[request.table];
    const batches: Batch[] = [];
    let count = 0;
    if (condition === undefined) {
      for await (const rows of read({ after, limit, where: range })) {
        batches.push({ rows, key: keyAt(rows) });
        count += rows.count;
      }
      return { shape: table.shape, batches, isLast: count < limit };
    }
    // As many rows are looked at as otherwise: where few are wanted, one SELECT would go through all of the table.
    let end: SnapshotKey | undefined;
    const last = { after, limit: 1, offset: limit - 1, where: range };
    for await (const rows of read(last)) end = keyAt(rows);
    const upToEnd = end === undefined ? range : [upTo(table, keyOf(table, end))];
    for await (const rows of read({ after, where: [...upToEnd, condition] })) {
      batches.push({ rows, key: keyAt(rows) });
    }
    return { shape: table.shape, batches, isLast: end === undefined, end };
  }

  close(): void {
    this.#options.replica?.close();
    const session = this.#session;
    this.#session = undefined;
    void session?.then(
      ({ closing }) => closing.abort(),
      () => undefined,
    );
  }

  async #ask(
    doing: string,
    signal: AbortSignal,
    [sql, values]: readonly [string, readonly string[]],
  ): ReturnType<Ask> {
    const { ask } = await this.#open(signal);
    try {
      return await ask(sql, values);
    } catch (thrown) {
      throw mysqlError(thrown, doing);
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    this.#session ??= this.#connect(signal);
    try {
      return await this.#session;
    } catch (thrown) {
      this.#session = undefined;
      throw mysqlError(thrown, "existing rows");
    }
  }

  async #connect(signal: AbortSignal): Promise<Session> {
    const closing = new AbortController();
    const connection = await this.#options.connect(AbortSignal.any([signal, closing.signal]));
    const ask = asker(connection);
    await ask(ROW_SESSION);
    return { connection, ask, closing, tables: new Map() };
  }
}

async function described(ask: Ask, id: string, doing: string): Promise<RowTable | undefined> {
  const [database, name] = partsOf(id);
  try {
    return await describeTable(ask, { database, name }, false);
  } catch (thrown) {
    throw mysqlError(thrown, doing);
  }
}

function keyNames({ shape: { columns, primaryKey } }: RowTable): readonly string[] {
  return primaryKey.map(index => columns[index]?.name ?? "");
}

function named(table: RowTable, key: RowKey): SnapshotKey {
  return Object.fromEntries(keyNames(table).map((name, i) => [name, key[i] ?? ""]));
}

/** @throws KeyChanged if it is of other columns. */
function keyOf(table: RowTable, key: SnapshotKey): RowKey {
  const names = keyNames(table);
  if (names.length !== Object.keys(key).length) throw new KeyChanged();
  return names.map(name => {
    const value = key[name];
    if (value === undefined) throw new KeyChanged();
    return value;
  });
}

/** The row with this key, and those in front of it. */
function upTo({ shape, columns }: RowTable, key: RowKey): string {
  const parts = shape.primaryKey.map(index => columns[index] as RowColumn);
  const values = parts.map((column, i) => keyLiteral(column, key[i] ?? ""));
  const last = parts.length - 1;
  const ranges = parts.map((column, i) => {
    const same = parts.slice(0, i).map((before, j) => `${nameOf(before)} = ${values[j]}`);
    return `(${[...same, `${nameOf(column)} ${i === last ? "<=" : "<"} ${values[i]}`].join(" AND ")})`;
  });
  return ranges.join(" OR ");
}

function nameOf({ column }: RowColumn): string {
  return `t.\`${column.name.replaceAll("`", "``")}\``;
}

function compact(gtids: string): string {
  return gtids.replace(/\s/g, "");
}
