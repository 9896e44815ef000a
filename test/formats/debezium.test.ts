import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Column } from "../../src/core/rows.ts";
import { DebeziumFormat } from "../../src/formats/debezium.ts";
import { written, type WrittenMessage } from "./written.ts";
import { changeOf, column, tableOf, type Cell } from "./rows.ts";

const NOW_MS = 1_795_251_084_123;

function format(tombstones = true): DebeziumFormat {
  return new DebeziumFormat({
    name: "shop",
    tombstones,
    clock: { wallMs: () => NOW_MS },
    version: "1.2.3",
  });
}

interface Envelope {
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly source: Record<string, unknown>;
  readonly op: string;
}

function envelope(message: WrittenMessage | undefined): Envelope {
  return JSON.parse(message?.value?.toString("utf8") ?? "null") as Envelope;
}

/** The JSON text of a single value. */
function shown(shape: Column, cell: Cell): string {
  const change = changeOf(tableOf([shape]), "insert", [[cell]]);
  const [message] = written(format(), change, 0);
  const text = message?.value?.toString("utf8") ?? "";
  const start = text.indexOf('"after":{') + `"after":{${JSON.stringify(shape.name)}:`.length;
  return text.slice(start, text.indexOf('},"source":'));
}

const id = column("id", "bigint", { nullable: false });
const name = column("name", "varchar");
const orders = tableOf([id, name], [0]);

describe("DebeziumFormat", () => {
  test("writes Debezium's fields in Debezium's order", () => {
    const change = changeOf(orders, "insert", [["1", "pen"]], {
      transaction: { id: "u:7", gtid: "u:7", thread: 12, committedAtUs: 1_795_251_083_496_123 },
    });
    const [message] = written(format(), change, 0);
    expect(message?.key?.toString()).toBe('{"id":1}');
    expect(message?.value?.toString()).toBe(
      '{"before":null,"after":{"id":1,"name":"pen"},"source":{"version":"1.2.3","connector":"mysql",' +
        '"name":"shop","ts_ms":1795251083496,"snapshot":"false","db":"shop","sequence":null,' +
        '"ts_us":1795251083496123,"ts_ns":1795251083496123000,"table":"orders","server_id":1,' +
        '"gtid":"u:7","file":"binlog.000003","pos":4711,"row":0,"thread":12,"query":null},' +
        '"transaction":null,"op":"c","ts_ms":1795251084123,"ts_us":1795251084123000,' +
        '"ts_ns":1795251084123000000}',
    );
  });

  test("writes an emptied table with neither row nor key", () => {
    const { transaction, origin } = changeOf(orders, "insert", [["1", "pen"]], {
      transaction: {
        id: "u:7",
        gtid: "u:7",
        thread: undefined,
        committedAtUs: 1_795_251_083_496_123,
      },
    });
    const notice = { operation: "truncate", database: "shop", table: "orders" } as const;
    expect(
      format()
        .noticeValue({ ...notice, transaction, origin })
        .toString(),
    ).toBe(
      '{"before":null,"after":null,"source":{"version":"1.2.3","connector":"mysql",' +
        '"name":"shop","ts_ms":1795251083496,"snapshot":"false","db":"shop","sequence":null,' +
        '"ts_us":1795251083496123,"ts_ns":1795251083496123000,"table":"orders","server_id":1,' +
        '"gtid":"u:7","file":"binlog.000003","pos":4711,"row":0,"thread":null,"query":null},' +
        '"transaction":null,"op":"t","ts_ms":1795251084123,"ts_us":1795251084123000,' +
        '"ts_ns":1795251084123000000}',
    );
  });

  test("writes what is missing as a message about no row", () => {
    const { origin } = changeOf(orders, "insert", [["1", "pen"]]);
    const place = { server_uuid: "u", file: "binlog.000001", position: 4, gtid_set: "u:1-7" };
    const gap = { from: place, to: { ...place, gtid_set: "u:1-9" } };
    const transaction = { id: "gap/2", gtid: undefined, thread: undefined };
    const about = { operation: "gap", database: "shop", table: "orders", gap } as const;
    const value = format().noticeValue({ ...about, transaction, origin });
    const { source, ...rest } = JSON.parse(value.toString()) as Record<string, unknown>;
    expect(rest).toMatchObject({ before: null, after: null, op: "m", gap });
    expect(source).toMatchObject({ table: "orders", gtid: null, pos: origin.position });
  });

  test("writes a row of a snapshot as Debezium does, with its key and without a row number", () => {
    const debezium = format();
    const images = [["1", "a"], ["2", "b"]]; // prettier-ignore
    const [message, ...others] = written(debezium, changeOf(orders, "read", images), 1);
    expect(others).toEqual([]);
    expect(message?.key?.toString()).toBe('{"id":2}');
    expect(envelope(message)).toMatchObject({ before: null, after: { id: 2, name: "b" }, op: "r" });
    expect(envelope(message).source).toMatchObject({ snapshot: "true", row: 0, gtid: null });
    // The next row of the stream, from the same place of the same table, is none of a snapshot.
    const [next] = written(debezium, changeOf(orders, "insert", [["3", "c"]]), 0);
    expect(envelope(next)).toMatchObject({ op: "c", source: { snapshot: "false" } });
  });

  test("takes the time of the event where no commit time is known", () => {
    const [message] = written(format(), changeOf(orders, "insert", [["1", "pen"]]), 0);
    expect(envelope(message).source).toMatchObject({
      ts_ms: 1_795_251_083_000,
      ts_us: 1_795_251_083_000_000,
      gtid: null,
      thread: null,
    });
  });

  test("numbers rows within their event", () => {
    const change = changeOf(orders, "insert", [["1", "a"], ["2", "b"], ["3", "c"]]); // prettier-ignore
    const shownRows = [0, 1, 2].map(
      row => envelope(written(format(), change, row)[0]).source["row"],
    );
    expect(shownRows).toEqual([0, 1, 2]);
  });

  test("follows from one event to the next with the same table", () => {
    const debezium = format();
    written(debezium, changeOf(orders, "insert", [["1", "a"]]), 0);
    const origin = { file: "binlog.000004", position: 4, serverId: 2, timestampS: 1 };
    const [message] = written(debezium, changeOf(orders, "insert", [["1", "a"]], { origin }), 0);
    expect(envelope(message).source).toMatchObject({ file: "binlog.000004", pos: 4, server_id: 2 });
  });

  test("writes an update with both images", () => {
    const [message, ...more] = written(format(), changeOf(orders, "update", [["1", "a"], ["1", null]]), 0); // prettier-ignore
    expect(more).toEqual([]);
    expect(message?.idSuffix).toBe("");
    expect(envelope(message)).toMatchObject({
      before: { id: 1, name: "a" },
      after: { id: 1, name: null },
      op: "u",
    });
  });

  test("follows a delete with a tombstone of the same key", () => {
    const messages = written(format(), changeOf(orders, "delete", [["1", "a"]]), 0);
    expect(messages.map(message => message.idSuffix)).toEqual(["", ":t"]);
    expect(envelope(messages[0])).toMatchObject({
      before: { id: 1, name: "a" },
      after: null,
      op: "d",
    });
    expect(messages[1]).toEqual({ idSuffix: ":t", key: Buffer.from('{"id":1}'), value: null });
  });

  test("writes no tombstone when they are off, or without a primary key", () => {
    const keyless = tableOf([id, name]);
    expect(written(format(false), changeOf(orders, "delete", [["1", "a"]]), 0)).toHaveLength(1);
    const [message, ...more] = written(format(), changeOf(keyless, "delete", [["1", "a"]]), 0);
    expect(message?.key).toBeNull();
    expect(more).toEqual([]);
  });

  test("writes a changed key as a delete, a tombstone and a create", () => {
    const change = changeOf(orders, "update", [["1", "a"], ["2", "b"]]); // prettier-ignore
    const messages = written(format(), change, 0);
    expect(messages.map(({ idSuffix, key }) => [idSuffix, key?.toString()])).toEqual([
      [":d", '{"id":1}'],
      [":t", '{"id":1}'],
      [":c", '{"id":2}'],
    ]);
    expect(messages[1]?.value).toBeNull();
    expect(envelope(messages[0])).toMatchObject({
      before: { id: 1, name: "a" },
      after: null,
      op: "d",
    });
    expect(envelope(messages[2])).toMatchObject({
      before: null,
      after: { id: 2, name: "b" },
      op: "c",
    });
    expect(written(format(false), change, 0).map(message => message.idSuffix)).toEqual([":d", ":c"]); // prettier-ignore
  });

  test("writes key columns in key order, not in the table's", () => {
    const table = tableOf([id, name, column("shop", "int")], [2, 0]);
    const [message] = written(format(), changeOf(table, "insert", [["1", "a", "9"]]), 0);
    expect(message?.key?.toString()).toBe('{"shop":9,"id":1}');
  });

  test("leaves absent cells out, and takes an absent part of the key from the before image", () => {
    const table = tableOf([id, name, column("shop", "int")], [0, 2]);
    const change = changeOf(table, "update", [["1", undefined, "9"], [undefined, "b", "10"]]); // prettier-ignore
    const messages = written(format(), change, 0);
    expect(messages.at(-1)?.key?.toString()).toBe('{"id":1,"shop":10}');
    expect(envelope(messages[0]).before).toEqual({ id: 1, shop: 9 });
    expect(envelope(messages.at(-1)).after).toEqual({ name: "b", shop: 10 });
  });

  test("writes an empty object for an image without cells", () => {
    const [message] = written(format(), changeOf(tableOf([name]), "insert", [[undefined]]), 0);
    expect(envelope(message).after).toEqual({});
  });

  test("keeps hostile names and values apart from the JSON around them", () => {
    const names = fc.uniqueArray(
      fc.oneof(
        fc.constantFrom("__proto__", "constructor", '"', "\\", "a\nb", "🙂", "},", '":{', "\u0000"),
        fc.string({ unit: "grapheme", minLength: 1 }),
      ),
      { minLength: 1, maxLength: 8 },
    );
    const values = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom('"}', "\\", "\u0000", "__proto__"),
    );
    fc.assert(
      fc.property(names, fc.array(values, { minLength: 8, maxLength: 8 }), (columns, cells) => {
        const table = tableOf(
          columns.map(each => column(each, "varchar")),
          [0],
          'or"ders\n',
        );
        const row = columns.map((_, index) => cells[index]);
        const [message] = written(format(), changeOf(table, "insert", [row]), 0);
        const entries = columns.map((each, index) => [each, cells[index]] as const);
        const { after, source } = envelope(message);
        const ofTable = new Map(entries);
        expect(new Map(Object.entries(after ?? {}))).toEqual(ofTable);
        expect(source["table"]).toBe('or"ders\n');
      }),
    );
  });

  test("stays JSON whatever bytes a text column holds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const [message] = written(format(), changeOf(tableOf([name]), "insert", [[bytes]]), 0);
        expect(typeof envelope(message).after?.["name"]).toBe("string");
      }),
    );
  });

  test("costs no copy of a shape per row, and sees a new shape of the same table", () => {
    const debezium = format();
    written(debezium, changeOf(orders, "insert", [["1", "a"]]), 0);
    const altered = tableOf([id, name, column("price", "decimal", { scale: 2 })], [0]);
    const [message] = written(debezium, changeOf(altered, "insert", [["1", "a", "9.90"]]), 0);
    expect(envelope(message).after).toEqual({ id: 1, name: "a", price: "9.90" });
  });
});

describe("Debezium's values", () => {
  test.each([
    ["-9223372036854775808", false],
    ["9223372036854775807", false],
    ["18446744073709551615", true],
    ["9007199254740993", true],
    ["0", true],
  ])("writes BIGINT %s with all its digits", (digits, unsigned) => {
    expect(shown(column("n", "bigint", { unsigned }), digits)).toBe(digits);
  });

  test("refuses to write a number that is none", () => {
    expect(() => shown(column("n", "int"), "1,2")).toThrow("not a number");
    expect(() => shown(column("n", "int"), "")).toThrow("empty");
  });

  test.each<[string, Column, Cell, string]>([
    ["TINYINT(1)", column("v", "tinyint", { length: 1 }), "1", "1"],
    ["DECIMAL", column("v", "decimal", { scale: 2 }), "-0.10", '"-0.10"'],
    ["FLOAT", column("v", "float"), "3.14", "3.14"],
    ["DOUBLE", column("v", "double"), "-1.5e-300", "-1.5e-300"],
    ["DOUBLE without fraction", column("v", "double"), "100", "100.0"],
    ["DOUBLE with exponent", column("v", "double"), "1e+21", "1e+21"],
    ["negative zero", column("v", "double"), "-0", "-0.0"],
    ["BIT(1) set", column("v", "bit", { length: 1 }), Buffer.from([1]), "true"],
    ["BIT(1) clear", column("v", "bit", { length: 1 }), Buffer.from([0]), "false"],
    ["BIT(12)", column("v", "bit", { length: 12 }), Buffer.from([0x0a, 0xbc]), '"vAo="'],
    ["YEAR", column("v", "year"), "2026", "2026"],
    ["CHAR", column("v", "char"), "a", '"a"'],
    ["ENUM", column("v", "enum"), "small", '"small"'],
    ["SET", column("v", "set"), "a,b", '"a,b"'],
    ["empty SET", column("v", "set"), "", '""'],
    ["JSON", column("v", "json"), '{"a":[1,"x"]}', '"{\\"a\\":[1,\\"x\\"]}"'],
    ["VARBINARY", column("v", "varbinary"), Buffer.from([0xff, 0]), '"/wA="'],
    ["BINARY(4)", column("v", "binary", { length: 4 }), Buffer.from([1]), '"AQAAAA=="'],
    ["BLOB", column("v", "blob"), Buffer.alloc(0), '""'],
    ["NULL", column("v", "blob"), null, "null"],
    [
      "VECTOR",
      column("v", "vector"),
      Buffer.from(Float32Array.of(1, -0.1, 3.4e38).buffer),
      "[1.0,-0.1,3.4e+38]",
    ],
  ])("writes %s", (_, shape, cell, expected) => {
    expect(shown(shape, cell)).toBe(expected);
  });

  test("writes a vector's numbers with the digits that single precision needs", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), value => {
        const cell = Buffer.alloc(4);
        cell.writeFloatLE(value);
        const [parsed = Number.NaN] = JSON.parse(shown(column("v", "vector"), cell)) as number[];
        expect(Math.fround(parsed)).toBe(value === 0 ? parsed : value);
      }),
    );
  });

  test("writes a geometry as WKB with its SRID, and a point with its coordinates", () => {
    const wkb = Buffer.alloc(21);
    wkb[0] = 1;
    wkb.writeUInt32LE(1, 1);
    wkb.writeDoubleLE(1.5, 5);
    wkb.writeDoubleLE(-2, 13);
    const srid = (value: number): Buffer => {
      const cell = Buffer.alloc(4);
      cell.writeUInt32LE(value);
      return Buffer.concat([cell, wkb]);
    };
    const base64 = wkb.toString("base64");
    expect(JSON.parse(shown(column("g", "geometry"), srid(0)))).toEqual({
      wkb: base64,
      srid: null,
    });
    expect(shown(column("g", "geometry", { length: 1 }), srid(4326))).toBe(
      `{"x":1.5,"y":-2.0,"wkb":"${base64}","srid":4326}`,
    );
  });

  test("counts days from year 1 to 9999", () => {
    const first = Date.parse("0001-01-01T00:00:00Z");
    const last = Date.parse("9999-12-31T00:00:00Z");
    fc.assert(
      fc.property(
        fc.date({ min: new Date(first), max: new Date(last), noInvalidDate: true }),
        at => {
          const text = at.toISOString().slice(0, 10);
          expect(shown(column("d", "date"), text)).toBe(
            String(Math.floor(at.getTime() / 86_400_000)),
          );
        },
      ),
      { numRuns: 3000 },
    );
    expect(shown(column("d", "date"), "1970-01-01")).toBe("0");
    expect(shown(column("d", "date"), "0001-01-01")).toBe(String(first / 86_400_000));
    expect(shown(column("d", "date"), "9999-12-31")).toBe(String(last / 86_400_000));
    expect(shown(column("d", "date"), "2000-02-29")).toBe("11016");
  });

  test("counts milliseconds and microseconds since 1970 without losing a digit", () => {
    const min = new Date("0001-01-01T00:00:00Z");
    const max = new Date("9999-12-31T23:59:59Z");
    fc.assert(
      fc.property(
        fc.date({ min, max, noInvalidDate: true }),
        fc.integer({ min: 0, max: 999_999 }),
        fc.integer({ min: 0, max: 6 }),
        (at, micros, scale) => {
          const digits = String(micros).padStart(6, "0").slice(0, scale);
          const text = at.toISOString().slice(0, 19).replace("T", " ");
          const cell = scale === 0 ? text : `${text}.${digits}`;
          const seconds = BigInt(Math.floor(at.getTime() / 1000));
          const unit = scale <= 3 ? 3 : 6;
          const fraction = BigInt(digits.padEnd(unit, "0") || "0");
          const expected = seconds * 10n ** BigInt(unit) + fraction;
          expect(shown(column("t", "datetime", { scale }), cell)).toBe(String(expected));
        },
      ),
      { numRuns: 3000 },
    );
    const micros = column("t", "datetime", { scale: 6 });
    expect(shown(micros, "1969-12-31 23:59:59.500000")).toBe("-500000");
    expect(shown(micros, "1969-12-31 23:59:58.500000")).toBe("-1500000");
    expect(shown(micros, "1969-12-31 23:59:59.000000")).toBe("-1000000");
    expect(shown(micros, "1970-01-01 00:00:00.000007")).toBe("7");
    expect(shown(micros, "9999-12-31 23:59:59.999999")).toBe("253402300799999999");
  });

  test.each([
    ["00:00:00", 0, "0"],
    ["-00:00:00", 0, "0"],
    ["-00:00:00.5", 1, "-500000"],
    ["-00:00:01", 0, "-1000000"],
    ["838:59:59.000000", 6, "3020399000000"],
    ["-838:59:59.000000", 6, "-3020399000000"],
    ["12:34:56.789", 3, "45296789000"],
    ["8:00:00", 0, "28800000000"],
  ])("writes TIME %s in microseconds", (cell, scale, expected) => {
    expect(shown(column("t", "time", { scale }), cell)).toBe(expected);
  });

  test.each([
    ["2026-11-21 09:10:29", "2026-11-21T09:10:29Z"],
    ["2026-11-21 09:10:29.4", "2026-11-21T09:10:29.4Z"],
    ["2026-11-21 09:10:29.490", "2026-11-21T09:10:29.490Z"],
    ["2026-11-21 09:10:29.000000", "2026-11-21T09:10:29.000000Z"],
  ])("writes TIMESTAMP %s in ISO form with the column's digits", (cell, expected) => {
    for (const nullable of [true, false]) {
      expect(shown(column("t", "timestamp", { nullable }), cell)).toBe(JSON.stringify(expected));
    }
  });

  test("writes a zero TIMESTAMP as null, or as the epoch where the column cannot be null", () => {
    const zero = "0000-00-00 00:00:00.000";
    expect(shown(column("t", "timestamp"), zero)).toBe("null");
    expect(shown(column("t", "timestamp", { nullable: false }), zero)).toBe(
      '"1970-01-01T00:00:00Z"',
    );
  });

  test.each(["0000-00-00", "2026-00-10", "2026-10-00", "2026-02-31", "2026-13-01", "1900-02-29"])(
    "writes %s as null, or as the epoch where the column cannot be null",
    day => {
      for (const [type, cell, scale] of [
        ["date", day, 0],
        ["datetime", `${day} 10:00:00`, 0],
        ["datetime", `${day} 10:00:00.000001`, 6],
      ] as const) {
        expect(shown(column("d", type, { scale, nullable: true }), cell)).toBe("null");
        expect(shown(column("d", type, { scale, nullable: false }), cell)).toBe("0");
      }
    },
  );
});
