/**
 * A table map event → the shape of the table, and how the values of each column are stored.
 *
 * With binlog_row_metadata=FULL everything comes from the event itself, as it was when the rows were
 * written. Otherwise names, keys and members come from a definition that is proven for this place
 * (definitions.ts); asking INFORMATION_SCHEMA alone would be wrong after any ALTER TABLE.
 * zongji's own parser is passed by: it does not know VECTOR, drops the nullability of columns, and falls
 * back to INFORMATION_SCHEMA when anything puzzles it.
 */
import type { Column, ColumnType, StoredForm, TableShape } from "../core/rows.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { Collations } from "./charsets.ts";
import { columnFormat, MysqlType, type ColumnFacts } from "./column-types.ts";
import { definedColumns, type DefinedColumn } from "./defined-columns.ts";
import type { TableDefinition } from "./definitions.ts";
import { EventFault, setGlobal } from "./event-fault.ts";

export interface MappedTable {
  readonly table: TableShape;
  readonly forms: readonly StoredForm[];
  /** What told the columns, if the table map did not. */
  readonly definition?: TableDefinition | undefined;
}

/** Offset in a table map's body where database and table name stand: after table id and flags. */
const NAMES = 8;

export interface TableName {
  readonly database: string;
  readonly name: string;
}

export function tableNameOf(body: Buffer): TableName {
  const cursor = new ByteCursor(body, NAMES);
  const database = cursor.shortString();
  cursor.uint(1); // The name is followed by a zero byte.
  return { database, name: cursor.shortString() };
}

/** What a table map leaves for others to tell. */
export interface MapContext {
  readonly collations: Collations;
  /** Version of the server that wrote the file. */
  readonly serverVersion: string;
}

/** Tells the definition of a table whose map names no columns. */
export type Define = (table: TableName) => TableDefinition;

export function parseTableMap(body: Buffer, context: MapContext, define?: Define): MappedTable {
  const { database, name } = tableNameOf(body);
  const where = `table ${database}.${name}`;
  const cursor = new ByteCursor(body, NAMES);
  cursor.packedBytes();
  cursor.uint(1);
  cursor.packedBytes();
  cursor.uint(1);
  const types = [...cursor.take(cursor.packedUint())];
  const storage = readStorage(types, new ByteCursor(cursor.packedBytes()), where);
  const nullable = cursor.take(Math.ceil(types.length / 8));
  const isNullable = (i: number): boolean => ((nullable[i >> 3] ?? 0) & (1 << (i & 7))) !== 0;
  const metadata = readMetadata(storage, cursor, context.serverVersion);
  const isNamed = metadata.names.length === types.length;
  if (!isNamed && !define) throw notFull(where);
  const definition = isNamed ? undefined : define?.({ database, name });
  const described = definition
    ? definedColumns(definition, storage, isNullable).map(describedByServer)
    : describedByLog(metadata, readSigns(metadata.signs, storage, context.serverVersion), context);
  const columns: Column[] = [];
  const forms: StoredForm[] = [];
  for (const [i, stored] of storage.entries()) {
    const column = described[i];
    if (!column) throw notFull(where);
    const facts: ColumnFacts = {
      ...stored,
      ...column.facts,
      where: `column ${database}.${name}.${column.name}`,
    };
    const format = columnFormat(facts);
    columns.push({
      name: column.name,
      type: format.type,
      unsigned: facts.unsigned && isNumber(format.type),
      nullable: isNullable(i),
      length: format.length,
      scale: format.scale,
    });
    forms.push(format.form);
  }
  const primaryKey = definition?.primaryKey ?? metadata.primaryKey;
  return { table: { database, name, columns, primaryKey }, forms, definition };
}

interface DescribedColumn {
  readonly name: string;
  readonly facts: Pick<
    ColumnFacts,
    "unsigned" | "charset" | "values" | "valuesCharset" | "isPoint"
  >;
}

function describedByServer({ members, ...column }: DefinedColumn): DescribedColumn {
  const { name, unsigned, charset, isPoint } = column;
  const values = members.map(member => Buffer.from(member));
  return { name, facts: { unsigned, charset, isPoint, values, valuesCharset: "utf8mb4" } };
}

function describedByLog(
  { names, collations, values, geometries }: Metadata,
  signs: readonly boolean[],
  context: MapContext,
): DescribedColumn[] {
  return names.map((name, i) => {
    const charset = charsetOf(collations[i], context.collations);
    const unsigned = signs[i] ?? false;
    return {
      name,
      facts: { unsigned, charset, values: values[i] ?? [], isPoint: geometries[i] === POINT },
    };
  });
}

function notFull(where: string): EventFault {
  return new EventFault(
    `the binlog does not name the columns of ${where}; ` +
      `${setGlobal("binlog_row_metadata", "FULL")}, where the server has it (MySQL 8.0, MariaDB 10.5), and ` +
      "begin after the changes that were written before",
    "SOURCE_SETTING",
  );
}

function isNumber(type: ColumnType): boolean {
  return /int$|^decimal$|^float$|^double$/.test(type);
}

function charsetOf(collation: number | undefined, collations: Collations): string | undefined {
  if (collation === undefined) return undefined;
  return collations.get(collation) ?? `of collation ${collation}`;
}

interface Stored {
  readonly type: number;
  /** What the table map says about the storage: a length, prefix size, precision or number of bits. */
  readonly size: number;
  readonly scale: number;
}

/** Types whose storage needs no more words. */
const PLAIN: ReadonlySet<number> = new Set([
  MysqlType.tiny,
  MysqlType.short,
  MysqlType.long,
  MysqlType.longlong,
  MysqlType.int24,
  MysqlType.date,
  MysqlType.year,
]);
/** Types of which one byte tells the size: of a length in front, or the digits of a fraction. */
const ONE_BYTE: ReadonlySet<number> = new Set([
  MysqlType.float,
  MysqlType.double,
  MysqlType.timestamp2,
  MysqlType.datetime2,
  MysqlType.time2,
  MysqlType.vector,
  MysqlType.json,
  MysqlType.blob,
  MysqlType.geometry,
]);

function readStorage(types: readonly number[], cursor: ByteCursor, where: string): Stored[] {
  return types.map((type, i) => {
    if (PLAIN.has(type)) return { type, size: 0, scale: 0 };
    if (ONE_BYTE.has(type)) return { type, size: cursor.uint(1), scale: 0 };
    switch (type) {
      case MysqlType.varchar:
        return { type, size: cursor.uint(2), scale: 0 };
      case MysqlType.bit: {
        const bits = cursor.uint(1);
        return { type, size: bits + 8 * cursor.uint(1), scale: 0 };
      }
      case MysqlType.decimal:
        return { type, size: cursor.uint(1), scale: cursor.uint(1) };
      case MysqlType.string:
        return readString(cursor.uint(1), cursor.uint(1));
      default:
        throw new EventFault(
          `column ${i + 1} of ${where} has the type ${type}, which is not supported; ` +
            "if it dates from before MySQL 5.6.4, run ALTER TABLE … FORCE",
        );
    }
  });
}

/** CHAR, BINARY, ENUM and SET share a type; of long CHARs, two bits of the length hide in the first byte. */
function readString(first: number, second: number): Stored {
  if (first === MysqlType.enum || first === MysqlType.set) {
    return { type: first, size: second, scale: 0 };
  }
  return { type: MysqlType.string, size: (((first << 4) & 0x300) ^ 0x300) + second, scale: 0 };
}

interface Metadata {
  names: string[];
  primaryKey: number[];
  signs: Buffer;
  readonly collations: number[];
  readonly values: Buffer[][];
  readonly geometries: number[];
}

/** The fields of the optional metadata that matter here; others are skipped by their length. */
const Field = {
  signedness: 1,
  defaultCharset: 2,
  columnCharset: 3,
  columnName: 4,
  setValues: 5,
  enumValues: 6,
  geometryType: 7,
  simplePrimaryKey: 8,
  prefixPrimaryKey: 9,
  enumSetDefaultCharset: 10,
  enumSetCharset: 11,
} as const;

/** Among the types of geometries. */
const POINT = 1;

const NO_SIGNS = Buffer.alloc(0);

const NUMERIC: ReadonlySet<number> = new Set([
  MysqlType.tiny,
  MysqlType.short,
  MysqlType.int24,
  MysqlType.long,
  MysqlType.longlong,
  MysqlType.decimal,
  MysqlType.float,
  MysqlType.double,
]);
const NUMERIC_OR_YEAR: ReadonlySet<number> = new Set([...NUMERIC, MysqlType.year]);
const CHARACTER: ReadonlySet<number> = new Set([
  MysqlType.string,
  MysqlType.varchar,
  MysqlType.blob,
  MysqlType.vector,
]);
/** To MariaDB a GEOMETRY is a BLOB in every respect. */
const CHARACTER_OF_MARIADB: ReadonlySet<number> = new Set([...CHARACTER, MysqlType.geometry]);
const ENUM_OR_SET: ReadonlySet<number> = new Set([MysqlType.enum, MysqlType.set]);

function readMetadata(
  storage: readonly Stored[],
  cursor: ByteCursor,
  serverVersion: string,
): Metadata {
  const found: Metadata = {
    names: [],
    primaryKey: [],
    signs: NO_SIGNS,
    collations: [],
    values: [],
    geometries: [],
  };
  const columnsOf: ColumnsOf = types =>
    storage.flatMap(({ type }, i) => (types.has(type) ? [i] : []));
  const character = isMariadb(serverVersion) ? CHARACTER_OF_MARIADB : CHARACTER;
  while (!cursor.atEnd) {
    const field = cursor.uint(1);
    readField(field, new ByteCursor(cursor.packedBytes()), found, { columnsOf, character });
  }
  return found;
}

type ColumnsOf = (types: ReadonlySet<number>) => number[];

function readField(
  field: number,
  cursor: ByteCursor,
  found: Metadata,
  { columnsOf, character }: { columnsOf: ColumnsOf; character: ReadonlySet<number> },
): void {
  switch (field) {
    case Field.signedness:
      found.signs = cursor.bytes;
      return;
    case Field.defaultCharset:
      readDefaultCharset(cursor, columnsOf(character), found.collations);
      return;
    case Field.enumSetDefaultCharset:
      readDefaultCharset(cursor, columnsOf(ENUM_OR_SET), found.collations);
      return;
    case Field.columnCharset:
      readCharsets(cursor, columnsOf(character), found.collations);
      return;
    case Field.enumSetCharset:
      readCharsets(cursor, columnsOf(ENUM_OR_SET), found.collations);
      return;
    case Field.columnName:
      while (!cursor.atEnd) found.names.push(cursor.packedBytes().toString("utf8"));
      return;
    case Field.setValues:
      readValues(cursor, columnsOf(new Set([MysqlType.set])), found.values);
      return;
    case Field.enumValues:
      readValues(cursor, columnsOf(new Set([MysqlType.enum])), found.values);
      return;
    case Field.geometryType:
      for (const column of columnsOf(new Set([MysqlType.geometry]))) {
        found.geometries[column] = cursor.packedUint();
      }
      return;
    case Field.simplePrimaryKey:
      while (!cursor.atEnd) found.primaryKey.push(cursor.packedUint());
      return;
    case Field.prefixPrimaryKey:
      while (!cursor.atEnd) {
        found.primaryKey.push(cursor.packedUint());
        cursor.packedUint(); // How many characters are indexed: the whole column identifies the row too.
      }
      return;
    default:
  }
}

/** One collation for all, then the exceptions: position among the columns, collation. */
function readDefaultCharset(
  cursor: ByteCursor,
  columns: readonly number[],
  collations: number[],
): void {
  const common = cursor.packedUint();
  for (const column of columns) collations[column] = common;
  while (!cursor.atEnd) {
    const column = columns[cursor.packedUint()];
    const collation = cursor.packedUint();
    if (column === undefined)
      throw new EventFault("its table map names a column that is not there");
    collations[column] = collation;
  }
}

function readCharsets(cursor: ByteCursor, columns: readonly number[], collations: number[]): void {
  for (const column of columns) collations[column] = cursor.packedUint();
}

function readValues(cursor: ByteCursor, columns: readonly number[], values: Buffer[][]): void {
  for (const column of columns) {
    const count = cursor.packedUint();
    values[column] = Array.from({ length: count }, () => cursor.packedBytes());
  }
}

/**
 * One bit for each number tells whether it is unsigned. Somewhere between 8.0.15 and 8.0.29 YEAR began to
 * have one too, which moves all that follow. Between these versions, where both readings are possible and
 * differ, nothing tells which one is right.
 */
function readSigns(
  signs: Buffer,
  storage: readonly Stored[],
  serverVersion: string,
): readonly boolean[] {
  const read = (types: ReadonlySet<number>): boolean[] => {
    const unsigned: boolean[] = [];
    let bit = 0;
    for (const [column, { type }] of storage.entries()) {
      if (!types.has(type)) continue;
      unsigned[column] = ((signs[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
      bit += 1;
    }
    return unsigned;
  };
  const hasYear = storage.some(({ type }) => type === MysqlType.year);
  const yearHasSign = yearHasSignIn(serverVersion);
  if (!hasYear || yearHasSign === false) return read(NUMERIC);
  if (yearHasSign === true) return read(NUMERIC_OR_YEAR);
  const readings = [read(NUMERIC), read(NUMERIC_OR_YEAR)];
  const [without = [], including = []] = readings;
  const agree = storage.every(
    ({ type }, i) => type === MysqlType.year || (without[i] ?? false) === (including[i] ?? false),
  );
  if (agree) return without;
  throw new EventFault(
    `MySQL ${serverVersion} does not tell which columns beside a YEAR are unsigned; ` +
      "upgrade it to 8.0.29 or newer, or make the YEAR a SMALLINT",
  );
}

function yearHasSignIn(serverVersion: string): boolean | undefined {
  if (isMariadb(serverVersion)) return true;
  const [major = 0, minor = 0, patch = 0] = serverVersion.split(/[.-]/).map(Number);
  if (major !== 8 || minor !== 0) return major >= 8;
  if (patch <= 15) return false;
  return patch >= 29 ? true : undefined;
}

function isMariadb(serverVersion: string): boolean {
  return /mariadb/i.test(serverVersion);
}
