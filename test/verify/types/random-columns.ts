/** Random columns: a type with random parameters, and random values for it, those at its edges more often. */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Random } from "../random.ts";
import type { Shape } from "./canonical.ts";
import { GEOMETRY_KINDS, geometryValue, SRIDS } from "./random-geometry.ts";
import { jsonValue, randomDouble } from "./random-json.ts";
import { hexLiteral, quoted, randomBytes, textValue, type Charset } from "./random-text.ts";

export interface RandomType {
  /** As CREATE TABLE wants it. */
  readonly sql: string;
  readonly shape: Shape;
  /** How a key holds it: whole, its first characters, or not at all. */
  readonly key: "whole" | "prefix" | "none";
  /** A value as SQL, never NULL; undefined where the server fills the column. */
  readonly value: (() => string) | undefined;
}

export interface Surroundings {
  readonly random: Random;
  readonly version: MysqlVersion;
  readonly charsets: readonly Charset[];
}

type Maker = (around: Surroundings) => RandomType;

const EDGES = 0.4;

function edgeOr(random: Random, edges: readonly string[], other: () => string): string {
  return random.chance(EDGES) ? random.pick(edges) : other();
}

const INTEGERS = [
  ["TINYINT", 8],
  ["SMALLINT", 16],
  ["MEDIUMINT", 24],
  ["INT", 32],
  ["BIGINT", 64],
] as const;

const integer: Maker = ({ random }) => {
  const [name, bits] = random.pick(INTEGERS);
  const unsigned = random.chance(0.5);
  const span = 2n ** BigInt(bits);
  const min = unsigned ? 0n : -span / 2n;
  const edges = [min, min + span - 1n, min + 1n, min + span - 2n, 0n, 1n, span / 2n - 1n];
  if (!unsigned) edges.push(-1n);
  const any = (): string => {
    const drawn = (BigInt(random.int(0, 2 ** 32 - 1)) << 32n) | BigInt(random.int(0, 2 ** 32 - 1));
    return String(min + (drawn % span));
  };
  return {
    sql: `${name}${unsigned ? " UNSIGNED" : ""}`,
    shape: { kind: "integer", bits, unsigned },
    key: "whole",
    value: () => edgeOr(random, edges.map(String), any),
  };
};

const decimal: Maker = ({ random }) => {
  const precision = random.chance(0.3) ? random.pick([1, 9, 10, 18, 19, 65]) : random.int(1, 65);
  const scale = random.int(0, Math.min(30, precision));
  const unsigned = random.chance(0.2);
  const number = (digits: string): string => {
    const padded = digits.padStart(precision, "0");
    return `${padded.slice(0, precision - scale) || "0"}.${padded.slice(precision - scale)}`;
  };
  const sign = (): string => (unsigned || random.chance(0.5) ? "" : "-");
  const digits = (count: number): string =>
    Array.from({ length: count }, () => random.int(0, 9)).join("");
  const edges = ["9".repeat(precision), "1", "0", `1${"0".repeat(precision - 1)}`];
  return {
    sql: `DECIMAL(${precision},${scale})${unsigned ? " UNSIGNED" : ""}`,
    shape: { kind: "decimal" },
    key: "whole",
    value: () =>
      `${sign()}${number(edgeOr(random, edges, () => digits(random.int(1, precision))))}`,
  };
};

const float: Maker = ({ random }) => {
  const bits = Buffer.alloc(4);
  const any = (): string => {
    do bits.writeUInt32LE(random.int(0, 2 ** 32 - 1));
    while (!Number.isFinite(bits.readFloatLE()));
    return bits.readFloatLE().toPrecision(9);
  };
  const edges = ["0", "-0e0", "3.4028234e38", "-3.4028234e38", "1.4e-45", "1.17549435e-38"];
  const plain = ["0.1", "1", "-1.5", "16777216", "16777217", "1e10"];
  return {
    sql: random.pick(["FLOAT", "FLOAT", "FLOAT", "FLOAT UNSIGNED", "FLOAT(9,4)"]),
    shape: { kind: "float" },
    key: "whole",
    value: () => edgeOr(random, [...edges, ...plain], any),
  };
};

const double: Maker = ({ random }) => {
  const edges = ["0", "-0e0", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324"];
  const plain = ["2.2250738585072014e-308", "0.1", "1e15", "1e16", "1e21", "9007199254740993"];
  return {
    sql: random.pick(["DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE UNSIGNED", "DOUBLE(20,6)"]),
    shape: { kind: "double" },
    key: "whole",
    value: () => edgeOr(random, [...edges, ...plain], () => String(randomDouble(random))),
  };
};

const bit: Maker = ({ random }) => {
  const length = random.chance(0.3) ? random.pick([1, 7, 8, 9, 63, 64]) : random.int(1, 64);
  const drawn = (): string => Array.from({ length }, () => random.int(0, 1)).join("");
  return {
    sql: `BIT(${length})`,
    shape: { kind: "bits", length },
    key: "whole",
    value: () =>
      `b'${edgeOr(random, ["0", "1", "1".repeat(length), `1${"0".repeat(length - 1)}`], drawn)}'`,
  };
};

const two = (random: Random, from: number, to: number): string =>
  String(random.int(from, to)).padStart(2, "0");

const dateOf = (random: Random, fromYear: number, toYear: number): string =>
  `${String(random.int(fromYear, toYear)).padStart(4, "0")}-${two(random, 1, 12)}-${two(random, 1, 28)}`;

const timeOf = (random: Random): string =>
  `${two(random, 0, 23)}:${two(random, 0, 59)}:${two(random, 0, 59)}`;

/** Of six digits at most: the server rounds what its column has no room for. */
const fractionOf = (random: Random): string =>
  random.pick(["", ".000001", ".9", ".5", ".05", `.${random.int(0, 999_999)}`, ".123456"]);

const DATES = ["0000-00-00", "9999-12-31", "1000-01-01", "1950-00-04", "2024-02-29", "0001-01-01"];

const date: Maker = ({ random }) => ({
  sql: "DATE",
  shape: { kind: "date" },
  key: "whole",
  value: () =>
    quoted(edgeOr(random, [...DATES, "1950-06-00", "0000-05-01"], () => dateOf(random, 0, 9999))),
});

const year: Maker = ({ random }) => ({
  sql: "YEAR",
  shape: { kind: "year" },
  key: "whole",
  value: () => edgeOr(random, ["0", "1901", "2155", "1970"], () => String(random.int(1901, 2155))),
});

const time: Maker = ({ random }) => {
  const scale = random.int(0, 6);
  const edges = [
    "-838:59:59",
    "838:59:59",
    "00:00:00",
    "-00:00:00.000001",
    "-00:00:01",
    "-01:00:00",
  ];
  const any = (): string =>
    `${random.pick(["", "-"])}${random.int(0, 837)}:${two(random, 0, 59)}:${two(random, 0, 59)}`;
  return {
    sql: `TIME(${scale})`,
    shape: { kind: "time", scale },
    key: "whole",
    value: () => quoted(edgeOr(random, edges, () => any() + fractionOf(random))),
  };
};

const datetime: Maker = ({ random }) => {
  const scale = random.int(0, 6);
  const edges = DATES.flatMap(day => [`${day} 00:00:00`, `${day} 23:59:59`]);
  return {
    sql: `DATETIME(${scale})`,
    shape: { kind: "datetime", scale },
    key: "whole",
    value: () =>
      quoted(
        edgeOr(random, edges, () => `${dateOf(random, 1, 9998)} ${timeOf(random)}`) +
          fractionOf(random),
      ),
  };
};

const timestamp: Maker = ({ random }) => {
  const scale = random.int(0, 6);
  const edges = ["1970-01-01 00:00:01", "2038-01-19 03:14:07", "0000-00-00 00:00:00"];
  const any = (): string => `${dateOf(random, 1971, 2037)} ${timeOf(random)}${fractionOf(random)}`;
  return {
    sql: `TIMESTAMP(${scale})`,
    shape: { kind: "timestamp", scale },
    key: "whole",
    value: () => quoted(edgeOr(random, edges, any)),
  };
};

/** Where the length in front of the text gets a second byte, in sets of one to four bytes. */
const LENGTHS = [0, 1, 30, 63, 64, 85, 86, 127, 128, 255, 256, 300, 1_000];

function collated({ name, collations }: Charset, random: Random): string {
  const rule = collations.length > 0 && random.chance(0.5) ? random.pick(collations) : undefined;
  return `CHARACTER SET ${name}${rule === undefined ? "" : ` COLLATE ${rule}`}`;
}

const text: Maker = ({ random, charsets }) => {
  const charset = random.pick(charsets);
  const kind = random.pick([
    "CHAR",
    "VARCHAR",
    "VARCHAR",
    "TINYTEXT",
    "TEXT",
    "MEDIUMTEXT",
    "LONGTEXT",
  ]);
  const isSized = kind.endsWith("CHAR");
  const lengths = kind === "CHAR" ? LENGTHS.filter(length => length <= 255) : LENGTHS;
  const length = isSized ? random.pick(lengths) : kind === "TINYTEXT" ? 80 : 400;
  const longest = (): number => {
    if (isSized || kind === "TINYTEXT" || !random.chance(0.03)) return length;
    return kind === "TEXT" ? 12_000 : 70_000;
  };
  return {
    sql: `${kind}${isSized ? `(${length})` : ""} ${collated(charset, random)}`,
    shape: { kind: "text", charset: charset.name },
    key: isSized && length > 0 && length <= 64 ? "whole" : length > 64 ? "prefix" : "none",
    value: () => textValue(random, charset, longest()),
  };
};

const bytes: Maker = ({ random }) => {
  const kind = random.pick([
    "BINARY",
    "BINARY",
    "VARBINARY",
    "TINYBLOB",
    "BLOB",
    "MEDIUMBLOB",
    "LONGBLOB",
  ]);
  const isSized = kind.endsWith("BINARY");
  const lengths = kind === "BINARY" ? LENGTHS.filter(length => length <= 255) : LENGTHS;
  const length = isSized ? random.pick(lengths) : kind === "TINYBLOB" ? 255 : 700;
  const any = (): Buffer =>
    randomBytes(random, random.chance(0.2) ? random.pick([0, 1, length]) : random.int(0, length));
  return {
    sql: `${kind}${isSized ? `(${length})` : ""}`,
    shape: { kind: "bytes", size: kind === "BINARY" ? length : 0 },
    key: isSized && length > 0 && length <= 255 ? "whole" : length > 255 ? "prefix" : "none",
    value: () =>
      !isSized && kind !== "TINYBLOB" && random.chance(0.01)
        ? `REPEAT(x'00FF7F', ${random.int(1_000, 20_000)})`
        : hexLiteral(any()),
  };
};

/** Letters that a set has, so that the members are what the server stores. */
const LETTERS: Readonly<Record<string, string>> = {
  ...{ ascii: "ab", latin1: "éß", latin2: "žł", latin5: "ış", latin7: "ģņ", cp1250: "řś" },
  ...{ cp1251: "жё", cp1256: "عپ", cp850: "öÐ", cp866: "юя", greek: "λά", hebrew: "שא" },
  ...{ koi8r: "йъ", koi8u: "їґ", tis620: "กฮ", macroman: "ñœ", armscii8: "ԱՖ", geostd8: "აჰ" },
  ...{ big5: "中臺", gb2312: "中国", gbk: "這镕", euckr: "한글", sjis: "表ソ", cp932: "髙①" },
  ...{ ujis: "漢カ", eucjpms: "髙①", ucs2: "ž中", utf8: "é中", utf8mb3: "é中" },
  ...{ utf8mb4: "é中😀", utf16: "é中😀", utf16le: "é中😀", utf32: "é中😀", gb18030: "é中😀" },
};

function memberCharset({ random, charsets }: Surroundings): Charset {
  return random.pick(charsets.filter(({ name }) => LETTERS[name] !== undefined));
}

/** One letter and numbers: texts that differ by accents alone would be the same member. */
function memberNames(random: Random, charset: Charset, count: number): string[] {
  const letter = random.pick(Array.from(LETTERS[charset.name] ?? "m"));
  const names = Array.from({ length: count }, (_, i) => `${letter}${i}`);
  if (random.chance(0.3)) names[random.int(0, count - 1)] = 'it\'s a "member"';
  return names;
}

const choice: Maker = around => {
  const { random } = around;
  const count = random.pick([1, 2, 5, 254, 255, 256, 300]);
  const charset = memberCharset(around);
  const members = memberNames(random, charset, count);
  if (random.chance(0.2)) members[random.int(0, count - 1)] = "a,b";
  if (random.chance(0.2)) members[random.int(0, count - 1)] = "";
  const list = members.map(quoted).join(",");
  return {
    sql: `ENUM(${list}) ${collated(charset, random)}`,
    shape: { kind: "enum", members },
    key: "whole",
    value: () => edgeOr(random, ["0", "1", String(count)], () => String(random.int(1, count))),
  };
};

const set: Maker = around => {
  const { random } = around;
  const count = random.pick([1, 2, 7, 8, 9, 16, 17, 24, 25, 32, 33, 63, 64]);
  const charset = memberCharset(around);
  const members = memberNames(random, charset, count);
  const all = 2n ** BigInt(count) - 1n;
  const any = (): bigint =>
    ((BigInt(random.int(0, 2 ** 32 - 1)) << 32n) | BigInt(random.int(0, 2 ** 32 - 1))) & all;
  return {
    sql: `SET(${members.map(quoted).join(",")}) ${collated(charset, random)}`,
    shape: { kind: "set", members },
    key: "whole",
    value: () =>
      edgeOr(random, ["0", "1", String(all), String((all + 1n) / 2n)], () => String(any())),
  };
};

const json: Maker = ({ random, version }) =>
  version === "mariadb"
    ? {
        sql: "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        shape: { kind: "text", charset: "utf8mb4" },
        key: "none",
        value: () => jsonValue(random, { opaque: false }),
      }
    : {
        sql: "JSON",
        shape: { kind: "json" },
        key: "none",
        value: () => jsonValue(random, { opaque: true }),
      };

const geometry: Maker = ({ random, version }) => {
  const kind = random.pick([...GEOMETRY_KINDS, "GEOMETRY" as const]);
  const fixed = version !== "mariadb" && random.chance(0.3) ? random.pick(SRIDS) : undefined;
  return {
    sql: `${kind}${fixed === undefined ? "" : ` SRID ${fixed}`}`,
    shape: { kind: "bytes", size: 0 },
    key: "none",
    value: () =>
      geometryValue(random, {
        kind: kind === "GEOMETRY" ? random.pick(GEOMETRY_KINDS) : kind,
        srid: fixed ?? random.pick(SRIDS),
        nested: version === "mariadb" ? 0 : 2,
      }),
  };
};

const vector: Maker = ({ random }) => {
  const length = random.pick([1, 2, 3, 16, 768]);
  const number = (): string =>
    random.chance(0.3) ? "0" : String(Math.fround(random.next() - 0.5));
  return {
    sql: `VECTOR(${random.chance(0.5) ? length : 2_048})`,
    shape: { kind: "bytes", size: 0 },
    key: "none",
    value: () => `STRING_TO_VECTOR('[${Array.from({ length }, number).join(",")}]')`,
  };
};

const GENERATED = [
  ["BIGINT", "row_version * 4294967296 - row_no", { kind: "integer", bits: 64, unsigned: false }],
  ["DECIMAL(20,5)", "row_no / 7", { kind: "decimal" }],
  ["VARCHAR(90) CHARACTER SET utf8mb4", "HEX(row_no)", { kind: "text", charset: "utf8mb4" }],
  ["VARBINARY(40)", "UNHEX(LPAD(HEX(row_version), 8, '0'))", { kind: "bytes", size: 0 }],
] as const satisfies readonly (readonly [string, string, Shape])[];

const generated: Maker = ({ random }) => {
  const [type, expression, shape] = random.pick(GENERATED);
  const kind = random.pick(["STORED", "VIRTUAL"]);
  return { sql: `${type} AS (${expression}) ${kind}`, shape, key: "none", value: undefined };
};

/** MariaDB's log does not tell these from BINARY. */
const address: Maker = ({ random }) => {
  const name = random.pick(["UUID", "INET6", "INET4"]);
  const size = name === "INET4" ? 4 : 16;
  const any = (): Buffer => {
    const drawn = Buffer.from(Array.from({ length: size }, () => random.int(0, 255)));
    if (random.chance(0.2)) drawn.fill(random.pick([0x00, 0xff]));
    return drawn;
  };
  return {
    sql: name,
    shape: { kind: "bytes", size },
    key: "whole",
    value: () => hexLiteral(any()),
  };
};

const EVERYWHERE: readonly Maker[] = [
  ...[integer, integer, integer, decimal, decimal, float, double, bit, bit, date, year, time, time],
  ...[datetime, datetime, timestamp, timestamp, text, text, text, text, bytes, bytes, bytes],
  ...[choice, set, json, json, json, geometry, geometry],
];

export function randomType(around: Surroundings, options: { mayGenerate: boolean }): RandomType {
  const makers = [...EVERYWHERE];
  if (around.version === "mysql-9") makers.push(vector);
  if (around.version === "mariadb") makers.push(address, address);
  if (options.mayGenerate) makers.push(generated);
  return around.random.pick(makers)(around);
}
