/**
 * Rows of a table from a connection to MySQL, a batch at a time.
 *
 *   prepare the SELECT ─▶ execute it ─▶ columns ─▶ row, row, row, … ─▶ batches
 *
 * mysql2 would make an object of each row, and text of each value. So the statement and its answer are ours
 * (row-socket.ts): a prepared one answers with numbers as they are stored, and most of a row is copied as it
 * stands.
 */
import { mysqlError } from "../binlog/mysql-errors.ts";
import { quoted } from "../binlog/statement-answers.ts";
import { ByteCursor } from "../binlog/byte-cursor.ts";
import { TidemarkError } from "../core/errors.ts";
import { tableId } from "../core/rows.ts";
import type { StoredRows } from "../core/stored-rows.ts";
import { RowBatch } from "./row-batch.ts";
import { RowSocket, rowTooLarge, type RowSocketOptions } from "./row-socket.ts";
import type { RowTable } from "./row-table.ts";

/**
 * What a connection has to be told before rows are read: moments in UTC, dates as they are stored, text in the
 * character set of its column, and patience with who reads an answer slowly.
 */
export const ROW_SESSION =
  "SET SESSION time_zone = '+00:00', sql_mode = '', character_set_results = NULL, " +
  "net_write_timeout = 31536000, wait_timeout = 31536000 " +
  "/*!50700 , max_execution_time = 0 */ /*M!100100 , max_statement_time = 0 */";

/** The table is not, or no longer, what it was described as: describe it again. */
export class TableChanged extends Error {
  override readonly name = "TableChanged";
}

const Command = { prepare: 0x16, execute: 0x17, close: 0x19 } as const;
const EOF = 0xfe;
const EOF_SIZE_MAX = 9;
/** Flags, digits and filling stand behind the type of a column; in front of it, more on some servers. */
const TYPE_FROM_END = 6;

export interface RowQuery {
  readonly table: RowTable;
  readonly statement: string;
}

/**
 * The rows of the answer in their order. Who stops before its end, ends the connection.
 *
 * @throws TableChanged, TidemarkError
 */
export async function* readRows(
  options: RowSocketOptions,
  { table, statement }: RowQuery,
  signal: AbortSignal,
): AsyncGenerator<StoredRows> {
  const socket = new RowSocket(options, signal);
  let isAnswered = false;
  try {
    const id = await prepare(socket, statement);
    await execute(socket, id, table);
    const batch = new RowBatch(table);
    for (;;) {
      if (!socket.take()) {
        await socket.more();
        continue;
      }
      const { bytes, start, end } = socket;
      if (bytes[start] === EOF && end - start < EOF_SIZE_MAX) break;
      if (end - start > options.rowBytesMax) throw rowTooLarge(options.rowBytesMax);
      batch.add(bytes, start, end);
      if (batch.isFull) yield batch.take();
    }
    socket.command(Command.close, id);
    isAnswered = true;
    if (!batch.isEmpty) yield batch.take();
  } catch (thrown) {
    signal.throwIfAborted();
    isAnswered ||= isOfServer(thrown);
    throw errorOf(thrown, table);
  } finally {
    if (isAnswered) socket.giveBack();
    else socket.destroy();
  }
}

/** @returns the number of the statement, as commands have it. */
async function prepare(socket: RowSocket, statement: string): Promise<Buffer> {
  socket.command(Command.prepare, Buffer.from(statement));
  await socket.next();
  const { bytes, start } = socket;
  const id = Buffer.from(bytes.subarray(start + 1, start + 5));
  const columns = bytes.readUInt16LE(start + 5);
  for (let i = 0; i < columns + 1; i += 1) await socket.next(); // The last one ends the list.
  return id;
}

/** Reads the answer up to its first row. */
async function execute(socket: RowSocket, id: Buffer, { shape, columns }: RowTable): Promise<void> {
  socket.command(Command.execute, Buffer.concat([id, Buffer.of(0, 1, 0, 0, 0)]));
  await socket.next();
  const count = new ByteCursor(socket.bytes, socket.start, socket.end).packedUint();
  const types: number[] = [];
  for (let i = 0; i < count; i += 1) {
    await socket.next();
    types.push(socket.bytes.readUInt8(socket.end - TYPE_FROM_END));
  }
  await socket.next(); // Ends the list.
  const isAsDescribed =
    count === columns.length && columns.every(({ comesAs }, i) => comesAs(types[i] as number));
  if (!isAsDescribed) throw new TableChanged(`table ${tableId(shape)} was changed`);
}

const NO_SUCH_TABLE = 1146;
const NO_SUCH_DATABASE = 1049;
const NO_SUCH_COLUMN = 1054;
const NO_SUCH_INDEX = 1176;
const OTHER_DEFINITION = 1412;
const CHANGES: ReadonlySet<unknown> = new Set([
  ...[NO_SUCH_TABLE, NO_SUCH_DATABASE, NO_SUCH_COLUMN, NO_SUCH_INDEX, OTHER_DEFINITION],
]);
/** Of the table, or of a column. */
const DENIED: ReadonlySet<unknown> = new Set([1142, 1143]);

/** What the server says in place of an answer; it then waits for the next command. Node's numbers are below 0. */
function isOfServer(thrown: unknown): thrown is Error & { readonly errno: number } {
  return thrown instanceof Error && Number((thrown as { errno?: unknown }).errno) > 0;
}

function errorOf(thrown: unknown, { shape }: RowTable): unknown {
  if (thrown instanceof TidemarkError || thrown instanceof TableChanged) return thrown;
  const name = tableId(shape);
  if (isOfServer(thrown) && CHANGES.has(thrown.errno)) {
    return new TableChanged(`table ${name} was changed: ${thrown.message}`, { cause: thrown });
  }
  if (isOfServer(thrown) && DENIED.has(thrown.errno)) {
    return new TidemarkError(
      "ACCESS_DENIED",
      `MySQL refuses the rows of ${name}: ${thrown.message}. ` +
        `Run GRANT SELECT ON ${quoted(shape.database)}.${quoted(shape.name)} TO the user.`,
      { cause: thrown },
    );
  }
  return mysqlError(thrown, `the rows of ${name}`);
}
