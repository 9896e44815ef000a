/**
 * All rows of a table as they are at one place of the binlog, for a table whose rows have no key.
 *
 *   one connection      LOCK TABLES t READ ──────────────────── where does the binlog end? ── UNLOCK TABLES
 *   the other one            START TRANSACTION WITH CONSISTENT SNAPSHOT ── SELECT: first rows ──── the others …
 *
 * Who changed the table has to be through with its commit before the lock is given, and nobody changes it before
 * the unlocking: so all changes in front of that end are in the rows, and none behind it.
 */
import type { Connection } from "mysql2/promise";
import { mysqlError } from "../binlog/mysql-errors.ts";
import { asker, errnoOf, firstKnown, quoted, text, type Ask } from "../binlog/statement-answers.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { unlessAborted } from "../core/retry.ts";
import { partsOf, type Rows } from "../core/rows.ts";
import type { LockedRows, LockPlace, TableLocks } from "./chunk-source.ts";
import { readRows, ROW_SESSION, TableChanged } from "./row-reader.ts";
import { selectStatement } from "./row-select.ts";
import { describeTable } from "./row-table.ts";

export interface MysqlLocksOptions {
  /** To the server that is streamed from. The signal ends the connection. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  readonly rowBytesMax: number;
  /** Condition in SQL of those rows that are wanted, by table. */
  readonly where?: Readonly<Record<string, string>> | undefined;
  readonly clock: Clock;
}

/** While a lock is waited for, everybody who wants to change the table waits behind. */
const LOCK_WAIT_S = 1;
/** A lock whose owner cannot be heard any more ends. */
const SILENCE_S = 10;
const LOCKED_MAX_MS = 5_000;
const LOCK_SESSION = `SET SESSION lock_wait_timeout = ${LOCK_WAIT_S}, wait_timeout = ${SILENCE_S}`;
/** With another isolation, each statement would see what was committed in front of it. */
const SNAPSHOT_SESSION = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

const LOCK_WAIT_TIMEOUT = 1205;
const DATABASE_DENIED = 1044;
const NO_SUCH_TABLE = 1146;
const NO_SUCH_DATABASE = 1049;

export class MysqlLocks implements TableLocks {
  readonly #options: MysqlLocksOptions;

  constructor(options: MysqlLocksOptions) {
    this.#options = options;
  }

  async open(
    table: string,
    locked: (place: LockPlace) => void,
    signal: AbortSignal,
  ): Promise<LockedRows | "busy" | "gone"> {
    const closing = new AbortController();
    const ended = AbortSignal.any([signal, closing.signal]);
    const close = (): void => closing.abort();
    try {
      const attempt = () => this.#open(table, { locked, closing, ended });
      const found = await unlessAborted(attempt, ended);
      if (typeof found === "string") close();
      return typeof found === "string" ? found : { batches: found, close };
    } catch (thrown) {
      close();
      if (!(thrown instanceof TableChanged)) throw mysqlError(thrown, `the rows of ${table}`);
      const message = `Table ${table} is being changed.`;
      throw new TidemarkError("SOURCE_UNAVAILABLE", message, { cause: thrown });
    }
  }

  async #open(
    table: string,
    { locked, closing, ended }: LockAttempt,
  ): Promise<AsyncIterable<Rows> | "busy" | "gone"> {
    const { connect, clock } = this.#options;
    const [holder, reader] = await Promise.all([connect(ended), connect(ended)]);
    const [ask, askReader] = [asker(holder), asker(reader)];
    await ask(LOCK_SESSION);
    await askReader(ROW_SESSION);
    await askReader(SNAPSHOT_SESSION);
    const refusal = await lock(ask, table);
    if (refusal !== undefined) return refusal;
    const cancel = clock.after(LOCKED_MAX_MS, () => closing.abort(tooSlow(table)));
    try {
      const serverUuid = await uuidOf(ask);
      if ((await uuidOf(askReader)) !== serverUuid) throw severalServers();
      await askReader("START TRANSACTION WITH CONSISTENT SNAPSHOT");
      const rows = await this.#rowsOf({ connection: reader, ask: askReader }, table, ended);
      // From here on its shape cannot change either: the transaction has it in use.
      const first = await rows.next();
      const [end] = await firstKnown(ask, ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"]);
      locked({ serverUuid, file: text(end, "File"), position: Number(end?.["Position"]) });
      await ask("UNLOCK TABLES");
      return joined(first, rows);
    } finally {
      cancel();
      holder.destroy();
    }
  }

  async #rowsOf(
    { connection, ask }: { readonly connection: Connection; readonly ask: Ask },
    id: string,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<Rows>> {
    const { clock, rowBytesMax } = this.#options;
    const [database, name] = partsOf(id);
    const table = await describeTable(ask, { database, name }, false);
    if (table === undefined) throw new TableChanged(`table ${id} is gone`);
    const [kind] = await ask(
      "SELECT ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
      [database, name],
    );
    if (text(kind, "engine") !== "InnoDB") throw withoutSnapshot(id, text(kind, "engine"));
    const condition = this.#options.where?.[id];
    const statement = selectStatement(table, condition === undefined ? {} : { where: [condition] });
    return readRows({ connection, clock, rowBytesMax }, { table, statement }, signal);
  }
}

interface LockAttempt {
  readonly locked: (place: LockPlace) => void;
  readonly closing: AbortController;
  readonly ended: AbortSignal;
}

async function lock(ask: Ask, id: string): Promise<"busy" | "gone" | undefined> {
  const [database, name] = partsOf(id);
  try {
    await ask(`LOCK TABLES ${quoted(database)}.${quoted(name)} READ`);
    return undefined;
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === LOCK_WAIT_TIMEOUT) return "busy";
    if (errno === DATABASE_DENIED) throw notAllowed(database, thrown);
    if (errno === NO_SUCH_TABLE || errno === NO_SUCH_DATABASE) return "gone";
    throw thrown;
  }
}

/** MariaDB has none. */
async function uuidOf(ask: Ask): Promise<string> {
  const [row] = await ask("SHOW GLOBAL VARIABLES LIKE 'server_uuid'");
  if (row !== undefined) return text(row, "Value");
  const [id] = await ask("SELECT @@GLOBAL.server_id AS id");
  return `server_id-${text(id, "id")}`;
}

async function* joined(
  first: IteratorResult<Rows, unknown>,
  rows: AsyncGenerator<Rows>,
): AsyncGenerator<Rows> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* rows;
  } finally {
    await rows.return(undefined);
  }
}

function notAllowed(database: string, cause: unknown): TidemarkError {
  return new TidemarkError(
    "ACCESS_DENIED",
    `MySQL refuses to lock a table of ${database}: run GRANT LOCK TABLES ON ${quoted(database)}.* TO the user.`,
    { cause },
  );
}

function tooSlow(table: string): TidemarkError {
  const message = `The first rows of ${table} took too long while it was locked.`;
  return new TidemarkError("SOURCE_UNAVAILABLE", message);
}

function severalServers(): TidemarkError {
  return new TidemarkError(
    "SOURCE_UNAVAILABLE",
    "Two connections to MySQL lead to two servers: a table cannot be locked on one and read on the other.",
  );
}

function withoutSnapshot(table: string, engine: string): TidemarkError {
  return new TidemarkError(
    "CONFIG_INVALID",
    `The existing rows of ${table} cannot be copied: its engine ${engine} gives no consistent read. Give it a ` +
      `primary key, or ENGINE=InnoDB, or leave it out: add "!${table}" to source.snapshot.tables.`,
  );
}
