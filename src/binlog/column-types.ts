/** From a column as the table map describes it to its type in Tidemark's words and the reader of its cells. */
import type { Column, ColumnType } from "../core/rows.ts";
import * as cells from "./cells.ts";
import { isUtf8, textDecoding } from "./charsets.ts";
import { EventFault } from "./event-fault.ts";

/** Type codes of MySQL's protocol, as far as the binlog of a server since 5.6.4 holds them. */
export const MysqlType = {
  tiny: 1,
  short: 2,
  long: 3,
  float: 4,
  double: 5,
  longlong: 8,
  int24: 9,
  date: 10,
  year: 13,
  varchar: 15,
  bit: 16,
  timestamp2: 17,
  datetime2: 18,
  time2: 19,
  vector: 242,
  json: 245,
  decimal: 246,
  enum: 247,
  set: 248,
  blob: 252,
  string: 254,
  geometry: 255,
} as const;

export interface ColumnFacts {
  /** Names the column in messages. */
  readonly where: string;
  readonly type: number;
  /** What the table map says about the storage: a length, prefix size, precision or number of bits. */
  readonly size: number;
  readonly scale: number;
  readonly unsigned: boolean;
  /** Name of the character set; "binary" for columns of bytes. */
  readonly charset: string | undefined;
  /** Members of an ENUM or SET, in the column's character set. */
  readonly values: readonly Buffer[];
}

export interface ColumnFormat extends Pick<Column, "type" | "length" | "scale"> {
  readonly cell: cells.CellReader;
}

export function columnFormat(facts: ColumnFacts): ColumnFormat {
  return numberFormat(facts) ?? temporalFormat(facts) ?? bytesFormat(facts);
}

function plain(type: ColumnType, cell: cells.CellReader): ColumnFormat {
  return { type, length: 0, scale: 0, cell };
}

function numberFormat({ type, size, scale, unsigned }: ColumnFacts): ColumnFormat | undefined {
  switch (type) {
    case MysqlType.tiny:
      return plain("tinyint", cells.integerCell(1, unsigned));
    case MysqlType.short:
      return plain("smallint", cells.integerCell(2, unsigned));
    case MysqlType.int24:
      return plain("mediumint", cells.integerCell(3, unsigned));
    case MysqlType.long:
      return plain("int", cells.integerCell(4, unsigned));
    case MysqlType.longlong:
      return plain("bigint", cells.bigintCell(unsigned));
    case MysqlType.decimal:
      return { type: "decimal", length: 0, scale, cell: cells.decimalCell(size, scale) };
    case MysqlType.float:
      return plain("float", cells.floatCell);
    case MysqlType.double:
      return plain("double", cells.doubleCell);
    case MysqlType.bit:
      return { type: "bit", length: size, scale: 0, cell: cells.rawCell(Math.ceil(size / 8)) };
    default:
      return undefined;
  }
}

function temporalFormat({ type, size }: ColumnFacts): ColumnFormat | undefined {
  const withFraction = (name: ColumnType, cell: cells.CellReader): ColumnFormat => ({
    type: name,
    length: size,
    scale: size,
    cell,
  });
  switch (type) {
    case MysqlType.year:
      return plain("year", cells.yearCell);
    case MysqlType.date:
      return plain("date", cells.dateCell);
    case MysqlType.time2:
      return withFraction("time", cells.timeCell(size));
    case MysqlType.datetime2:
      return withFraction("datetime", cells.datetimeCell(size));
    case MysqlType.timestamp2:
      return withFraction("timestamp", cells.timestampCell(size));
    default:
      return undefined;
  }
}

function bytesFormat(facts: ColumnFacts): ColumnFormat {
  const { type, size } = facts;
  const isBinary = facts.charset === "binary";
  switch (type) {
    case MysqlType.varchar: {
      const prefix = size > 255 ? 2 : 1;
      if (isBinary) return plain("varbinary", cells.bytesCell(prefix));
      return plain("varchar", characterCell(prefix, facts));
    }
    case MysqlType.string: {
      const prefix = size > 255 ? 2 : 1;
      if (!isBinary) return plain("char", characterCell(prefix, facts));
      return { type: "binary", length: size, scale: 0, cell: cells.binaryCell(prefix, size) };
    }
    case MysqlType.blob:
      if (isBinary) return plain("blob", cells.bytesCell(size));
      return plain("text", characterCell(size, facts));
    case MysqlType.json:
      return plain("json", cells.jsonCell(size));
    case MysqlType.geometry:
      return plain("geometry", cells.bytesCell(size));
    case MysqlType.vector:
      return plain("vector", cells.bytesCell(size));
    case MysqlType.enum:
      return plain("enum", cells.enumCell(size, members(facts)));
    case MysqlType.set:
      return plain("set", cells.setCell(size, members(facts)));
    default:
      throw new EventFault(`${facts.where} has the type ${type}, which is not supported`);
  }
}

function charsetOf({ where, charset }: ColumnFacts): string {
  if (charset === undefined)
    throw new EventFault(`the binlog does not tell the character set of ${where}`);
  return charset;
}

function characterCell(prefix: number, facts: ColumnFacts): cells.CellReader {
  const charset = charsetOf(facts);
  return isUtf8(charset) ? cells.bytesCell(prefix) : cells.textCell(prefix, textDecoding(charset));
}

function members(facts: ColumnFacts): string[] {
  const charset = charsetOf(facts);
  // The members of a column of bytes are text all the same; nothing better is known than UTF-8.
  const decode = textDecoding(charset === "binary" ? "utf8mb4" : charset);
  return facts.values.map(value => decode(value));
}
