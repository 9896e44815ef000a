/**
 * Every column type, as the binlog gives it and as SELECT does. All columns stand in one table, so that
 * a type whose description is read wrongly shifts those behind it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Column } from "../../src/core/rows.ts";
import { cellsOf, SourceServer, versions, type RowsEvent } from "./source-server.ts";

interface TypeCase {
  readonly type: string;
  /** Written as SQL. */
  readonly values: readonly string[];
  /** What SELECT has to be asked so that it answers in canonical form; text unless given. */
  readonly canonical?: (column: string) => string;
  /** Bytes: compared as hexadecimal digits. */
  readonly isBytes?: boolean;
  /** Where SELECT cannot tell. */
  readonly expected?: readonly string[];
  readonly shape?: Partial<Column>;
}

const hex = (column: string): string => `HEX(${column})`;
const repeated = (text: string, times: number): string => `REPEAT('${text}', ${times})`;

const cases: readonly TypeCase[] = [
  { type: "TINYINT", values: ["-128", "127", "0"], shape: { type: "tinyint", unsigned: false } },
  { type: "TINYINT UNSIGNED", values: ["0", "255"], shape: { type: "tinyint", unsigned: true } },
  { type: "YEAR", values: ["0", "1901", "2155", "2026"], shape: { type: "year" } },
  { type: "SMALLINT", values: ["-32768", "32767"], shape: { type: "smallint" } },
  { type: "SMALLINT UNSIGNED", values: ["65535", "0"], shape: { unsigned: true } },
  { type: "MEDIUMINT", values: ["-8388608", "8388607", "-1"], shape: { type: "mediumint" } },
  { type: "MEDIUMINT UNSIGNED", values: ["16777215"], shape: { unsigned: true } },
  { type: "INT", values: ["-2147483648", "2147483647", "-1"], shape: { type: "int" } },
  { type: "INT UNSIGNED", values: ["4294967295", "0"], shape: { unsigned: true } },
  {
    type: "BIGINT",
    values: [
      "-9223372036854775808",
      "9223372036854775807",
      "-9007199254740993",
      "-9007199254740992",
      "9007199254740991",
      "9007199254740993",
      "-4294967297",
      "-1",
    ],
    shape: { type: "bigint", unsigned: false },
  },
  {
    type: "BIGINT UNSIGNED",
    values: ["18446744073709551615", "9223372036854775808", "9007199254740993", "0"],
    shape: { unsigned: true },
  },
  { type: "BOOL", values: ["TRUE", "FALSE"], shape: { type: "tinyint" } },
  {
    type: "DECIMAL(65,30)",
    values: [
      "-99999999999999999999999999999999999.999999999999999999999999999999",
      "12345678901234567890.000000000000000000000000000001",
      "-0.000000000000000000000000000001",
      "0",
      "1000000000",
    ],
    shape: { type: "decimal", scale: 30 },
  },
  { type: "DECIMAL(5,5)", values: ["-0.99999", "0.00001", "0"], shape: { scale: 5 } },
  { type: "DECIMAL(10,0)", values: ["-9999999999", "9999999999", "-1", "0"] },
  { type: "DECIMAL(9,2) UNSIGNED", values: ["1234567.89", "0.05"], shape: { unsigned: true } },
  { type: "DECIMAL(1,0)", values: ["-9", "9", "0"] },
  {
    type: "FLOAT",
    values: ["0.1", "-1.5e30", "16777217", "3.4028235e38", "1.4e-45", "-0.0e0", "1234567.9"],
    expected: ["0.1", "-1.5e+30", "16777216", "3.4028235e+38", "1e-45", "-0", "1234567.9"],
    shape: { type: "float" },
  },
  {
    type: "DOUBLE",
    values: ["0.1", "-1.7976931348623157e308", "5e-324", "1e21", "123456789012345678", "1e0"],
    expected: ["0.1", "-1.7976931348623157e+308", "5e-324", "1e+21", "123456789012345680", "1"],
    shape: { type: "double" },
  },
  {
    type: "BIT(1)",
    values: ["b'0'", "b'1'"],
    isBytes: true,
    canonical: column => `LPAD(HEX(${column}), 2, '0')`,
    shape: { type: "bit", length: 1 },
  },
  {
    type: "BIT(12)",
    values: ["b'100000000001'", "b'1'"],
    isBytes: true,
    canonical: column => `LPAD(HEX(${column}), 4, '0')`,
    shape: { length: 12 },
  },
  {
    type: "BIT(64)",
    values: ["0xF0000000000000FF", "1"],
    isBytes: true,
    canonical: column => `LPAD(HEX(${column}), 16, '0')`,
    shape: { length: 64 },
  },
  { type: "DATE", values: ["'2026-11-21'", "'0000-00-00'", "'1950-00-04'", "'9999-12-31'"] },
  ...[0, 1, 2, 3, 4, 5, 6].map((digits): TypeCase => ({
    type: `TIME(${digits})`,
    values: [
      "'-00:01:00'",
      "'-01:00:00'",
      "'-00:00:00.4'",
      "'-838:59:59'",
      "'838:59:59'",
      "'-01:02:03.987654'",
      "'11:22:33.123456'",
      "'-00:00:59.05'",
      "'00:00:00'",
    ],
    shape: { type: "time", length: digits, scale: digits },
  })),
  ...[0, 1, 2, 3, 4, 5, 6].map((digits): TypeCase => ({
    type: `DATETIME(${digits})`,
    values: [
      "'1000-01-01 00:00:00'",
      "'9999-12-31 23:59:59'",
      "'0000-00-00 00:00:00'",
      "'2026-11-21 09:08:07.090807'",
      "'0050-02-03 04:05:06.000001'",
    ],
    shape: { type: "datetime", length: digits, scale: digits },
  })),
  ...[0, 1, 2, 3, 4, 5, 6].map((digits): TypeCase => ({
    type: `TIMESTAMP(${digits}) NULL`,
    values: [
      "'1970-01-01 00:00:01'",
      "'2038-01-19 03:14:07'",
      "'0000-00-00 00:00:00'",
      "'2026-02-28 23:59:59.123456'",
      "'2024-02-29 00:00:00.5'",
      "'2000-03-01 12:00:00'",
    ],
    shape: { type: "timestamp", length: digits, scale: digits },
  })),
  { type: "CHAR(10)", values: ["'a  '", "''", "'äöü€😀'"], shape: { type: "char" } },
  { type: "CHAR(255)", values: [repeated("😀", 255), "'x'"] },
  { type: "VARCHAR(10)", values: ["'a  '", "''", "'😀'"], shape: { type: "varchar" } },
  { type: "VARCHAR(300)", values: [repeated("é", 300), "'x'"] },
  { type: "TINYTEXT", values: ["'short'"], shape: { type: "text" } },
  { type: "TEXT", values: [repeated("ab", 3_000), "''"] },
  { type: "MEDIUMTEXT", values: [repeated("c", 70_000)] },
  { type: "LONGTEXT", values: ["'long'"] },
  { type: "VARCHAR(20) CHARACTER SET latin1", values: ["'é€ÿ'", "''"] },
  { type: "CHAR(5) CHARACTER SET ascii", values: ["'abc'"] },
  { type: "VARCHAR(9) CHARACTER SET utf16", values: ["'é😀'"] },
  { type: "VARCHAR(9) CHARACTER SET utf16le", values: ["'é😀'"] },
  { type: "VARCHAR(9) CHARACTER SET utf32", values: ["'é😀'"] },
  { type: "VARCHAR(9) CHARACTER SET ucs2", values: ["'éß'"] },
  { type: "VARCHAR(9) CHARACTER SET utf8", values: ["'é€'"] },
  { type: "TEXT CHARACTER SET cp1251", values: ["'Привет'"] },
  { type: "VARCHAR(9) CHARACTER SET sjis", values: ["'日本語'"] },
  { type: "VARCHAR(9) CHARACTER SET ujis", values: ["'日本語'"] },
  { type: "VARCHAR(9) CHARACTER SET gbk", values: ["'汉字'"] },
  { type: "VARCHAR(9) CHARACTER SET gb18030", values: ["'汉字😀'"] },
  { type: "VARCHAR(9) CHARACTER SET big5", values: ["'漢字'"] },
  { type: "VARCHAR(9) CHARACTER SET euckr", values: ["'한국어'"] },
  {
    type: "BINARY(4)",
    values: ["x'61000000'", "x'0000'", "x'00610000'", "x'FF20FF20'"],
    canonical: hex,
    isBytes: true,
    shape: { type: "binary", length: 4 },
  },
  { type: "BINARY(255)", values: ["x'01'"], canonical: hex, isBytes: true, shape: { length: 255 } },
  {
    type: "VARBINARY(300)",
    values: ["x'6100'", "''"],
    canonical: hex,
    isBytes: true,
    shape: { type: "varbinary" },
  },
  {
    type: "BLOB",
    values: ["x'00FF00'", "''"],
    canonical: hex,
    isBytes: true,
    shape: { type: "blob" },
  },
  { type: "LONGBLOB", values: ["x'01'"], canonical: hex, isBytes: true },
  {
    type: "ENUM('a','b,c','it''s')",
    values: ["'a'", "'b,c'", "'it''s'", "'invalid'"],
    shape: { type: "enum" },
  },
  {
    type: `ENUM(${Array.from({ length: 300 }, (_, i) => `'m${i}'`).join(",")})`,
    values: ["'m0'", "'m299'"],
  },
  { type: "ENUM('é','ß') CHARACTER SET latin1", values: ["'é'", "'ß'"] },
  { type: "SET('a','b','c')", values: ["'a,c'", "''", "'b'"], shape: { type: "set" } },
  {
    type: `SET(${Array.from({ length: 64 }, (_, i) => `'s${i}'`).join(",")})`,
    values: ["'s0,s31,s32,s63'", "'s63'", "18446744073709551615"],
  },
  {
    type: "JSON",
    values: [
      `'{"b": 1, "a": [1, -1, 65535, 70000, -70000, 4294967295]}'`,
      `'{"__proto__": 1, "constructor": {"toString": null}}'`,
      `'[9007199254740993, 18446744073709551615, -9223372036854775808]'`,
      `'[1.0, 0.1, 1e20, 1e21, 1e22, 1e100, 1.5e300, 1e-5, 1e-6, 1e-7, 5e-324, 123456789.125]'`,
      `'[1e15, 1e16, 1e17, 123456789012345680000.0, 0.00001234, 1e-10, -0.0, 1e14, 0.001, 0.0001]'`,
      `'"a\\\\"b\\\\\\\\c/\\\\u0001\\\\n\\\\t\\\\u007f ä😀"'`,
      "'null'",
      "'true'",
      "'42'",
      `'[]'`,
      `'{}'`,
      "JSON_ARRAY(CAST('2.50' AS DECIMAL(10,2)), CAST('-0.001' AS DECIMAL(10,3)))",
      "JSON_ARRAY(CAST('2026-11-21' AS DATE), CAST('-01:02:03.5' AS TIME(6)), CAST('-01:00:00' AS TIME))",
      "JSON_ARRAY(CAST('2026-11-21 01:02:03.000004' AS DATETIME(6)), TIMESTAMP('0999-01-02 03:04:05'))",
      "JSON_ARRAY(CAST(REPEAT('xyz', 60) AS BINARY), x'00FF', b'101')",
      `JSON_OBJECT('long', REPEAT('x', 70000), 'n', 5, 'deep', CAST('[[1,[2,{"a":70000}]]]' AS JSON))`,
      `CONCAT('[', REPEAT('100000,', 20000), '1]')`,
      `JSON_OBJECT('', 1, REPEAT('k', 300), 2)`,
    ],
    shape: { type: "json" },
  },
  {
    type: "GEOMETRY",
    values: [
      "ST_GeomFromText('POINT(1 2)', 4326)",
      "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
      "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
    ],
    canonical: hex,
    isBytes: true,
    shape: { type: "geometry" },
  },
  {
    type: "POINT",
    values: ["POINT(1, -2.5)"],
    canonical: hex,
    isBytes: true,
    shape: { type: "geometry", length: 1 },
  },
  { type: "VARCHAR(5) COLLATE utf8mb4_bin", values: ["'last'"] },
];

const vectorCases: readonly TypeCase[] = [
  {
    type: "VECTOR(3)",
    values: ["STRING_TO_VECTOR('[1,2.5,-3]')"],
    canonical: hex,
    isBytes: true,
    shape: { type: "vector" },
  },
  { type: "VARCHAR(9) CHARACTER SET latin1", values: ["'après'"] },
  { type: "INT UNSIGNED", values: ["7"], shape: { type: "int", unsigned: true } },
];

const ROWS = Math.max(...cases.map(({ values }) => values.length));

describe.each(versions)("column types of %s", version => {
  let source: SourceServer;
  let table: readonly TypeCase[];
  let inserted: RowsEvent[];
  let selected: Record<string, unknown>[];

  beforeAll(async () => {
    source = await SourceServer.start(version);
    table = version === "mysql-9" ? [...cases, ...vectorCases] : cases;
    const columns = table.map(({ type }, i) => `c${i} ${type}`).join(", ");
    await source.run("CREATE DATABASE t CHARACTER SET utf8mb4", "USE t");
    await source.run(`CREATE TABLE every (id INT PRIMARY KEY, ${columns}) ROW_FORMAT=DYNAMIC`);
    const inserts = Array.from({ length: ROWS }, (_, row) => {
      const values = table.map(({ values }) => values[row % values.length]).join(", ");
      return `INSERT IGNORE INTO every VALUES (${row}, ${values})`;
    });
    inserted = await source.rowsOf(...inserts, `INSERT INTO every (id) VALUES (${ROWS})`);
    const expressions = table.map(
      ({ canonical }, i) => `${canonical?.(`c${i}`) ?? `CAST(c${i} AS CHAR)`} AS c${i}`,
    );
    selected = await source.select(`SELECT ${expressions.join(", ")} FROM every ORDER BY id`);
  });
  afterAll(() => source.stop());

  function cellsOfColumn(column: number, isBytes: boolean): string[] {
    return inserted.slice(0, ROWS).map(({ rows }) => {
      const cell = rows.cell(0, "after", column + 1);
      return isBytes ? cell.toString("hex").toUpperCase() : cell.toString("utf8");
    });
  }

  test.each(
    [...cases, ...(version === "mysql-9" ? vectorCases : [])].map((entry, i) => ({ ...entry, i })),
  )("$type is what SELECT says", ({ i, isBytes = false, expected, values }) => {
    const want = expected
      ? Array.from({ length: ROWS }, (_, row) => expected[row % values.length])
      : selected.slice(0, ROWS).map(row => row[`c${i}`]);
    expect(cellsOfColumn(i, isBytes)).toEqual(want);
  });

  test("the shape tells type, length, scale and sign of each column", () => {
    const columns = inserted[0]?.rows.table.columns ?? [];
    const wanted = table.map(({ shape }, i) => ({ name: `c${i}`, nullable: true, ...shape }));
    expect(columns.slice(1)).toMatchObject(wanted);
    expect(columns[0]).toMatchObject({ name: "id", nullable: false });
  });

  test("NULL is told from every value", () => {
    const rows = inserted.at(-1)?.rows;
    expect(rows && cellsOf(rows, 0, "after")).toEqual([String(ROWS), ...table.map(() => null)]);
  });

  test("before and after images of updates and deletes are whole", async () => {
    const changes = await source.rowsOf(
      "UPDATE every SET id = id + 1000 WHERE id IN (0, 1)",
      "DELETE FROM every WHERE id = 1000",
    );
    // Such rows are large: MySQL gives each an event of its own.
    const [first, second, deleted] = changes.map(({ rows }) => rows);
    const [one, two] = inserted.map(({ rows }) => cellsOf(rows, 0, "after"));
    const withId = (id: string, cells: readonly (string | null)[] = []): (string | null)[] => [
      id,
      ...cells.slice(1),
    ];
    expect(first && cellsOf(first, 0, "before")).toEqual(one);
    expect(first && cellsOf(first, 0, "after")).toEqual(withId("1000", one));
    expect(second && cellsOf(second, 0, "before")).toEqual(two);
    expect(second && cellsOf(second, 0, "after")).toEqual(withId("1001", two));
    expect(deleted && cellsOf(deleted, 0, "before")).toEqual(withId("1000", one));
  });

  // All characters that the set has, and what the server itself makes of the stored bytes.
  test("every character of every character set is what SELECT says", async () => {
    const sets = await source.select(
      "SELECT CHARACTER_SET_NAME AS name, MAXLEN AS size FROM information_schema.CHARACTER_SETS",
    );
    const codes = Array.from({ length: 0xffff }, (_, i) => i + 1);
    const all = codes.filter(code => code < 0xd800 || code > 0xdfff);
    const hexOf = (list: readonly number[]): string =>
      Buffer.from(String.fromCodePoint(...list)).toString("hex");
    const found: Record<string, unknown> = {};
    for (const { name, size } of sets.filter(set => set["name"] !== "binary")) {
      const charset = String(name);
      const bytes = Buffer.from(Array.from({ length: name === "ascii" ? 128 : 256 }, (_, i) => i));
      await source.run(
        "DROP TABLE IF EXISTS one",
        `CREATE TABLE one (id INT PRIMARY KEY, v MEDIUMTEXT CHARACTER SET ${charset})`,
      );
      const text =
        Number(size) === 1
          ? `_${charset} x'${bytes.toString("hex")}'`
          : `_utf8mb4 x'${hexOf(all)}'`;
      const [event] = await source.rowsOf(`INSERT INTO one VALUES (1, ${text})`);
      const [row] = await source.select("SELECT CONVERT(v USING utf8mb4) AS v FROM one");
      const got = Array.from(event?.rows.cell(0, "after", 1).toString("utf8") ?? "");
      const want = Array.from(String(row?.["v"]));
      const wrong = want.flatMap((char, i) => (char === got[i] ? [] : [`${char}≠${got[i] ?? ""}`]));
      if (wrong.length > 0) found[charset] = wrong;
    }
    expect(found).toEqual({});
  });

  // From the bytes' side: several sequences may be one character, and some are none that Unicode has.
  test.each([...["big5", "cp932", "sjis", "euckr", "gb2312", "gbk", "gb18030", "ujis", "eucjpms"]])(
    "whatever bytes a column of %s can hold are what SELECT says",
    async charset => {
      const hexes = byteSequences(charset).map(bytes => `x'${Buffer.from(bytes).toString("hex")}'`);
      await source.run(
        "DROP TABLE IF EXISTS one",
        "CREATE TABLE one (id INT PRIMARY KEY AUTO_INCREMENT, b VARBINARY(5))",
        `DROP TABLE IF EXISTS two`,
        `CREATE TABLE two (id INT PRIMARY KEY, v VARCHAR(5) CHARACTER SET ${charset})`,
      );
      for (let i = 0; i < hexes.length; i += 10_000) {
        const values = hexes.slice(i, i + 10_000).map(hex => `(${hex})`);
        await source.run(`INSERT INTO one (b) VALUES ${values.join(", ")}`);
      }
      const events = await source.rowsOf(
        `INSERT IGNORE INTO two SELECT id, CONVERT(b USING ${charset}) FROM one ORDER BY id`,
      );
      const got = events.flatMap(({ rows }) =>
        Array.from({ length: rows.count }, (_, row) => cellsOf(rows, row, "after")[1]),
      );
      const stored = await source.select(
        "SELECT HEX(v) AS bytes, CONVERT(v USING utf8mb4) AS text FROM two ORDER BY id",
      );
      expect(got).toHaveLength(hexes.length);
      const wrong = stored.flatMap(({ bytes, text }, i) =>
        text === got[i] ? [] : [`${String(bytes)}: ${String(text)}≠${String(got[i])}`],
      );
      expect(wrong).toEqual([]);
    },
  );
});

function byteSequences(charset: string): number[][] {
  const upTo = (first: number, last: number): number[] =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const high = upTo(0x80, 0xff);
  const sequences = [
    ...high.map(byte => [byte]),
    ...high.flatMap(lead => upTo(0x40, 0xff).map(trail => [lead, trail])),
  ];
  if (charset === "ujis" || charset === "eucjpms") {
    return [...sequences, ...high.flatMap(lead => high.map(trail => [0x8f, lead, trail]))];
  }
  if (charset !== "gb18030") return sequences;
  const digits = upTo(0x30, 0x39);
  // Below U+10000 all of them; above, where they count up, the first, some and the last.
  const leads = [0x81, 0x82, 0x83, 0x84, 0x85, 0x8f, 0x90, 0xa0, 0xe3, 0xe4, 0xfe];
  return [
    ...sequences,
    ...leads.flatMap(first =>
      digits.flatMap(second =>
        upTo(0x81, 0xfe).flatMap(third => digits.map(last => [first, second, third, last])),
      ),
    ),
  ];
}
