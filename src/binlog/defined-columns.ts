/** A table's definition as information_schema tells it, compared with a table map and put in its words. */
import { MysqlType } from "./column-types.ts";
import { unproven, type ColumnDefinition, type TableDefinition } from "./definitions.ts";

export interface StoredColumn {
  readonly type: number;
  readonly size: number;
  readonly scale: number;
}

export interface DefinedColumn extends Pick<ColumnDefinition, "name" | "unsigned" | "members"> {
  readonly charset: string;
  readonly isPoint: boolean;
}

const TYPES: Readonly<Record<string, number>> = {
  tinyint: MysqlType.tiny,
  smallint: MysqlType.short,
  mediumint: MysqlType.int24,
  int: MysqlType.long,
  bigint: MysqlType.longlong,
  float: MysqlType.float,
  double: MysqlType.double,
  decimal: MysqlType.decimal,
  bit: MysqlType.bit,
  year: MysqlType.year,
  date: MysqlType.date,
  time: MysqlType.time2,
  datetime: MysqlType.datetime2,
  timestamp: MysqlType.timestamp2,
  char: MysqlType.string,
  binary: MysqlType.string,
  uuid: MysqlType.string,
  inet4: MysqlType.string,
  inet6: MysqlType.string,
  varchar: MysqlType.varchar,
  varbinary: MysqlType.varchar,
  tinytext: MysqlType.blob,
  text: MysqlType.blob,
  mediumtext: MysqlType.blob,
  longtext: MysqlType.blob,
  tinyblob: MysqlType.blob,
  blob: MysqlType.blob,
  mediumblob: MysqlType.blob,
  longblob: MysqlType.blob,
  json: MysqlType.json,
  enum: MysqlType.enum,
  set: MysqlType.set,
  vector: MysqlType.vector,
};

/** Of types whose size information_schema does not state. */
const SIZES: Readonly<Record<string, number>> = { uuid: 16, inet4: 4, inet6: 16 };

const GEOMETRY =
  /^(geometry|point|linestring|polygon|multipoint|multilinestring|multipolygon|geometrycollection|geomcollection)$/;
/** Types whose size the table map and information_schema state alike. */
const SIZED = /^(decimal|bit|time|datetime|timestamp|char|binary|varchar|varbinary)$/;

/** @throws EventFault if the table map cannot be that of this definition. */
export function definedColumns(
  definition: TableDefinition,
  stored: readonly StoredColumn[],
  isNullable: (column: number) => boolean,
): readonly DefinedColumn[] {
  const { columns } = definition;
  const fits =
    columns.length === stored.length &&
    columns.every(
      (column, i) => isStoredAs(column, stored[i]) && column.nullable === isNullable(i),
    );
  if (!fits) throw unproven(definition, "the table that the server has now does not match");
  return columns.map(column => {
    const { name, unsigned, members, charset = "binary" } = column;
    if (hidesCharacters(charset) && members.some(member => member.includes("?"))) {
      throw unproven(
        definition,
        `a member of ${name} may hold a character that the server shows as ?`,
      );
    }
    return { name, unsigned, charset, members, isPoint: column.dataType === "point" };
  });
}

function isStoredAs({ dataType, size, scale }: ColumnDefinition, stored?: StoredColumn): boolean {
  const type = GEOMETRY.test(dataType) ? MysqlType.geometry : TYPES[dataType];
  if (stored?.type !== type) return false;
  if (dataType === "decimal" && scale !== stored?.scale) return false;
  return !SIZED.test(dataType) || size === stored?.size;
}

/** What a table map says of such a column, as far as its values depend on it; undefined for no type we know. */
export function storedAs(column: ColumnDefinition): StoredColumn | undefined {
  const { dataType, members, scale = 0 } = column;
  const type = GEOMETRY.test(dataType) ? MysqlType.geometry : TYPES[dataType];
  if (type === undefined) return undefined;
  const size = column.size ?? SIZES[dataType] ?? 0;
  switch (type) {
    case MysqlType.enum:
      return { type, size: members.length > 255 ? 2 : 1, scale: 0 };
    case MysqlType.set:
      return { type, size: members.length > 32 ? 8 : Math.ceil(members.length / 8), scale: 0 };
    default:
      return { type, size, scale: type === MysqlType.decimal ? scale : 0 };
  }
}

/** The server writes COLUMN_TYPE in a set that lacks what stands above U+FFFF. */
function hidesCharacters(charset: string): boolean {
  return /^(utf8mb4|utf16|utf16le|utf32|gb18030)$/.test(charset);
}
