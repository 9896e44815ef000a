import type { Connection } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { asker } from "../../src/binlog/statement-answers.ts";
import { connectForStatements } from "../../src/binlog/statement-connection.ts";
import { systemClock } from "../../src/core/clock.ts";
import { CellState, type Rows } from "../../src/core/rows.ts";
import type { StoredRows } from "../../src/core/stored-rows.ts";
import { rowKey, type RowKey } from "../../src/snapshot/row-key.ts";
import { readRows, ROW_SESSION, TableChanged } from "../../src/snapshot/row-reader.ts";
import { selectStatement, type ChunkQuery } from "../../src/snapshot/row-select.ts";
import { describeTable, type RowTable } from "../../src/snapshot/row-table.ts";
import { SourceServer } from "../binlog/source-server.ts";
import { DebeziumFormat } from "../../src/formats/debezium.ts";
import { MaxwellFormat } from "../../src/formats/maxwell.ts";
import { RowDataFormat } from "../../src/formats/row-data.ts";
import { written } from "../formats/written.ts";
import { casesOf, textCasesOf } from "../verify/types/cases.ts";

const DATABASE = "existing";

let source: SourceServer;
let connection: Connection;
let closing: AbortController;

beforeAll(async () => {
  source = await SourceServer.start("mysql-9", [
    "--binlog-row-metadata=FULL",
    "--max-allowed-packet=64M",
  ]);
  await source.run(`CREATE DATABASE ${DATABASE} CHARACTER SET utf8mb4`, `USE ${DATABASE}`);
});

afterAll(() => source.stop());

beforeEach(async () => {
  closing = new AbortController();
  connection = await connectForStatements(source.connection, closing.signal);
  await connection.query(ROW_SESSION);
});

afterEach(() => closing.abort());

async function describeOne(name: string): Promise<RowTable> {
  const table = await describeTable(asker(connection), { database: DATABASE, name }, true);
  if (table === undefined) throw new Error(`no table ${name}`);
  return table;
}

async function read(
  table: RowTable,
  query: ChunkQuery = {},
  rowBytesMax = 64 * 2 ** 20,
): Promise<StoredRows[]> {
  const options = { connection, clock: systemClock, rowBytesMax };
  const statement = selectStatement(table, query);
  const batches: StoredRows[] = [];
  for await (const rows of readRows(options, { table, statement }, closing.signal)) {
    batches.push(rows);
  }
  return batches;
}

/** Each row as its cells, NULL as null. */
function cells(batches: readonly Rows[]): (Buffer | null)[][] {
  return batches.flatMap(rows =>
    Array.from({ length: rows.count }, (_, row) =>
      rows.table.columns.map((_, column) =>
        rows.state(row, "after", column) === CellState.present
          ? Buffer.from(rows.cell(row, "after", column))
          : null,
      ),
    ),
  );
}

const clock = { wallMs: () => 0 };
const formats = [
  new DebeziumFormat({ name: "shop", tombstones: true, clock, version: "1" }),
  new MaxwellFormat(),
  new RowDataFormat(),
];

/** The row of each message, and its key, in each format. */
function shown(batches: readonly Rows[]): string[] {
  return batches.flatMap(rows => {
    const change = {
      ...{ rows, first: 0, count: rows.count, firstNumber: 0, endsTransaction: false },
      transaction: { id: "u:1", gtid: "u:1", thread: undefined },
      origin: { file: "binlog.000001", position: 4, serverId: 1, timestampS: 0 },
    };
    return Array.from({ length: rows.count }, (_, row) => row).flatMap(row =>
      formats.flatMap(format =>
        written(format, change, row).map(({ key, value }) => {
          const text = value?.toString() ?? "";
          const [shownRow = text] = /"(after|data)":.*?(,"source"|,"timestamp"|$)/.exec(text) ?? [];
          return `${key?.toString() ?? ""} ${shownRow}`;
        }),
      ),
    );
  });
}

/** The first column of each row. */
const texts = (batches: readonly Rows[]): (string | undefined)[] =>
  cells(batches).map(row => row[0]?.toString());

describe("existing rows", () => {
  test(
    "have the shape and the bytes that the binlog gives, for every type",
    { timeout: 120_000 },
    async () => {
      const charsets = ["latin1", "sjis", "utf16", "swe7"];
      const cases = [...casesOf("mysql-9"), ...textCasesOf(charsets)];
      const start = await source.now();
      for (const [i, { type, values, isGenerated = false }] of cases.entries()) {
        const filled = isGenerated ? "source" : "v";
        const other = isGenerated ? "source VARCHAR(40), " : "";
        const rows = [...values, "NULL"].map((value, id) => `(${id}, ${value}, 7)`);
        await source.run(
          `CREATE TABLE t${i} (id INT PRIMARY KEY, ${other}v ${type}, tail INT)`,
          `INSERT IGNORE INTO t${i} (id, ${filled}, tail) VALUES ${rows.join(", ")}`,
        );
      }
      const inserted = (await source.readAll(start)).flatMap(event =>
        event.kind === "rows" ? [event.rows] : [],
      );
      for (const [i, { type }] of cases.entries()) {
        const table = await describeOne(`t${i}`);
        const logged = inserted.filter(rows => rows.table.name === `t${i}`);
        expect(table.shape, type).toEqual(logged[0]?.table);
        const existing = await read(table);
        expect(cells(existing), type).toEqual(cells(logged));
        expect(shown(existing), type).toEqual(shown(logged));
      }
    },
  );

  test("are read in the order of their key, and on from any of them", async () => {
    const keys = [
      ["a BIGINT UNSIGNED", "18446744073709551615", "9007199254740993", "0"],
      ["a INT, b VARCHAR(20) CHARACTER SET latin1", "1, 'é'", "1, 'it''s\\\\'", "1, ''", "-7, 'z'"],
      ["a VARCHAR(20) CHARACTER SET utf8mb4", "'😀'", "'ü'", "'B'", "'a'", "'%'", "x'00'"],
      ["a CHAR(5) CHARACTER SET sjis", "'日本'", "'カ'", "'x'"],
      ["a BINARY(16)", "x'00ff00'", "x'27'", "x'5c27'", "UUID_TO_BIN(UUID())"],
      ["a DECIMAL(30,10)", "-1.5", "12345678901234567890.0000000001", "0"],
      ["a FLOAT", "0.1", "-0.1", "1e30", "16777216", "0.3333333"],
      ["a DOUBLE", "0.1", "-1e-300", "1e21"],
      ["a DATE", "'0000-00-00'", "'1950-00-04'", "'9999-12-31'"],
      ["a DATETIME(6)", "'2026-11-21 09:08:07.090807'", "'1000-01-01'"],
      ["a TIMESTAMP(3)", "'2026-11-21 09:08:07.123'", "'1970-01-01 00:00:01'"],
      ["a TIME(2)", "'-838:59:59'", "'-00:00:00.05'", "'100:00:00'"],
      ["a YEAR", "0", "1901", "2155"],
      ["a BIT(64)", "18446744073709551615", "0", "5"],
      ["a ENUM('z','y','x?')", "'z'", "'y'", "'x?'", "'none'"],
      ["a SET('b','a'), b INT", "'a,b', 1", "'', 2", "'a', 3", "'b', 3"],
    ] as const;
    for (const [i, [columns, ...rows]] of keys.entries()) {
      const names = columns.includes(", b") ? "a, b" : "a";
      await source.run(
        `CREATE TABLE k${i} (n INT, ${columns}, PRIMARY KEY (${names}))`,
        `INSERT IGNORE INTO k${i} VALUES ${rows.map((row, n) => `(${n}, ${row})`).join(", ")}`,
      );
      const table = await describeOne(`k${i}`);
      const inOrder = (await source.select(`SELECT n FROM k${i} ORDER BY ${names}`)).map(row =>
        String(row["n"]),
      );
      expect(inOrder, columns).toHaveLength(rows.length);
      const found: (string | undefined)[] = [];
      let after: RowKey | undefined;
      for (let chunk = 0; chunk <= rows.length; chunk += 1) {
        const [batch] = await read(table, { after, limit: 1 });
        if (batch === undefined) break;
        found.push(...texts([batch]));
        after = JSON.parse(JSON.stringify(rowKey(table, batch, 0))) as RowKey;
      }
      expect(found, columns).toEqual(inOrder);
    }
  });

  test("are found by their index, however far on", async () => {
    await source.run(
      "CREATE TABLE wide (a INT, b INT, c INT, v INT, PRIMARY KEY (a, b, c), KEY (v))",
      "SET SESSION cte_max_recursion_depth = 20000",
      `INSERT INTO wide WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
       SELECT i DIV 1000, i DIV 10 MOD 100, i MOD 10, i FROM n`,
      "ANALYZE TABLE wide",
    );
    const table = await describeOne("wide");
    const query = { after: ["9", "98", "3"], limit: 1000, where: ["v > 0 -- all"] };
    const [plan] = await source.select(
      `EXPLAIN FORMAT=TRADITIONAL ${selectStatement(table, query)}`,
    );
    expect(plan).toMatchObject({ key: "PRIMARY", type: "range" });
    expect(Number(plan?.["rows"])).toBeLessThan(100);
    expect(cells(await read(table, query))).toHaveLength(16);
  });

  test("come in batches, and more of them than are taken wait at the server", async () => {
    await source.run(
      "CREATE TABLE many (id INT PRIMARY KEY, v VARBINARY(2000))",
      `INSERT INTO many WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
       SELECT i, REPEAT('x', 2000) FROM n`,
    );
    const table = await describeOne("many");
    const batches = await read(table);
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
    for (const { bytes } of batches) expect(bytes).toBeLessThan(100_000);
    // The connection is as before.
    expect(await asker(connection)("SELECT 1 AS one")).toEqual([{ one: "1" }]);

    const { stream } = (connection as unknown as { connection: { stream: { bytesRead: number } } })
      .connection;
    const before = stream.bytesRead;
    const query = { table, statement: selectStatement(table, {}) };
    const options = { connection, clock: systemClock, rowBytesMax: 1e6 };
    const reading = readRows(options, query, closing.signal);
    await reading.next();
    // As much as may wait arrives soon; what should not come needs time to do so.
    await new Promise(resolve => setTimeout(resolve, 200));
    expect(stream.bytesRead - before).toBeLessThan(10_000_000);
    await reading.return(undefined);
    await expect(connection.query("SELECT 1")).rejects.toThrow(/closed/);
  });

  test("of more than 16 MB are put together, up to a bound", async () => {
    await source.run(
      "CREATE TABLE large (id INT PRIMARY KEY, v LONGBLOB)",
      "INSERT INTO large VALUES (1, REPEAT('ab', 9000000)), (2, 'c')",
    );
    const table = await describeOne("large");
    const rows = cells(await read(table));
    expect(rows.map(([, v]) => v?.length)).toEqual([18_000_000, 1]);
    await expect(read(table, {}, 17_000_000)).rejects.toMatchObject({ code: "ROW_TOO_LARGE" });
  });
});

describe("a table", () => {
  test("without a primary key has the key that the binlog names in its place", async () => {
    const start = await source.now();
    await source.run(
      "CREATE TABLE u1 (a INT, b INT NOT NULL, c VARCHAR(9) NOT NULL, UNIQUE (a), UNIQUE (c(3)), UNIQUE (c, b))",
      "INSERT INTO u1 VALUES (1, 2, 'x')",
      "CREATE TABLE u2 (a INT, b INT NOT NULL, KEY (b))",
      "INSERT INTO u2 VALUES (1, 2)",
    );
    const events = await source.readAll(start);
    for (const [name, index] of [
      ["u1", "c_2"],
      ["u2", undefined],
    ] as const) {
      // prettier-ignore
      const table = await describeOne(name);
      const logged = events.find(event => event.kind === "rows" && event.rows.table.name === name);
      expect(table.shape).toEqual(logged?.kind === "rows" && logged.rows.table);
      expect(table.index).toBe(index);
      expect(await read(table)).toHaveLength(1);
    }
    const options = { database: DATABASE, name: "u1" };
    const unnamed = await describeTable(asker(connection), options, false);
    expect(unnamed?.shape.primaryKey).toEqual([]);
  });

  test("has the columns that the binlog has, and those names, whatever they are", async () => {
    const start = await source.now();
    await source.run(
      "CREATE TABLE `o``d.d éü` (`i``d` INT PRIMARY KEY, `ü 'x\\` INT INVISIBLE, v INT AS (`i``d` + 1) INVISIBLE)",
      "INSERT INTO `o``d.d éü` (`i``d`, `ü 'x\\`) VALUES (1, 2)",
      "CREATE TABLE functional (a INT PRIMARY KEY, b VARCHAR(9), KEY ((UPPER(b))), UNIQUE ((a + 1)))",
      "INSERT INTO functional VALUES (1, 'x')",
      "SET SESSION sql_generate_invisible_primary_key = ON",
      "CREATE TABLE keyless (a INT)",
      "INSERT INTO keyless VALUES (5)",
      "SET SESSION sql_generate_invisible_primary_key = OFF",
      "CREATE TABLE parted (a INT, b INT, PRIMARY KEY (b DESC, a)) PARTITION BY HASH (a) PARTITIONS 3",
      "INSERT INTO parted VALUES (1, 2), (2, 1), (3, 2)",
    );
    const events = await source.readAll(start);
    const logged = events.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
    expect(new Set(logged.map(rows => rows.table.name)).size).toBe(4);
    for (const rows of logged) {
      const table = await describeOne(rows.table.name);
      expect(table.shape).toEqual(rows.table);
      if (rows.table.name !== "parted") expect(cells(await read(table))).toEqual(cells([rows]));
    }
    expect(texts(await read(await describeOne("parted")))).toEqual(["2", "1", "3"]);
  });

  test("whose key is a prefix has no order in which it can be read", async () => {
    await source.run("CREATE TABLE p (a TEXT, PRIMARY KEY (a(10)))");
    expect(await describeOne("p")).toMatchObject({ index: undefined, shape: { primaryKey: [0] } });
  });

  test("that changes after it was described is not read as it was", async () => {
    for (const change of [
      "DROP TABLE changing",
      "ALTER TABLE changing DROP COLUMN v",
      "ALTER TABLE changing MODIFY v BIGINT",
      "ALTER TABLE changing DROP PRIMARY KEY",
    ]) {
      await source.run(
        "DROP TABLE IF EXISTS changing",
        "CREATE TABLE changing (id INT PRIMARY KEY, v INT)",
        "INSERT INTO changing VALUES (1, 2)",
      );
      const table = await describeOne("changing");
      await source.run(change);
      await expect(read(table), change).rejects.toThrow(TableChanged);
      closing.abort();
      closing = new AbortController();
      connection = await connectForStatements(source.connection, closing.signal);
      await connection.query(ROW_SESSION);
    }
  });

  test("that our user may not read is named with the statement that mends it", async () => {
    await source.run(
      "CREATE TABLE secret (id INT PRIMARY KEY, v INT)",
      "CREATE USER reader IDENTIFIED BY 'x'",
      `GRANT SELECT (id) ON ${DATABASE}.secret TO reader`,
    );
    const table = await describeOne("secret");
    const as = { ...source.connection, user: "reader", password: "x" };
    connection = await connectForStatements(as, closing.signal);
    await expect(read(table)).rejects.toMatchObject({
      code: "ACCESS_DENIED",
      message: expect.stringContaining("GRANT SELECT ON `existing`.`secret`") as string,
    });
    expect(await asker(connection)("SELECT 1 AS one")).toEqual([{ one: "1" }]);
  });
});

describe("a connection", () => {
  test("that is lost, or given up, ends the reading", async () => {
    await source.run("CREATE TABLE slow (id INT PRIMARY KEY)", "INSERT INTO slow VALUES (1), (2)");
    const table = await describeOne("slow");
    // Expected from the beginning: it may come before KILL has its answer.
    const lost = expect(read(table, { where: ["SLEEP(100) = 0"] })).rejects.toMatchObject({
      code: "SOURCE_UNAVAILABLE",
    });
    const [{ id }] = (await threadOf(table)) as [{ id: number }];
    await source.run(`KILL ${id}`);
    await lost;

    connection = await connectForStatements(source.connection, closing.signal);
    const given = read(table, { where: ["SLEEP(100) = 0"] });
    closing.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
  });

  /** The thread that runs the statement, once it does. */
  async function threadOf(table: RowTable): Promise<Record<string, unknown>[]> {
    for (;;) {
      const rows = await source.select(
        `SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE 'SELECT t.%${table.shape.name}%'`,
      );
      if (rows.length > 0) return rows;
    }
  }
});
