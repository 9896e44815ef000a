/**
 * Writes src/binlog/multi-byte-tables.ts: what MySQL makes of each sequence of bytes in its East Asian
 * character sets, asked of a real server.
 *
 *   npm run charsets
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { createConnection, type Connection, type RowDataPacket } from "mysql2/promise";
import {
  LAYOUTS,
  NO_SEQUENCE,
  TWO_UNKNOWN,
  type MultiByteLayout,
} from "../src/binlog/multi-byte.ts";
import { startMysql, stopAll } from "./services/services.ts";

type Range = readonly [first: number, last: number];

interface Shape {
  readonly leads: readonly Range[];
  readonly trails: readonly Range[];
}

/** Which sequences of two bytes a column of the set can hold. */
const SHAPES: Readonly<Record<string, Shape>> = {
  big5: {
    leads: [[0xa1, 0xf9]],
    trails: [
      [0x40, 0x7e],
      [0xa1, 0xfe],
    ],
  },
  cp932: {
    leads: [
      [0x81, 0x9f],
      [0xe0, 0xfc],
    ],
    trails: [
      [0x40, 0x7e],
      [0x80, 0xfc],
    ],
  },
  sjis: {
    leads: [
      [0x81, 0x9f],
      [0xe0, 0xfc],
    ],
    trails: [
      [0x40, 0x7e],
      [0x80, 0xfc],
    ],
  },
  euckr: {
    leads: [[0x81, 0xfe]],
    trails: [
      [0x41, 0x5a],
      [0x61, 0x7a],
      [0x81, 0xfe],
    ],
  },
  gb2312: { leads: [[0xa1, 0xf7]], trails: [[0xa1, 0xfe]] },
  gbk: {
    leads: [[0x81, 0xfe]],
    trails: [
      [0x40, 0x7e],
      [0x80, 0xfe],
    ],
  },
  gb18030: {
    leads: [[0x81, 0xfe]],
    trails: [
      [0x40, 0x7e],
      [0x80, 0xfe],
    ],
  },
  ujis: {
    leads: [
      [0x8e, 0x8e],
      [0xa1, 0xfe],
    ],
    trails: [[0xa0, 0xfe]],
  },
  eucjpms: {
    leads: [
      [0x8e, 0x8e],
      [0xa1, 0xfe],
    ],
    trails: [[0xa0, 0xfe]],
  },
};

/** The sequence of each cell, in the order of the cells; undefined where there can be none. */
function sequencesOf({ charset, rest }: MultiByteLayout): (readonly number[] | undefined)[] {
  const { leads, trails } = SHAPES[charset] ?? { leads: [], trails: [] };
  const isLead = (byte: number): boolean =>
    isWithin(leads, byte) || (rest === "three" && byte === 0x8f);
  const pairs = upTo(0x80, 0xff).flatMap(lead =>
    upTo(0x40, 0xff).map(trail =>
      isWithin(leads, lead) && isWithin(trails, trail) ? [lead, trail] : undefined,
    ),
  );
  const singles = upTo(0x80, 0xff).map(byte => (isLead(byte) ? undefined : [byte]));
  return [...pairs, ...singles, ...restOf(rest)];
}

function restOf(rest: MultiByteLayout["rest"]): number[][] {
  const side = upTo(0xa1, 0xfe);
  const digits = upTo(0x30, 0x39);
  if (rest === "three") return side.flatMap(row => side.map(cell => [0x8f, row, cell]));
  if (rest === "none") return [];
  return upTo(0x81, 0x84).flatMap(first =>
    digits.flatMap(second =>
      upTo(0x81, 0xfe).flatMap(third => digits.map(fourth => [first, second, third, fourth])),
    ),
  );
}

function isWithin(ranges: readonly Range[], byte: number): boolean {
  return ranges.some(([first, last]) => byte >= first && byte <= last);
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

const ROWS_PER_INSERT = 20_000;

async function cellsOf(connection: Connection, layout: MultiByteLayout): Promise<number[]> {
  const sequences = sequencesOf(layout);
  const values = sequences.flatMap((bytes, i) =>
    bytes ? [`(${i}, x'${Buffer.from(bytes).toString("hex")}')`] : [],
  );
  await connection.query("CREATE TABLE s (cell INT PRIMARY KEY, bytes VARBINARY(4))");
  for (let i = 0; i < values.length; i += ROWS_PER_INSERT) {
    const some = values.slice(i, i + ROWS_PER_INSERT);
    await connection.query(`INSERT INTO s VALUES ${some.join(", ")}`);
  }
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT cell, CONVERT(CONVERT(bytes USING ${layout.charset}) USING utf8mb4) AS text FROM s`,
  );
  await connection.query("DROP TABLE s");
  const cells = sequences.map(() => NO_SEQUENCE);
  for (const row of rows) cells[Number(row["cell"])] = cellOf(String(row["text"] ?? ""));
  return cells;
}

function cellOf(text: string): number {
  if (text === "??") return TWO_UNKNOWN;
  const [character = 0, ...more] = Array.from(text, part => part.codePointAt(0) ?? 0);
  if (more.length > 0 || character > 0xffff) throw new Error(`One sequence became "${text}".`);
  return character;
}

function packed(cells: readonly number[]): string {
  const distances = cells.map((cell, i) => (cell - (cells[i - 1] ?? 0)) & 0xffff);
  const bytes = Buffer.from(Uint16Array.from(distances).buffer);
  const params = { [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS };
  return brotliCompressSync(bytes, { params }).toString("base64");
}

const mysql = await startMysql("mysql-9");
const { host, port, user, password } = mysql;
const connection = await createConnection({ host, port, user, password, charset: "utf8mb4" });
await connection.query("CREATE DATABASE charsets");
await connection.query("USE charsets");
await connection.query("SET sql_mode = ''");
const cells: number[] = [];
for (const layout of LAYOUTS) {
  for (const cell of await cellsOf(connection, layout)) cells.push(cell);
}
connection.destroy();
await stopAll();

const lines = packed(cells).match(/.{1,92}/g) ?? [];
const file = fileURLToPath(new URL("../src/binlog/multi-byte-tables.ts", import.meta.url));
writeFileSync(
  file,
  `/** Generated by tools/generate-charsets.ts (npm run charsets): see multi-byte.ts. */
export const MULTI_BYTE_TABLES =
${lines.map(line => `  "${line}"`).join(" +\n")};
`,
);
process.exit(); // The keeper's pipe is open.
