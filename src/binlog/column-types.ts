/** From a column as the table map describes it to its type in Tidemark's words and how its values are stored. */
import type { Column, ColumnType, StoredForm } from "../core/rows.ts";
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
  /** Members of an ENUM or SET. */
  readonly values: readonly Buffer[];
  /** The column is declared as POINT. */
  readonly isPoint: boolean;
  /** The character set that these are in, if it is not the column's. */
  readonly valuesCharset?: string | undefined;
}

export interface ColumnFormat extends Pick<Column, "type" | "length" | "scale"> {
  readonly form: StoredForm;
}

export function columnFormat(facts: ColumnFacts): ColumnFormat {
  const format = numberFormat(facts) ?? temporalFormat(facts) ?? bytesFormat(facts);
  return { ...format, form: naming(facts.where, format.form) };
}

/** Lets a value that cannot be decoded say whose it is. */
function naming(where: string, form: StoredForm): StoredForm {
  const { text } = form;
  if (text === undefined) return form;
  return {
    ...form,
    text: (data, start, length) => {
      try {
        return text(data, start, length);
      } catch (thrown) {
        const reason = thrown instanceof Error ? thrown.message : String(thrown);
        throw new EventFault(`${where} cannot be decoded: ${reason}`);
      }
    },
  };
}

function plain(type: ColumnType, form: StoredForm): ColumnFormat {
  return { type, length: 0, scale: 0, form };
}

function numberFormat({ type, size, scale, unsigned }: ColumnFacts): ColumnFormat | undefined {
  switch (type) {
    case MysqlType.tiny:
      return plain("tinyint", cells.integerForm(1, unsigned));
    case MysqlType.short:
      return plain("smallint", cells.integerForm(2, unsigned));
    case MysqlType.int24:
      return plain("mediumint", cells.integerForm(3, unsigned));
    case MysqlType.long:
      return plain("int", cells.integerForm(4, unsigned));
    case MysqlType.longlong:
      return plain("bigint", cells.bigintForm(unsigned));
    case MysqlType.decimal:
      return { type: "decimal", length: 0, scale, form: cells.decimalForm(size, scale) };
    case MysqlType.float:
      return plain("float", cells.floatForm);
    case MysqlType.double:
      return plain("double", cells.doubleForm);
    case MysqlType.bit:
      return { type: "bit", length: size, scale: 0, form: cells.bitForm(Math.ceil(size / 8)) };
    default:
      return undefined;
  }
}

function temporalFormat({ type, size }: ColumnFacts): ColumnFormat | undefined {
  const withFraction = (name: ColumnType, form: StoredForm): ColumnFormat => ({
    type: name,
    length: size,
    scale: size,
    form,
  });
  switch (type) {
    case MysqlType.year:
      return plain("year", cells.yearForm);
    case MysqlType.date:
      return plain("date", cells.dateForm);
    case MysqlType.time2:
      return withFraction("time", cells.timeForm(size));
    case MysqlType.datetime2:
      return withFraction("datetime", cells.datetimeForm(size));
    case MysqlType.timestamp2:
      return withFraction("timestamp", cells.timestampForm(size));
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
      if (isBinary) return plain("varbinary", cells.bytesForm(prefix));
      return plain("varchar", characterForm(prefix, facts));
    }
    case MysqlType.string: {
      const prefix = size > 255 ? 2 : 1;
      if (!isBinary) return plain("char", characterForm(prefix, facts));
      return { type: "binary", length: size, scale: 0, form: cells.binaryForm(prefix, size) };
    }
    case MysqlType.blob:
      if (isBinary) return plain("blob", cells.bytesForm(size));
      return plain("text", characterForm(size, facts));
    case MysqlType.json:
      return plain("json", cells.jsonForm(size));
    case MysqlType.geometry:
      return { ...plain("geometry", cells.bytesForm(size)), length: facts.isPoint ? 1 : 0 };
    case MysqlType.vector:
      return plain("vector", cells.bytesForm(size));
    case MysqlType.enum:
      return plain("enum", cells.enumForm(size, members(facts)));
    case MysqlType.set:
      return plain("set", cells.setForm(size, members(facts)));
    default:
      throw new EventFault(`${facts.where} has the type ${type}, which is not supported`);
  }
}

function charsetOf({ where, charset }: ColumnFacts): string {
  if (charset === undefined)
    throw new EventFault(`the binlog does not tell the character set of ${where}`);
  return charset;
}

function characterForm(prefix: number, facts: ColumnFacts): StoredForm {
  const charset = charsetOf(facts);
  return isUtf8(charset) ? cells.bytesForm(prefix) : cells.textForm(prefix, textDecoding(charset));
}

function members(facts: ColumnFacts): string[] {
  const charset = facts.valuesCharset ?? charsetOf(facts);
  // The members of a column of bytes are text all the same; nothing better is known than UTF-8.
  const decode = textDecoding(charset === "binary" ? "utf8mb4" : charset);
  return facts.values.map(value => decode(value));
}
