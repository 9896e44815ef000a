import { describe, expect, test, vi } from "vitest";
import type { Column } from "../../src/core/rows.ts";
import { ColumnListFormat } from "../../src/formats/column-list.ts";
import type { Format } from "../../src/formats/format.ts";
import { RowDataFormat } from "../../src/formats/row-data.ts";
import { RowEventsFormat } from "../../src/formats/row-events.ts";
import { changeOf, column, tableOf, type Cell, type Image } from "./rows.ts";
import { written } from "./written.ts";

const SECONDS = 1_539_710_709;
const NOW_MS = 1_539_710_711_900;
const origin = { file: "binlog.000003", position: 4711, serverId: 1, timestampS: SECONDS };

const id = column("id", "bigint", { nullable: false });
const employee = tableOf([column("fname", "varchar"), column("lname", "varchar"), id], [2], "employee"); // prettier-ignore
const users = tableOf([id, column("name", "varchar"), column("email", "varchar")], [0], "users");
const keyless = tableOf([column("a", "int"), column("b", "varchar")]);
const pair = tableOf([column("a", "int"), column("v", "int"), column("b", "int")], [2, 0]);

const rowData = new RowDataFormat();
const columnList = new ColumnListFormat();
const rowEvents = new RowEventsFormat({ wallMs: () => NOW_MS });

interface Made {
  readonly suffix: string;
  readonly key: string | undefined;
  readonly value: unknown;
  readonly text: string;
}

function made(
  format: Format,
  table: Parameters<typeof changeOf>[0],
  ...[operation, images]: [Parameters<typeof changeOf>[1], readonly Image[]]
): Made[] {
  return written(format, changeOf(table, operation, images, { origin }), 0).map(message => ({
    suffix: message.idSuffix,
    key: message.key?.toString(),
    text: message.value?.toString() ?? "",
    value: JSON.parse(message.value?.toString() ?? "null") as unknown,
  }));
}

/** The only message's value. */
function value(...given: Parameters<typeof made>): unknown {
  const [message, ...more] = made(...given);
  expect(more).toEqual([]);
  return message?.value;
}

describe("row-data", () => {
  const john = ["1", "John Doe", "john@example.com"];

  test("writes an insert with its fields in order", () => {
    const [message] = made(rowData, users, "insert", [john]);
    expect(message?.text).toBe(
      '{"primary_id":1,"event":"insert","table":"users",' +
        '"data":{"id":1,"name":"John Doe","email":"john@example.com"},"timestamp":"2018-10-16T17:25:09Z"}',
    );
    expect(message?.key).toBe('{"id":1}');
  });

  test("writes both rows of an update, and the deleted row", () => {
    expect(value(rowData, users, "update", [john, ["1", "Jo", null]])).toEqual({
      primary_id: 1,
      event: "update",
      table: "users",
      old_data: { id: 1, name: "John Doe", email: "john@example.com" },
      new_data: { id: 1, name: "Jo", email: null },
      timestamp: "2018-10-16T17:25:09Z",
    });
    expect(value(rowData, users, "delete", [john])).toMatchObject({
      primary_id: 1,
      event: "delete",
      data: { name: "John Doe" },
    });
  });

  test("has an object as id for a key of several columns, and null or `id` without a key", () => {
    const composite = value(rowData, pair, "insert", [["1", "2", "3"]]);
    expect(composite).toMatchObject({ primary_id: { b: 3, a: 1 } });
    expect(value(rowData, keyless, "insert", [["1", "x"]])).toMatchObject({ primary_id: null });
    const named = tableOf([column("x", "int"), id]);
    expect(value(rowData, named, "delete", [["1", "7"]])).toMatchObject({ primary_id: 7 });
  });
});

describe("column-list", () => {
  const table = tableOf([column("col1", "varchar"), column("col2", "int")], [0], "table_name");

  test("writes the four fields of an insert in order", () => {
    const [message] = made(columnList, table, "insert", [["value1", "2"]]);
    expect(message?.text).toBe(
      '{"kind":"insert","schema":"shop","table":"table_name","columnnames":["col1","col2"],' +
        '"columnvalues":["value1",2],"oldkeys":{}}',
    );
    expect(message?.key).toBe('{"col1":"value1"}');
  });

  test("writes the whole row before in an update and a delete", () => {
    expect(
      value(columnList, table, "update", [
        ["a", "1"],
        ["a", null],
      ]),
    ).toEqual({
      // prettier-ignore
      kind: "update",
      schema: "shop",
      table: "table_name",
      columnnames: ["col1", "col2"],
      columnvalues: ["a", null],
      oldkeys: { keynames: ["col1", "col2"], keyvalues: ["a", 1] },
    });
    expect(value(columnList, table, "delete", [["a", "1"]])).toEqual({
      kind: "delete",
      schema: "shop",
      table: "table_name",
      columnnames: [],
      columnvalues: [],
      oldkeys: { keynames: ["col1", "col2"], keyvalues: ["a", 1] },
    });
  });

  test("leaves out of both lists what was not logged", () => {
    const update = value(columnList, table, "update", [["a", undefined], [undefined, "2"]]); // prettier-ignore
    expect(update).toMatchObject({
      columnnames: ["col2"],
      columnvalues: [2],
      oldkeys: { keynames: ["col1"], keyvalues: ["a"] },
    });
  });
});

describe("row-events", () => {
  test("writes an insert with its fields in order", () => {
    const [message] = made(rowEvents, employee, "insert", [["abc", "def", "2760"]]);
    expect(message?.text).toBe(
      '{"timestamp":1539710711,"binlog_timestamp":1539710709,"type":"row_insert",' +
        '"table_name":"employee","keys":{"id":2760},"values":{"fname":"abc","lname":"def","id":2760}}',
    );
    expect(message?.key).toBe('{"id":2760}');
  });

  test("writes of an update the columns that changed, of a delete the key", () => {
    const images = [["Ldurlqgfqv", "x", "1903"], ["Ldurlqgfqvsdf", "x", "1903"]]; // prettier-ignore
    const head = { timestamp: 1539710711, binlog_timestamp: SECONDS, table_name: "employee" };
    expect(value(rowEvents, employee, "update", images)).toEqual({
      ...head,
      type: "row_update",
      keys: { id: 1903 },
      before_values: { fname: "Ldurlqgfqv" },
      after_values: { fname: "Ldurlqgfqvsdf" },
    });
    expect(value(rowEvents, employee, "delete", [["a", "b", "5"]])).toEqual({
      ...head,
      type: "row_delete",
      keys: { id: 5 },
    });
  });

  test("tells NULL from what did not change and from what was not logged", () => {
    const images = [[null, "x", "1"], ["a", null, undefined]]; // prettier-ignore
    expect(value(rowEvents, employee, "update", images)).toMatchObject({
      keys: { id: 1 },
      before_values: { fname: null, lname: "x" },
      after_values: { fname: "a", lname: null },
    });
    const minimal = [[undefined, undefined, "1"], ["a", undefined, undefined]]; // prettier-ignore
    expect(value(rowEvents, employee, "update", minimal)).toMatchObject({
      before_values: {},
      after_values: { fname: "a" },
    });
  });

  test("names a row without key by all of its columns", () => {
    const [message] = made(rowEvents, keyless, "delete", [["1", "x"]]);
    expect(message).toMatchObject({ key: undefined, value: { keys: { a: 1, b: "x" } } });
    expect(value(rowEvents, keyless, "insert", [["1", "x"]])).toMatchObject({ keys: {} });
  });
});

describe.each([rowData, columnList, rowEvents])("$name", format => {
  test("writes a changed key as a delete of the old row and an insert of the new one", () => {
    const messages = made(format, pair, "update", [["1", "5", "3"], ["1", "6", "4"]]); // prettier-ignore
    expect(messages.map(({ suffix, key }) => [suffix, key])).toEqual([
      [":d", '{"b":3,"a":1}'],
      [":c", '{"b":4,"a":1}'],
    ]);
    expect(messages[0]?.text).toMatch(/"(event|kind|type)":"(row_)?delete"/);
    expect(messages[1]?.text).toMatch(/"(event|kind|type)":"(row_)?insert"/);
  });

  test("names the whole new key where only a part of it was logged again", () => {
    const images = [["1", "5", "3"], [undefined, undefined, "4"]]; // prettier-ignore
    expect(made(format, pair, "update", images)[1]?.key).toBe('{"b":4,"a":1}');
  });

  test("is no worse for a row before that could not be read", () => {
    const broken = changeOf(tableOf([column("v", "year"), id], [1]), "insert", [["", "1"]]);
    vi.spyOn(broken.rows, "cell").mockImplementation((_row, _image, index) => {
      if (index === 0) throw new Error("no value");
      return Buffer.from("1");
    });
    expect(() => written(format, broken, 0)).toThrow("no value");
    expect(made(format, users, "insert", [["1", "a", "b"]])[0]?.text).toMatch(/^\{[^{]/);
  });
});

describe("plain values", () => {
  /** The JSON text of a single value. */
  function shown(shape: Column, cell: Cell): string {
    const [message] = made(columnList, tableOf([shape]), "insert", [[cell]]);
    return /"columnvalues":\[(.*)\],"oldkeys"/s.exec(message?.text ?? "")?.[1] ?? "";
  }

  test.each<[Column, Cell, string]>([
    [column("v", "bigint", { unsigned: true }), "18446744073709551615", "18446744073709551615"],
    [column("v", "decimal"), "-0.10", '"-0.10"'],
    [column("v", "double"), "1", "1.0"],
    [column("v", "bit", { length: 1 }), Buffer.from([1]), "1"],
    [column("v", "bit", { length: 64 }), Buffer.alloc(8, 255), "18446744073709551615"],
    [column("v", "year"), "2026", "2026"],
    [column("v", "date"), "0000-00-00", '"0000-00-00"'],
    [column("v", "time", { scale: 1 }), "-01:02:03.5", '"-01:02:03.5"'],
    [column("v", "datetime", { scale: 3 }), "2026-11-21 09:10:29.496", '"2026-11-21 09:10:29.496"'],
    [column("v", "timestamp"), "2026-11-21 09:10:29", '"2026-11-21 09:10:29"'],
    [column("v", "set"), "a,b", '"a,b"'],
    [column("v", "enum"), "a\"b", '"a\\"b"'], // prettier-ignore
    [column("v", "json"), '{"a": 1.0, "b": 2.50}', '{"a": 1.0, "b": 2.50}'],
    [column("v", "binary", { length: 3 }), Buffer.from([1]), '"AQAA"'],
    [column("v", "blob"), Buffer.from([0, 255]), '"AP8="'],
    [column("v", "geometry"), Buffer.from([0, 0, 0, 0, 1]), '"AAAAAAE="'],
    [column("v", "vector"), Buffer.from([0, 0, 128, 63]), "[1.0]"],
    [column("v", "json"), null, "null"],
  ])("of %o", (shape, cell, text) => {
    expect(shown(shape, cell)).toBe(text);
  });
});

describe("a row of a snapshot", () => {
  const john = ["1", "John Doe", "john@example.com"];

  test("has a kind of its own in column-list", () => {
    const [message] = made(columnList, users, "read", [john]);
    expect(message?.text).toBe(
      '{"kind":"snapshot_insert","schema":"shop","table":"users",' +
        '"columnnames":["id","name","email"],"columnvalues":[1,"John Doe","john@example.com"],' +
        '"oldkeys":{}}',
    );
    expect(message?.key).toBe('{"id":1}');
  });

  test.each([rowData, rowEvents])("is an insert in $name", format => {
    const [read] = made(format, users, "read", [john]);
    const [inserted] = made(format, users, "insert", [john]);
    expect(read).toEqual(inserted);
  });
});
