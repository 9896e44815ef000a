/** What stands in messages is the same whether cells are read as MySQL stores them or in canonical form. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columnFormat, MysqlType, type ColumnFacts } from "../../src/binlog/column-types.ts";
import { ABSENT, NULL, type Column, type Rows } from "../../src/core/rows.ts";
import { StoredRowsBuilder } from "../../src/core/stored-rows.ts";
import { DebeziumFormat } from "../../src/formats/debezium.ts";
import { changeOf, column as columnOf, tableOf } from "./rows.ts";
import { written } from "./written.ts";

const format = new DebeziumFormat({ name: "shop", tombstones: true, clock: { wallMs: () => 1 } });

interface Stored {
  readonly column: Column;
  readonly form: ReturnType<typeof columnFormat>["form"];
}

function storedOf(
  facts: Partial<ColumnFacts> & Pick<ColumnFacts, "type">,
  nullable = true,
): Stored {
  const charset = facts.charset;
  const all = {
    where: "column v",
    size: 0,
    scale: 0,
    unsigned: false,
    values: [],
    isPoint: false,
    ...facts,
  };
  const { form, ...shape } = columnFormat({ ...all, charset });
  return {
    form,
    column: columnOf("v", shape.type, { ...shape, nullable, unsigned: all.unsigned }),
  };
}

/** A row with one cell; undefined stands for one that is absent, null for NULL. */
function storedRows({ column, form }: Stored, cell: Buffer | null | undefined): Rows {
  const builder = new StoredRowsBuilder();
  const bytes = Buffer.concat([Buffer.from("head"), cell ?? Buffer.alloc(0)]);
  builder.begin(bytes, 4, bytes.length);
  builder.row(4, 1);
  if (cell === undefined) builder.absent();
  else if (cell === null) builder.null();
  else builder.value(4, cell.length);
  const table = tableOf([column]);
  return builder.finish({ table, forms: [form], operation: "insert" }, bytes.length);
}

function shown(rows: Rows): string {
  const change = changeOf(rows.table, "insert", [], { rows, count: 1 });
  return written(format, change, 0)[0]?.value?.toString("latin1") ?? "";
}

function shownByCanonical(stored: Stored, cell: Buffer): string {
  const canonical = storedRows(stored, cell).cell(0, "after", 0);
  const change = changeOf(tableOf([stored.column]), "insert", [[canonical]]);
  return written(format, change, 0)[0]?.value?.toString("latin1") ?? "";
}

const values = ["new", 'with "quotes"', "größer", ""].map(text => Buffer.from(text));
const bothSigns = (type: number): Stored[] =>
  [false, true].map(unsigned => storedOf({ type, unsigned }));
const scales = [0, 1, 2, 3, 4, 5, 6];

const fixed: readonly Stored[] = [
  ...[MysqlType.tiny, MysqlType.short, MysqlType.int24, MysqlType.long].flatMap(bothSigns),
  ...bothSigns(MysqlType.longlong),
  storedOf({ type: MysqlType.float }),
  storedOf({ type: MysqlType.double }),
  ...[
    [10, 2],
    [1, 0],
    [9, 9],
    [18, 9],
    [19, 0],
    [20, 10],
    [65, 30],
    [30, 1],
  ].map(([size = 0, scale = 0]) => storedOf({ type: MysqlType.decimal, size, scale })),
  storedOf({ type: MysqlType.year }),
  storedOf({ type: MysqlType.bit, size: 1 }),
  storedOf({ type: MysqlType.bit, size: 13 }),
  ...[true, false].flatMap(nullable => [
    storedOf({ type: MysqlType.date }, nullable),
    ...scales.map(size => storedOf({ type: MysqlType.datetime2, size }, nullable)),
    ...scales.map(size => storedOf({ type: MysqlType.timestamp2, size }, nullable)),
    ...scales.map(size => storedOf({ type: MysqlType.time2, size }, nullable)),
  ]),
  storedOf({ type: MysqlType.enum, size: 1, charset: "utf8mb4", values }),
  storedOf({ type: MysqlType.set, size: 1, charset: "utf8mb4", values }),
];

const prefixed: readonly Stored[] = [
  storedOf({ type: MysqlType.varchar, size: 40, charset: "utf8mb4" }),
  storedOf({ type: MysqlType.varchar, size: 400, charset: "latin1" }),
  storedOf({ type: MysqlType.varchar, size: 40, charset: "binary" }),
  storedOf({ type: MysqlType.string, size: 16, charset: "binary" }),
  storedOf({ type: MysqlType.string, size: 16, charset: "ascii" }),
  storedOf({ type: MysqlType.blob, size: 2, charset: "cp1251" }),
  storedOf({ type: MysqlType.blob, size: 2, charset: "binary" }),
];

const JSON_STRING = 12;
const SMALL_OBJECT = 0;
const SMALL_ARRAY = 2;

/** A document as MySQL stores it: texts, numbers and what is nested, in its small form. */
type Document = Buffer | number | readonly Document[] | Members;

interface Members {
  readonly members: readonly (readonly [name: Buffer, value: Document])[];
}

function binaryJson(document: Document): Buffer {
  if (typeof document === "number") {
    const bytes = Buffer.alloc(9, 11);
    bytes.writeDoubleLE(document, 1);
    return bytes;
  }
  if (Buffer.isBuffer(document)) {
    return Buffer.concat([Buffer.of(JSON_STRING, document.length), document]);
  }
  const isObject = "members" in document;
  const keys = isObject ? document.members.map(([name]) => name) : [];
  const values = (isObject ? document.members.map(([, value]) => value) : document).map(binaryJson);
  const head = 4 + keys.length * 4 + values.length * 3;
  const table = Buffer.alloc(head);
  let end = head;
  keys.forEach((key, i) => {
    table.writeUInt16LE(end, 4 + i * 4);
    table.writeUInt16LE(key.length, 6 + i * 4);
    end += key.length;
  });
  values.forEach((value, i) => {
    const entry = 4 + keys.length * 4 + i * 3;
    table.writeUInt8(value[0] ?? 0, entry);
    table.writeUInt16LE(end, entry + 1);
    end += value.length - 1;
  });
  table.writeUInt16LE(values.length, 0);
  table.writeUInt16LE(end, 2);
  const type = isObject ? SMALL_OBJECT : SMALL_ARRAY;
  return Buffer.concat([
    Buffer.of(type),
    table,
    ...keys,
    ...values.map(value => value.subarray(1)),
  ]);
}

/** The two ways give the same text, or refuse the bytes both. */
function expectSame(stored: Stored, cell: Buffer): void {
  let canonical: string;
  try {
    canonical = shownByCanonical(stored, cell);
  } catch (thrown) {
    expect(() => shown(storedRows(stored, cell)), String(thrown)).toThrow();
    return;
  }
  expect(shown(storedRows(stored, cell)), cell.toString("hex")).toBe(canonical);
}

const nameOf = ({ column, form }: Stored): string =>
  `${column.unsigned ? "unsigned " : ""}${column.type}(${column.length}, ${form.size})`;

/** These bytes without what no server writes: years after 9999, digits beyond those of the column. */
function possible({ column }: Stored, bytes: Uint8Array): Buffer {
  const cell = Buffer.from(bytes);
  if (column.type === "date" && cell.readUIntLE(0, 3) >> 9 > 9999) cell[2] = 0;
  if (column.type === "datetime") {
    cell[0] = 0x80 | (cell[0] ?? 0);
    if ((cell.readUIntBE(0, 3) >> 6) - 0x2_0000 >= 10_000 * 13) cell[0] = 0x80;
  }
  if (!["datetime", "timestamp", "time"].includes(column.type) || column.scale === 0) return cell;
  const size = (column.scale + 1) >> 1;
  const fraction = cell.readUIntBE(cell.length - size, size) % 100 ** size;
  cell.writeUIntBE(
    fraction - (column.scale % 2 === 0 ? 0 : fraction % 10),
    cell.length - size,
    size,
  );
  return cell;
}

describe("a stored cell", () => {
  test("of json, whatever stands in it", () => {
    const json = storedOf({ type: MysqlType.json, size: 4 });
    const text = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.string({ unit: "binary", maxLength: 9 }),
    );
    const bytes = fc.oneof(
      text.map(content => Buffer.from(content)),
      fc.uint8Array({ maxLength: 12 }).map(content => Buffer.from(content)),
    );
    const { document } = fc.letrec<{ document: Document }>(tie => ({
      document: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        bytes,
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.array(tie("document"), { maxLength: 4 }),
        fc.array(fc.tuple(bytes, tie("document")), { maxLength: 4 }).map(members => ({ members })),
      ),
    }));
    fc.assert(
      fc.property(document, each => expectSame(json, binaryJson(each))),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), damaged =>
        expectSame(json, Buffer.from(damaged)),
      ),
      { numRuns: 2_000 },
    );
  });

  test.each(fixed.map(stored => [nameOf(stored), stored] as const))("of %s", (_, stored) => {
    const { size } = stored.form;
    const extremes = [0x00, 0x7f, 0x80, 0xff].flatMap(byte => [
      Buffer.alloc(size, byte),
      Buffer.concat([Buffer.alloc(size - 1, byte), Buffer.of(byte ^ 0x80)]),
      Buffer.concat([Buffer.of(byte ^ 0x80), Buffer.alloc(size - 1, byte)]),
    ]);
    for (const cell of extremes) expectSame(stored, possible(stored, cell));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), bytes =>
        expectSame(stored, possible(stored, bytes)),
      ),
      { numRuns: 500 },
    );
  });

  test.each([0, 9, 10, 18, 30].map(scale => [scale] as const))("of DECIMAL(38,%i)", scale => {
    const stored = storedOf({ type: MysqlType.decimal, size: 38, scale });
    const bytes = fc.uint8Array({ minLength: stored.form.size, maxLength: stored.form.size });
    fc.assert(fc.property(bytes, cell => expectSame(stored, Buffer.from(cell))));
  });

  test.each([MysqlType.float, MysqlType.double])("of real numbers, type %i", type => {
    const stored = storedOf({ type });
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(number, value => {
        const cell = Buffer.alloc(stored.form.size);
        if (type === MysqlType.float)
          cell.writeFloatLE(Math.fround(value) === Infinity ? 1 : value);
        else cell.writeDoubleLE(value);
        expectSame(stored, cell);
      }),
    );
  });

  test.each(prefixed.map(stored => [nameOf(stored), stored] as const))("of %s", (_, stored) => {
    const anyBytes = fc.uint8Array({ maxLength: 16 }).map(bytes => Buffer.from(bytes));
    const anyText = fc.string({ unit: "binary", maxLength: 8 }).map(text => Buffer.from(text));
    fc.assert(fc.property(fc.oneof(anyBytes, anyText), cell => expectSame(stored, cell)));
  });

  test("that is NULL is null, and one that is absent is left out", () => {
    const stored = storedOf({ type: MysqlType.long });
    expect(shown(storedRows(stored, null))).toContain('"after":{"v":null}');
    expect(shown(storedRows(stored, undefined))).toContain('"after":{}');
    expect([ABSENT, NULL]).not.toContain(0);
  });
});

test("a message with text is written in the same way from a string as from bytes", () => {
  const utf8 = storedOf({ type: MysqlType.varchar, size: 400, charset: "utf8mb4" });
  const latin1 = storedOf({ type: MysqlType.varchar, size: 400, charset: "latin1" });
  const cell = (text: string): Buffer => Buffer.from(text, "latin1");
  for (const text of ["", "plain", '\u0000\t"\\\n', "z\u00e4h", '\u00e9\u00e9 "x"']) {
    const bytes = Buffer.from(text, "utf8");
    expect(shown(storedRows(latin1, cell(text)))).toBe(shown(storedRows(utf8, bytes)));
  }
});
