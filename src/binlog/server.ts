/**
 * What is asked of MySQL by statements: who it is, whether its binlog can be used, where it stands.
 *
 * Every call has a connection of its own and closes it: the questions are rare, and a connection kept
 * for them would be cut by wait_timeout.
 */
import { randomInt, randomUUID } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { isMariadbGtid } from "../core/gtid-set.ts";
import type { MysqlConnectionOptions } from "./connection.ts";
import { mysqlError } from "./mysql-errors.ts";
import { errorOf, good, type Finding } from "../core/finding.ts";
import {
  granteeOf,
  replicaFinding,
  settingFindings,
  type Replica,
  type ServerSettings,
  type SourceNeeds,
} from "./server-settings.ts";
import type { ReadTable, ReadTables } from "./definitions.ts";
import type { BinlogEvent, DumpStart, TableFilter } from "./reader.ts";
import { mariadbGtids, mariadbSetAt, mariadbSetBefore, subtractMariadb } from "./mariadb-gtids.ts";
import { openReader } from "./open-reader.ts";
import type { ReaderOptions } from "./pulled-reader.ts";
import { seenGtids } from "./seen-gtids.ts";
import {
  asker,
  errnoOf,
  firstKnown,
  quoted,
  text,
  type Ask,
  type Row,
} from "./statement-answers.ts";
import { connectForStatements } from "./statement-connection.ts";
import { listTables, readTables, type TableId } from "./table-reading.ts";

export interface ServerIdentity {
  /** MariaDB has none: there its server_id stands for it. */
  readonly serverUuid: string;
  readonly serverId: number;
  readonly isMariaDb: boolean;
  readonly version: string;
  readonly gtidMode: boolean;
  /** Names of tables are lower case, however a statement writes them (`lower_case_table_names=1`). */
  readonly lowerCaseNames: boolean;
}

/** A place in the binlog as the server tells it. */
export interface ServerPosition {
  readonly file: string;
  readonly position: number;
  /** What was executed up to there; "" without GTIDs. */
  readonly gtidSet: string;
}

export interface SourceTable {
  readonly database: string;
  readonly name: string;
  readonly hasPrimaryKey: boolean;
}

export interface SourceColumn {
  readonly database: string;
  readonly table: string;
  readonly name: string;
}

const TIMEOUT_MS = 15_000;
/** Where the first event of a binlog file begins. */
const FILE_START = 4;
const LOOK_SERVER_ID = 2 ** 32 - 2;
const SCAN_SERVER_ID_MIN = 2 ** 31;
const TABLES_A_QUESTION = 100;
const DATABASE_DENIED = 1044;
/** ER_ERROR_WHEN_EXECUTING_COMMAND, of which a wrong offset is the only cause once the file is there. */
const WRONG_OFFSET = 1220;

export class MysqlServer {
  readonly #connection: MysqlConnectionOptions;
  readonly #timeoutMs: number;
  /** One for each question that is under way. */
  readonly #asking = new Set<AbortController>();

  /** @param timeoutMs for each question, the connecting included. */
  constructor(connection: MysqlConnectionOptions, timeoutMs = TIMEOUT_MS) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  async inspect(): Promise<ServerIdentity> {
    return this.#ask("the server's identity", async ask => {
      const variables = await settings(ask);
      const version = variables.get("version") ?? "";
      const isMariaDb = isMariadbVersion(version);
      return {
        serverUuid: variables.get("server_uuid") ?? `server_id-${variables.get("server_id")}`,
        serverId: Number(variables.get("server_id") ?? 0),
        isMariaDb,
        version,
        gtidMode: isMariaDb || variables.get("gtid_mode") === "ON",
        lowerCaseNames: variables.get("lower_case_table_names") === "1",
      };
    });
  }

  /** Whether the server's settings and the user's privileges let its binlog be read. */
  async settingFindings(needs: SourceNeeds): Promise<readonly Finding[]> {
    return this.#ask("its settings", async ask => {
      const { host, port } = this.#connection;
      const known = await settings(ask);
      const replicas = await unlessDenied(() => registeredReplicas(ask), []);
      const channels = await unlessDenied(() => replication(ask), []);
      const isReplica = channels.length > 0;
      return [
        good("mysql.connection", `MySQL ${known.get("version") ?? ""} answers at ${host}:${port}.`),
        ...settingFindings(known, await grants(ask), {
          ...needs,
          isReplica: isReplica || needs.isReplica === true,
        }),
        replicaFinding(replicas, needs.serverIds),
      ];
    });
  }

  /** @throws TidemarkError that names everything wrong with these at once, with what mends it. */
  async preflight(): Promise<void> {
    const error = errorOf(await this.settingFindings({ serverIds: [], needsGtids: undefined }));
    if (error !== undefined) throw error;
  }

  /** The user as the server knows it, `cdc`@`%`. */
  async grantee(): Promise<string> {
    return this.#ask("its user", async ask => granteeOf(await grants(ask)));
  }

  /** Whether a dump under this uuid is under way; false where the user may not see that. */
  async isDumping(replicaUuid: string): Promise<boolean> {
    return this.#ask("its threads", ask =>
      unlessDenied(async () => {
        const rows = await ask(
          `SELECT 1 FROM performance_schema.user_variables_by_thread v
           JOIN performance_schema.threads t USING (THREAD_ID)
           WHERE t.PROCESSLIST_COMMAND LIKE 'Binlog Dump%'
             AND v.VARIABLE_NAME IN ('replica_uuid', 'slave_uuid') AND v.VARIABLE_VALUE = ?`,
          [replicaUuid],
        );
        return rows.length > 0;
      }, false),
    );
  }

  /** The end of the binlog. */
  async currentPosition(): Promise<ServerPosition> {
    return this.#ask("the binlog's position", async ask => {
      const rows = await firstKnown(ask, ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"]);
      const [row] = rows;
      if (!row) throw noBinlog();
      const file = text(row, "File");
      const position = Number(row["Position"]);
      const isToldHere = row["Executed_Gtid_Set"] !== undefined;
      const gtidSet = isToldHere
        ? text(row, "Executed_Gtid_Set")
        : await mariadbSetAt(ask, file, position);
      return { file, position, gtidSet: compact(gtidSet) };
    });
  }

  /** The start of the oldest file that is still there. */
  async earliestPosition(): Promise<ServerPosition> {
    return this.#ask("the binlog's files", async ask => {
      const variables = await settings(ask);
      const [oldest] = await ask("SHOW BINARY LOGS");
      if (!oldest) throw noBinlog();
      const file = text(oldest, "Log_name");
      const gtidSet = variables.get("gtid_purged") ?? (await mariadbSetBefore(ask, file));
      return { file, position: FILE_START, gtidSet: compact(gtidSet) };
    });
  }

  /** Its binlog files, oldest first, and after how many seconds it removes one by itself. */
  async binlogFiles(): Promise<{
    readonly files: readonly { readonly name: string; readonly bytes: number }[];
    readonly expireS: number;
  }> {
    return this.#ask("the binlog's files", async ask => {
      const variables = new Map(
        (await ask("SHOW GLOBAL VARIABLES LIKE '%expire_logs%'")).map(row => [
          text(row, "Variable_name"),
          text(row, "Value"),
        ]),
      );
      const files = (await ask("SHOW BINARY LOGS")).map(row => ({
        name: text(row, "Log_name"),
        bytes: Number(row["File_size"]),
      }));
      return { files, expireS: expirySeconds(variables) };
    });
  }

  async hasFile(file: string): Promise<boolean> {
    return (await this.fileSize(file)) !== undefined;
  }

  /** Undefined if there is no such file, or no longer. */
  async fileSize(file: string): Promise<number | undefined> {
    return this.#ask("the binlog's files", async ask => {
      const row = (await ask("SHOW BINARY LOGS")).find(found => text(found, "Log_name") === file);
      return row && Number(row["File_size"]);
    });
  }

  /** The type of the event that begins at this offset of a file; undefined if none does. */
  async eventAt(file: string, position: number): Promise<string | undefined> {
    return this.#ask("the binlog's events", async ask => {
      try {
        // The server checks the offset before it reads. Its parser takes no quoted number.
        const sql = `SHOW BINLOG EVENTS IN ? FROM ${Math.trunc(position)} LIMIT 1`;
        const [row] = await ask(sql, [file]);
        return Number(row?.["Pos"]) === position ? text(row, "Event_type") : undefined;
      } catch (thrown) {
        if (errnoOf(thrown) === WRONG_OFFSET) return undefined;
        throw thrown;
      }
    });
  }

  /** What the server has executed, and what of it is no longer in its binlog. */
  async gtids(): Promise<{ readonly executed: string; readonly purged: string }> {
    return this.#ask("its GTIDs", async ask => {
      const [about] = await ask("SELECT VERSION() AS version");
      if (isMariadbVersion(text(about, "version"))) {
        const [oldest] = await ask("SHOW BINARY LOGS");
        if (!oldest) throw noBinlog();
        return mariadbGtids(ask, text(oldest, "Log_name"));
      }
      const [row] = await ask(
        "SELECT @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged",
      );
      return { executed: compact(text(row, "executed")), purged: compact(text(row, "purged")) };
    });
  }

  /** Those that may be seen by now, also while their commit is under way. */
  async seenGtids(): Promise<string> {
    return this.#ask("its GTIDs", seenGtids);
  }

  /**
   * Whether it may still get these transactions from another server; undefined if our user may not ask.
   * It waits for them in its relay log, or for a server that it is to replicate from.
   */
  async awaitsGtids(missing: string): Promise<boolean | undefined> {
    const channels = await this.#ask("its replication", ask =>
      unlessDenied(() => replication(ask), undefined),
    );
    for (const { receives, applies, retrieved } of channels ?? []) {
      if (receives) return true;
      if (!applies || isMariadbGtid(missing)) continue;
      if ((await this.subtractGtids(missing, retrieved)) === "") return true;
    }
    return channels && false;
  }

  /** Whether it gets transactions from another server and executes them; undefined if our user may not ask. */
  async replicates(): Promise<boolean | undefined> {
    const channels = await this.#ask("its replication", ask =>
      unlessDenied(() => replication(ask), undefined),
    );
    return channels?.some(({ receives, applies }) => receives && applies);
  }

  /** The transactions of `set` that are not in `taken`. */
  async subtractGtids(set: string, taken: string): Promise<string> {
    if (set === "") return "";
    if (isMariadbGtid(set)) return subtractMariadb(set, taken);
    return this.#ask("a comparison of GTID sets", async ask => {
      const [row] = await ask("SELECT GTID_SUBTRACT(?, ?) AS rest", [set, taken]);
      return compact(text(row, "rest"));
    });
  }

  /** True if every transaction of `subset` is in `set`. */
  async isGtidSubset(subset: string, set: string): Promise<boolean> {
    return this.#ask("a comparison of GTID sets", async ask => {
      const [row] = await ask("SELECT GTID_SUBSET(?, ?) AS answer", [subset, set]);
      return Number(row?.["answer"]) === 1;
    });
  }

  /** Base tables outside the system's own databases. */
  async tables(): Promise<readonly SourceTable[]> {
    return this.#ask("its tables", async ask => {
      const rows = await ask(`
        SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name
        FROM information_schema.TABLES
        WHERE TABLE_TYPE = 'BASE TABLE'
          AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
        ORDER BY db, name`);
      // 5.7 and MariaDB show constraints only to those who may do more than SELECT.
      const keys = await ask(`
        SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name
        FROM information_schema.STATISTICS
        WHERE INDEX_NAME = 'PRIMARY' AND SEQ_IN_INDEX = 1`);
      const idOf = (row: Row): string => JSON.stringify([text(row, "db"), text(row, "name")]);
      const keyed = new Set(keys.map(idOf));
      return rows.map(row => ({
        database: text(row, "db"),
        name: text(row, "name"),
        hasPrimaryKey: keyed.has(idOf(row)),
      }));
    });
  }

  /** What is wrong with a condition on the rows of a table; undefined if nothing is. No row is read. */
  conditionFault(
    { database, name }: Pick<SourceTable, "database" | "name">,
    condition: string,
  ): Promise<string | undefined> {
    return this.#ask("a condition on its rows", async ask => {
      const table = `${quoted(database)}.${quoted(name)}`;
      try {
        await ask(`SELECT 1 FROM ${table} AS t WHERE (${condition}\n) LIMIT 0`);
        return undefined;
      } catch (thrown) {
        if (Number((thrown as { errno?: unknown }).errno) > 0) return (thrown as Error).message;
        throw thrown;
      }
    });
  }

  /** By `database.table`, as its statistics estimate: good for a bar of progress, not for a sum. */
  estimatedRows(): Promise<ReadonlyMap<string, number>> {
    return this.#ask("how many rows its tables have", async ask => {
      const rows = await ask(`
        SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_ROWS AS estimate
        FROM information_schema.TABLES
        WHERE TABLE_TYPE = 'BASE TABLE'
          AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`);
      return new Map(
        rows.map(row => [`${text(row, "db")}.${text(row, "name")}`, Number(row["estimate"] ?? 0)]),
      );
    });
  }

  /** Those of the tables whose rows our user may not read, or could not if they were there. */
  unreadable<T extends Pick<SourceTable, "database" | "name">>(
    tables: readonly T[],
  ): Promise<readonly T[]> {
    return this.#ask("whether it may be read", async ask => {
      const denied: T[] = [];
      for (const table of tables) {
        const name = `${quoted(table.database)}.${quoted(table.name)}`;
        const isReadable = await unlessDenied(async () => {
          await unlessMissing(() => ask(`SELECT * FROM ${name} LIMIT 0`));
          return true;
        }, false);
        if (!isReadable) denied.push(table);
      }
      return denied;
    });
  }

  /** Those of these databases of which our user may not lock any table. */
  unlockable(databases: readonly string[]): Promise<readonly string[]> {
    return this.#ask("whether it may be locked", async ask => {
      const denied: string[] = [];
      for (const database of databases) {
        // Of a name that no table has, only the privilege is looked at.
        const statement = `LOCK TABLES ${quoted(database)}.\`no such table\` READ`;
        const errno = await ask(statement).then(() => undefined, errnoOf);
        if (errno === DATABASE_DENIED) denied.push(database);
      }
      return denied;
    });
  }

  /** Those of the tables whose engine gives no consistent read. */
  withoutConsistentRead<T extends Pick<SourceTable, "database" | "name">>(
    tables: readonly T[],
  ): Promise<readonly T[]> {
    return this.#ask("its engines", async ask => {
      const rows = await ask(`
        SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name
        FROM information_schema.TABLES
        WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB'
          AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`);
      const others = new Set(rows.map(row => JSON.stringify([text(row, "db"), text(row, "name")])));
      return tables.filter(({ database, name }) => others.has(JSON.stringify([database, name])));
    });
  }

  /** The columns of every primary key outside the system's own databases. */
  primaryKeyColumns(): Promise<readonly SourceColumn[]> {
    return this.#columns("its keys", {
      from: "information_schema.STATISTICS WHERE INDEX_NAME = 'PRIMARY'",
      order: "SEQ_IN_INDEX",
    });
  }

  /** Every YEAR outside the system's own databases. */
  yearColumns(): Promise<readonly SourceColumn[]> {
    return this.#columns("its columns", {
      from: "information_schema.COLUMNS WHERE DATA_TYPE = 'year'",
      order: "ORDINAL_POSITION",
    });
  }

  #columns(
    doing: string,
    { from, order }: { readonly from: string; readonly order: string },
  ): Promise<readonly SourceColumn[]> {
    return this.#ask(doing, async ask => {
      const rows = await ask(`
        SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, COLUMN_NAME AS col
        FROM ${from}
          AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
        ORDER BY db, name, ${order}`);
      return rows.map(columnOf);
    });
  }

  /** The tables that our user sees, each as it was at some place of the binlog. */
  async readTables(wants: TableFilter): Promise<ReadTables> {
    const { file, position } = await this.currentPosition();
    const listed = await this.#ask("its tables", listTables);
    const wanted = listed.filter(({ database, name }) => wants(database, name));
    const tables: ReadTable[] = [];
    for (let i = 0; i < wanted.length; i += TABLES_A_QUESTION) {
      const some = wanted.slice(i, i + TABLES_A_QUESTION);
      tables.push(...(await this.readSome(some)));
    }
    return { listedAt: { file, position }, tables };
  }

  /** Those of these tables that are there, each as it was at some place of the binlog. */
  readSome(tables: readonly TableId[]): Promise<readonly ReadTable[]> {
    return this.#ask("its table definitions", ask => readTables(ask, tables));
  }

  /** Statements, ends of XA transactions, and rows of what is wanted, for as long as it takes. */
  scan(
    start: DumpStart,
    signal: AbortSignal,
    wanted: Pick<ReaderOptions, "wants" | "definitions" | "rowBytesMax"> = { wants: () => false },
  ): AsyncIterable<readonly BinlogEvent[]> {
    return openReader("native", {
      connection: this.#connection,
      ...this.newReplica(),
      ...wanted,
      xa: "at_commit",
    }).events(start, signal);
  }

  /** Of a dump beside that of a pipeline, which has no one's identity and ends no other. */
  newReplica(): { readonly replicaUuid: string; readonly serverId: number } {
    // MariaDB ends an older dump of the same number.
    const serverId = randomInt(SCAN_SERVER_ID_MIN, LOOK_SERVER_ID);
    return { replicaUuid: randomUUID(), serverId };
  }

  /** When a binlog file was created, in seconds: only a dump tells, so its first event is read. */
  async fileCreated(file: string): Promise<number> {
    return this.#during(`when ${file} was made`, async signal => {
      const reader = openReader("native", {
        connection: this.#connection,
        // Nobody's uuid, so that it does not end the dump of a pipeline; equal server ids live together.
        replicaUuid: randomUUID(),
        serverId: LOOK_SERVER_ID,
        wants: () => false,
      });
      const start: DumpStart = { kind: "position", file, position: FILE_START };
      for await (const events of reader.events(start, signal)) {
        for (const event of events) if (event.kind === "file") return event.fileCreated;
      }
      throw new TidemarkError("SOURCE_UNAVAILABLE", `MySQL did not begin to send ${file}.`);
    });
  }

  /** Gives up the questions that are under way; nothing stays open. */
  close(): void {
    for (const asking of this.#asking) asking.abort();
  }

  async #ask<T>(what: string, question: (ask: Ask) => Promise<T>): Promise<T> {
    return this.#during(what, async signal => {
      const connection = await connectForStatements(this.#connection, signal);
      return question(asker(connection));
    });
  }

  /** The signal ends what was opened for the question, when that is answered, late or given up. */
  async #during<T>(what: string, answer: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeoutMs = this.#timeoutMs;
    const asking = new AbortController();
    this.#asking.add(asking);
    const timer = setTimeout(() => asking.abort(), timeoutMs);
    const late = new Promise<never>((_, reject) => {
      asking.signal.addEventListener("abort", () => {
        const message = `MySQL did not tell ${what} within ${timeoutMs} ms.`;
        reject(new TidemarkError("SOURCE_UNAVAILABLE", message));
      });
    });
    try {
      return await Promise.race([answer(asking.signal), late]);
    } catch (thrown) {
      throw mysqlError(thrown, what);
    } finally {
      clearTimeout(timer);
      this.#asking.delete(asking);
      asking.abort();
    }
  }
}

function isMariadbVersion(version: string): boolean {
  return /mariadb/i.test(version);
}

async function settings(ask: Ask): Promise<ServerSettings> {
  const rows = await ask("SHOW GLOBAL VARIABLES");
  return new Map(rows.map(row => [text(row, "Variable_name"), text(row, "Value")]));
}

async function grants(ask: Ask): Promise<readonly string[]> {
  const rows = await ask("SHOW GRANTS");
  return rows.map(row => String(Object.values(row)[0]));
}

const REFUSALS: ReadonlySet<unknown> = new Set([1044, 1142, 1143, 1227]);
/** No such database, no such table. */
const MISSING: ReadonlySet<unknown> = new Set([1049, 1146]);

/** What this user may not see counts as not there. */
async function unlessDenied<T>(question: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await question();
  } catch (thrown) {
    if (REFUSALS.has(errnoOf(thrown))) return otherwise;
    throw thrown;
  }
}

/** Privileges are looked at first: who is told that there is no such table could read it. */
async function unlessMissing(question: () => Promise<unknown>): Promise<void> {
  try {
    await question();
  } catch (thrown) {
    if (!MISSING.has(errnoOf(thrown))) throw thrown;
  }
}

async function registeredReplicas(ask: Ask): Promise<readonly Replica[]> {
  const rows = await firstKnown(ask, ["SHOW REPLICAS", "SHOW SLAVE HOSTS"]);
  return rows.map(row => ({
    serverId: Number(row["Server_Id"] ?? row["Server_id"]),
    uuid: text(row, "Replica_UUID") || text(row, "Slave_UUID"),
    host: text(row, "Host"),
  }));
}

interface Channel {
  /** It is to get transactions, also while the server that has them cannot be reached. */
  readonly receives: boolean;
  readonly applies: boolean;
  /** What was written to its relay log. */
  readonly retrieved: string;
}

/** What a server replicates from others; nothing if it is no replica. */
async function replication(ask: Ask): Promise<readonly Channel[]> {
  const rows = await firstKnown(ask, ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"]);
  const of = (row: Row, name: string): string =>
    text(row, `Replica_${name}`) || text(row, `Slave_${name}`);
  return rows.map(row => ({
    receives: !/^(No)?$/i.test(of(row, "IO_Running")),
    applies: /^Yes$/i.test(of(row, "SQL_Running")),
    retrieved: compact(text(row, "Retrieved_Gtid_Set")),
  }));
}

/** 5.7 and MariaDB count in days. The seconds come first where a server has both. */
function expirySeconds(variables: ReadonlyMap<string, string>): number {
  if (variables.get("binlog_expire_logs_auto_purge") === "OFF") return Infinity;
  const seconds =
    Number(variables.get("binlog_expire_logs_seconds") ?? 0) ||
    Number(variables.get("expire_logs_days") ?? 0) * 86_400;
  return seconds > 0 ? seconds : Infinity;
}

function noBinlog(): TidemarkError {
  return new TidemarkError(
    "SOURCE_SETTING",
    "MySQL writes no binlog: start it with --log-bin and a --server-id.",
  );
}

function columnOf(row: Row): SourceColumn {
  return { database: text(row, "db"), table: text(row, "name"), name: text(row, "col") };
}

/** GTID sets come with line breaks. */
function compact(gtidSet: string): string {
  return gtidSet.replace(/\s/g, "");
}
