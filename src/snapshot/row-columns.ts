/** Columns of a table as information_schema tells them → how to ask for their values, and what they are. */
import { JSON_AS_TEXT } from "../binlog/cells.ts";
import { columnFormat, MysqlType, type ColumnFacts } from "../binlog/column-types.ts";
import { storedAs } from "../binlog/defined-columns.ts";
import type { ColumnDefinition, TableDefinition } from "../binlog/definitions.ts";
import { quoted } from "../binlog/statement-answers.ts";
import { TidemarkError } from "../core/errors.ts";
import type { Column, StoredForm } from "../core/rows.ts";
import { IS_TYPE_OF_MARIADB } from "./row-key.ts";
import * as wire from "./row-wire.ts";

export interface RowColumn {
  readonly column: Column;
  /** The word for its type in information_schema. */
  readonly dataType: string;
  /** How its values stand in the rows that are read. */
  readonly form: StoredForm;
  /** What to ask for. */
  readonly expression: string;
  readonly cell: wire.WireCell;
  /** Whether the answer may hold it under this code of the protocol. */
  readonly comesAs: (code: number) => boolean;
  /** The character set of its text. */
  readonly charset: string;
}

const UTF8_TEXT: Pick<StoredForm, "size" | "prefix" | "paddedTo" | "text"> = {
  ...{ size: 0, prefix: 0, paddedTo: 0 },
  text: undefined,
};

/** Columns in the order of the table, which is that of the binlog; also those that `*` leaves out. */
export function rowColumns(table: TableDefinition): readonly RowColumn[] {
  return table.columns.map((definition, i) =>
    rowColumn(table, definition, table.primaryKey.includes(i)),
  );
}

function rowColumn(
  { database, name }: TableDefinition,
  definition: ColumnDefinition,
  isKey: boolean,
): RowColumn {
  const { charset = "binary" } = definition;
  const where = `column ${database}.${name}.${definition.name}`;
  const stored = storedAs(definition);
  if (stored === undefined) {
    throw new TidemarkError(
      "SOURCE_SETTING",
      `The type ${definition.dataType} of ${where} is not supported: leave its table out of \`tables\`.`,
    );
  }
  const facts: ColumnFacts = {
    ...stored,
    where,
    unsigned: definition.unsigned,
    charset,
    values: definition.members.map(member => Buffer.from(member)),
    valuesCharset: "utf8mb4",
    isPoint: definition.dataType === "point",
  };
  const { form, ...format } = columnFormat(facts);
  const column = { ...format, name: definition.name, nullable: definition.nullable };
  const unsigned = facts.unsigned && NUMBER.test(format.type);
  return {
    ...{ column: { ...column, unsigned }, charset, dataType: definition.dataType },
    ...asked(definition, { form, column: { ...column, unsigned }, facts, isKey }),
  };
}

const NUMBER = /int$|^decimal$|^float$|^double$/;

interface Asked {
  readonly form: StoredForm;
  readonly column: Column;
  readonly facts: ColumnFacts;
  readonly isKey: boolean;
}

type Answer = Pick<RowColumn, "form" | "expression" | "cell" | "comesAs">;

function asked(
  { name, dataType }: ColumnDefinition,
  { form, column, facts, isKey }: Asked,
): Answer {
  const expression = `t.${quoted(name)}`;
  const plain = (cell: wire.WireCell): Answer => ({
    ...{ form, expression, cell },
    comesAs: code => wire.comesAs(column.type, code),
  });
  const { type, scale } = column;
  switch (type) {
    case "tinyint":
      return plain(wire.numberCell(1));
    case "smallint":
      return plain(wire.numberCell(2));
    case "mediumint":
      return plain(wire.numberCell(4, 3));
    case "int":
    case "float":
      return plain(wire.numberCell(4));
    case "bigint":
    case "double":
      return plain(wire.numberCell(8));
    case "year":
      return plain(wire.yearCell);
    case "date":
      return plain(wire.dateCell);
    case "time":
      return plain(wire.timeCell(scale));
    case "datetime":
      return plain(wire.datetimeCell(scale));
    case "timestamp":
      return plain(wire.timestampCell(scale));
    case "decimal":
      return { ...plain(wire.decimalCell), form: UTF8_TEXT };
    case "json":
      return plain(wire.markedCell(JSON_AS_TEXT));
    case "enum":
    case "set":
      return isKey ? numbered(form, expression, facts.size) : named(plain(wire.bytesCell), facts);
    case "binary":
      if (!IS_TYPE_OF_MARIADB.test(dataType)) return plain(wire.bytesCell);
      return {
        ...plain(wire.bytesCell),
        expression: `CAST(${expression} AS BINARY(${facts.size}))`,
      };
    default:
      return plain(wire.bytesCell);
  }
}

/** Members of a key sort by their number. */
function numbered(form: StoredForm, expression: string, size: number): Answer {
  return {
    form,
    expression: `CAST(${expression} AS UNSIGNED)`,
    cell: wire.numberCell(8, size),
    comesAs: code => wire.comesAs("bigint", code),
  };
}

/** Else by name: information_schema shows some characters of their names as `?`. */
function named(answer: Answer, facts: ColumnFacts): Answer {
  const { form } = columnFormat({ ...facts, type: MysqlType.varchar });
  return { ...answer, form };
}
