/** The types of each server, and of each the values that are most easily read wrongly. */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Form } from "./forms.ts";

export interface TypeCase {
  readonly type: string;
  readonly form: Form;
  /** Written as SQL. */
  readonly values: readonly string[];
  /** The column is filled by the server itself: the values go into a text column `source` beside it. */
  readonly isGenerated?: boolean;
}

const digits = [0, 1, 2, 3, 4, 5, 6];
const repeated = (text: string, times: number): string => `REPEAT('${text}', ${times})`;
const members = (letter: string, count: number): string =>
  Array.from({ length: count }, (_, i) => `'${letter}${i}'`).join(",");

function integers(name: string, bits: number): TypeCase[] {
  const top = 2n ** BigInt(bits - 1);
  const signed = [-top, top - 1n, -1n, 0n, 1n, -top / 2n, 100n, top - 2n];
  const unsigned = [0n, 1n, top - 1n, top, 2n * top - 1n, 2n * top - 2n, 100n];
  return [
    { type: name, form: "integer", values: signed.map(String) },
    { type: `${name} UNSIGNED`, form: "integer", values: unsigned.map(String) },
  ];
}

const numbers: readonly TypeCase[] = [
  ...integers("TINYINT", 8),
  ...integers("SMALLINT", 16),
  ...integers("MEDIUMINT", 24),
  ...integers("INT", 32),
  ...integers("BIGINT", 64),
  {
    type: "BIGINT",
    form: "integer",
    values: [
      ...["9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740991"],
      ...["-9007199254740992", "-9007199254740993", "4294967296", "-4294967297"],
    ],
  },
  { type: "BOOL", form: "integer", values: ["TRUE", "FALSE", "-7"] },
  {
    type: "DECIMAL(65,30)",
    form: "decimal",
    values: [
      "-99999999999999999999999999999999999.999999999999999999999999999999",
      "99999999999999999999999999999999999.999999999999999999999999999999",
      ...["12345678901234567890.000000000000000000000000000001", "-1e-30", "0", "1000000000", "-1"],
    ],
  },
  { type: "DECIMAL(65,0)", form: "decimal", values: ["9".repeat(65), `-${"9".repeat(65)}`, "0"] },
  { type: "DECIMAL(5,5)", form: "decimal", values: ["-0.99999", "0.00001", "0", "0.5"] },
  { type: "DECIMAL(10,0)", form: "decimal", values: ["-9999999999", "9999999999", "-1", "0"] },
  { type: "DECIMAL(9,2) UNSIGNED", form: "decimal", values: ["1234567.89", "0.05", "0"] },
  { type: "DECIMAL(18,9)", form: "decimal", values: ["123456789.987654321", "-0.000000001"] },
  { type: "DECIMAL(1,0)", form: "decimal", values: ["-9", "9", "0"] },
  { type: "NUMERIC(30,10)", form: "decimal", values: ["-12345678901234567890.0123456789", "7"] },
  {
    type: "FLOAT",
    form: "float",
    values: [
      ...[
        "0.1",
        "-1.5e30",
        "16777217",
        "3.4028234e38",
        "-3.4028234e38",
        "1.4e-45",
        "0",
        "1234567.9",
      ],
      ...["1.17549435e-38", "0.3333333", "16777216", "9999999", "-0.0e0", "3.14159274", "1e10"],
    ],
  },
  { type: "FLOAT UNSIGNED", form: "float", values: ["0.5", "1e20"] },
  { type: "FLOAT(7,3)", form: "float", values: ["1234.567", "-0.125", "0"] },
  {
    type: "DOUBLE",
    form: "double",
    values: [
      ...[
        "0.1",
        "-1.7976931348623157e308",
        "1.7976931348623157e308",
        "5e-324",
        "1e21",
        "1e20",
        "0",
      ],
      ...["123456789012345678", "1e0", "-0.0e0", "2.2250738585072014e-308", "0.3333333333333333"],
      ...["9007199254740993", "4.35", "1e-7", "1e-6"],
    ],
  },
  { type: "DOUBLE(20,6)", form: "double", values: ["12345678901234.123456", "-0.000001"] },
  { type: "BIT(1)", form: "boolean", values: ["b'0'", "b'1'"] },
  { type: "BIT(7)", form: "bits", values: ["b'1111111'", "b'0'", "b'1000001'"] },
  { type: "BIT(8)", form: "bits", values: ["255", "128", "1"] },
  { type: "BIT(12)", form: "bits", values: ["b'100000000001'", "b'1'", "4095"] },
  { type: "BIT(64)", form: "bits", values: ["0xF0000000000000FF", "1", "18446744073709551615"] },
];

const temporals: readonly TypeCase[] = [
  { type: "YEAR", form: "year", values: ["0", "1901", "2155", "2026", "1970"] },
  {
    type: "DATE",
    form: "date",
    values: [
      ...["'2026-11-21'", "'0000-00-00'", "'1950-00-04'", "'9999-12-31'", "'1000-01-01'"],
      ...[
        "'1970-01-01'",
        "'1969-12-31'",
        "'2024-02-29'",
        "'0001-01-01'",
        "'1582-10-10'",
        "'1900-02-28'",
      ],
    ],
  },
  ...digits.map((count): TypeCase => ({
    type: `TIME(${count})`,
    form: "time",
    values: [
      ...["'-00:01:00'", "'-01:00:00'", "'-00:00:00.4'", "'-838:59:59'", "'838:59:59'"],
      ...["'-01:02:03.987654'", "'11:22:33.123456'", "'-00:00:59.05'", "'00:00:00'", "'-00:00:01'"],
      ...["'-12:59:59.999'", "'100:00:00.000001'"],
    ],
  })),
  ...digits.map((count): TypeCase => ({
    type: `DATETIME(${count})`,
    form: count <= 3 ? "datetime-ms" : "datetime-us",
    values: [
      ...["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'"],
      ...[
        "'2026-11-21 09:08:07.090807'",
        "'0050-02-03 04:05:06.000001'",
        "'1969-12-31 23:59:59.5'",
      ],
      ...["'1970-01-01 00:00:00'", "'1950-00-04 01:02:03'", "'2255-06-05 23:47:34.740992'"],
      ...["'2024-02-29 12:00:00.999'"],
    ],
  })),
  ...digits.map((count): TypeCase => ({
    type: `TIMESTAMP(${count}) NULL`,
    form: "timestamp",
    values: [
      ...["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'"],
      ...["'2026-02-28 23:59:59.123456'", "'2024-02-29 00:00:00.5'", "'2000-03-01 12:00:00'"],
      ...["'1999-12-31 23:59:59.999'", "'2001-09-09 01:46:40.000001'"],
    ],
  })),
];

const texts: readonly TypeCase[] = [
  { type: "CHAR(255) CHARACTER SET utf8mb4", form: "text", values: [repeated("😀", 255), "'x'"] },
  { type: "VARCHAR(300) CHARACTER SET utf8mb4", form: "text", values: [repeated("é", 300), "'x'"] },
  { type: "TINYTEXT CHARACTER SET utf8mb4", form: "text", values: ["'short'", repeated("é", 127)] },
  { type: "TEXT CHARACTER SET utf8mb4", form: "text", values: [repeated("ab", 3_000), "''"] },
  {
    type: "MEDIUMTEXT CHARACTER SET utf8mb4",
    form: "text",
    values: [repeated("c", 70_000), "'c'"],
  },
  {
    type: "LONGTEXT CHARACTER SET utf8mb4",
    form: "text",
    values: [repeated("€", 300_000), "'long'", "'\\\\ \\\" \\n \\0 \\t \\Z / '"],
  },
  {
    type: "ENUM('a','b,c','it''s','','with space') CHARACTER SET utf8mb4",
    form: "text",
    values: ["'a'", "'b,c'", "'it''s'", "'invalid'", "''", "'with space'"],
  },
  {
    type: `ENUM(${members("m", 300)})`,
    form: "text",
    values: ["'m0'", "'m299'", "'m255'", "'m256'"],
  },
  { type: "ENUM('é','ß') CHARACTER SET latin1", form: "text", values: ["'é'", "'ß'"] },
  { type: "ENUM('中','日') CHARACTER SET gbk", form: "text", values: ["'中'", "'日'"] },
  {
    type: "SET('a','b','c','d d') CHARACTER SET utf8mb4",
    form: "text",
    values: ["'a,c'", "''", "'b'", "'a,b,c,d d'", "'d d'"],
  },
  {
    type: `SET(${members("s", 64)})`,
    form: "text",
    values: ["'s0,s31,s32,s63'", "'s63'", "18446744073709551615", "''"],
  },
  { type: "SET('ж','я') CHARACTER SET cp1251", form: "text", values: ["'ж,я'", "'я'"] },
];

const bytes: readonly TypeCase[] = [
  {
    type: "BINARY(4)",
    form: "bytes",
    values: ["x'61000000'", "x'0000'", "x'00610000'", "x'FF20FF20'", "''", "x'20'"],
  },
  { type: "BINARY(255)", form: "bytes", values: ["x'01'", "REPEAT(x'FF', 255)"] },
  { type: "VARBINARY(300)", form: "bytes", values: ["x'6100'", "''", "REPEAT(x'00', 300)"] },
  { type: "VARBINARY(20)", form: "bytes", values: ["x'FFFE00'", "x'20'"] },
  { type: "TINYBLOB", form: "bytes", values: ["x'00FF'", "REPEAT(x'AB', 255)"] },
  { type: "BLOB", form: "bytes", values: ["x'00FF00'", "''", "REPEAT(x'00', 60000)"] },
  { type: "MEDIUMBLOB", form: "bytes", values: ["x'01'", "REPEAT(x'01', 70000)"] },
  { type: "LONGBLOB", form: "bytes", values: ["x'01'", "REPEAT(x'F0', 200000)"] },
];

const json: readonly string[] = [
  `'{"b": 1, "a": [1, -1, 65535, 70000, -70000, 4294967295]}'`,
  `'{"__proto__": 1, "constructor": {"toString": null}}'`,
  `'[9007199254740993, 18446744073709551615, -9223372036854775808]'`,
  `'[1.0, 0.1, 1e20, 1e21, 1e22, 1e100, 1.5e300, 1e-5, 1e-6, 1e-7, 5e-324, 123456789.125]'`,
  `'[1e15, 1e16, 1e17, 123456789012345680000.0, 0.00001234, 1e-10, -0.0, 1e14, 0.001, 0.0001]'`,
  `'"a\\\\"b\\\\\\\\c/\\\\u0001\\\\n\\\\t\\\\u007f ä😀"'`,
  ...["'null'", "'true'", "'false'", "'42'", "'-1.5'", "'\"\"'", "'[]'", "'{}'", "'[[[[]]]]'"],
  `CONCAT('[', REPEAT('100000,', 20000), '1]')`,
];

const mysqlJson: readonly string[] = [
  "JSON_ARRAY(CAST('2.50' AS DECIMAL(10,2)), CAST('-0.001' AS DECIMAL(10,3)))",
  "JSON_ARRAY(CAST('2026-11-21' AS DATE), CAST('-01:02:03.5' AS TIME(6)), CAST('-01:00:00' AS TIME))",
  "JSON_ARRAY(CAST('2026-11-21 01:02:03.000004' AS DATETIME(6)), TIMESTAMP('0999-01-02 03:04:05'))",
  "JSON_ARRAY(CAST(REPEAT('xyz', 60) AS BINARY), x'00FF', b'101')",
  `JSON_OBJECT('long', REPEAT('x', 70000), 'n', 5, 'deep', CAST('[[1,[2,{"a":70000}]]]' AS JSON))`,
  `JSON_OBJECT('', 1, REPEAT('k', 300), 2)`,
];

const geometry: readonly TypeCase[] = [
  {
    type: "GEOMETRY",
    form: "geometry",
    values: [
      "ST_GeomFromText('POINT(1 2)', 4326)",
      "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
      "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')",
      "ST_GeomFromText('MULTIPOINT(0 0,5 5)')",
    ],
  },
  { type: "POINT", form: "point", values: ["POINT(1, -2.5)", "POINT(0, 0)"] },
  {
    type: "LINESTRING",
    form: "geometry",
    values: ["ST_GeomFromText('LINESTRING(0 0,1 1,2 3)', 4326)"],
  },
  { type: "POLYGON", form: "geometry", values: ["ST_GeomFromText('POLYGON((0 0,2 0,2 2,0 0))')"] },
];

const generated: readonly TypeCase[] = [
  {
    type: "VARCHAR(40) AS (CONCAT(source, '!')) STORED",
    form: "text",
    values: ["'a'", "''"],
    isGenerated: true,
  },
  {
    type: "VARCHAR(40) AS (UPPER(source)) VIRTUAL",
    form: "text",
    values: ["'b'", "'c'"],
    isGenerated: true,
  },
  {
    type: "INT AS (LENGTH(source)) VIRTUAL",
    form: "integer",
    values: ["'four'", "''"],
    isGenerated: true,
  },
];

const invisible: readonly TypeCase[] = [
  { type: "INT INVISIBLE", form: "integer", values: ["-5", "2147483647"] },
];

const vectors: readonly TypeCase[] = [
  {
    type: "VECTOR(3)",
    form: "vector",
    values: ["STRING_TO_VECTOR('[1,2.5,-3]')", "STRING_TO_VECTOR('[0.1,1e30,1e-30]')"],
  },
  {
    type: "VECTOR(2048)",
    form: "vector",
    values: [`STRING_TO_VECTOR(CONCAT('[', ${repeated("0.5,", 99)}, '7]'))`],
  },
];

const mariadbOnly: readonly TypeCase[] = [
  // One of the collations that several character sets share.
  { type: "VARCHAR(9) COLLATE utf16_uca1400_czech_ai_ci", form: "text", values: ["'žluť'", "''"] },
  // MariaDB's log does not tell these from BINARY: their bytes are what is stored.
  {
    type: "UUID",
    form: "bytes",
    values: [
      "'6db3edf2-e588-11f1-8730-02fc00000001'",
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'123e4567-e89b-42d3-a456-426614174000'",
    ],
  },
  {
    type: "INET6",
    form: "bytes",
    values: ["'::'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.128'"],
  },
  { type: "INET4", form: "bytes", values: ["'0.0.0.0'", "'192.0.2.128'", "'255.255.255.255'"] },
];

export function casesOf(version: MysqlVersion): readonly TypeCase[] {
  const isMaria = version === "mariadb";
  const everywhere = [...numbers, ...temporals, ...texts, ...bytes, ...geometry, ...generated];
  return [
    ...everywhere,
    {
      type: "JSON",
      form: isMaria ? "text" : version === "mysql-5" ? "json-5" : "json",
      values: isMaria ? json : [...json, ...mysqlJson],
    },
    ...(version === "mysql-9" ? vectors : []),
    ...(version === "mysql-9" || isMaria ? invisible : []),
    ...(isMaria ? mariadbOnly : []),
  ];
}

const samples: readonly string[] = [
  ...["'plain'", "''", "'äöü ÿ'", "'Ελλάδα'", "'Привет'", "'日本語カナ'", "'汉字漢字'", "'한국어'"],
  ...["'שלום'", "'ไทย'", "'Příliš žluťoučký'", "'ığüş'", "'a  '", "'😀'", "'€'"],
];

/** Each set in which the server keeps text, in each of three ways to store it. */
export function textCasesOf(charsets: readonly string[]): readonly TypeCase[] {
  return charsets.flatMap(charset =>
    ["CHAR(30)", "VARCHAR(300)", "TEXT"].map((type): TypeCase => ({
      type: `${type} CHARACTER SET ${charset}`,
      form: "text",
      values: samples,
    })),
  );
}
