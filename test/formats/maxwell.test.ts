import { describe, expect, test } from "vitest";
import type { Change } from "../../src/core/entry.ts";
import type { Column } from "../../src/core/rows.ts";
import { MaxwellFormat } from "../../src/formats/maxwell.ts";
import { changeOf, column, tableOf, type Cell } from "./rows.ts";
import { written } from "./written.ts";

const SERVER = "6db3edf2-e588-11f1-8730-02fc00000001";
const origin = { file: "binlog.000003", position: 4711, serverId: 1, timestampS: 1_477_053_217 };
const transaction = { id: `${SERVER}:23396`, gtid: `${SERVER}:23396`, thread: 12 };

const id = column("id", "bigint", { nullable: false });
const orders = tableOf([id, column("name", "varchar"), column("qty", "int")], [0]);

function texts(...given: Parameters<typeof changeOf>): string[] {
  const [table, operation, images, more] = given;
  const change = changeOf(table, operation, images, { origin, transaction, ...more });
  const format = new MaxwellFormat();
  return Array.from({ length: change.count }, (_, row) => {
    const [message, ...others] = written(format, change, row);
    expect(others).toEqual([]);
    return message?.value?.toString() ?? "";
  });
}

function keyOf(change: Change): string | undefined {
  return written(new MaxwellFormat(), change, 0)[0]?.key?.toString();
}

describe("MaxwellFormat", () => {
  test("writes Maxwell's fields in Maxwell's order, and commit on the last row only", () => {
    const images = [["1", "pen", "5"], ["2", null, "6"]]; // prettier-ignore
    const head = '{"database":"shop","table":"orders","type":"insert","ts":1477053217,"xid":23396';
    expect(texts(orders, "insert", images, { endsTransaction: true })).toEqual([
      `${head},"data":{"id":1,"name":"pen","qty":5}}`,
      `${head},"commit":true,"data":{"id":2,"name":null,"qty":6}}`,
    ]);
    expect(texts(orders, "insert", images)[1]).not.toContain("commit");
  });

  test("writes what changed as old, also of a key, and the deleted row as data", () => {
    expect(
      texts(orders, "update", [
        ["1", "pen", "5"],
        ["2", "pen", null],
      ])[0],
    ).toMatch(
      // prettier-ignore
      /"type":"update",.*"data":\{"id":2,"name":"pen","qty":null\},"old":\{"id":1,"qty":5\}\}$/,
    );
    expect(texts(orders, "update", [["1", "a", "5"], ["1", "a", "5"]])[0]).not.toContain("old"); // prettier-ignore
    expect(texts(orders, "delete", [["1", "pen", "5"]])[0]).toContain(
      '"type":"delete","ts":1477053217,"xid":23396,"data":{"id":1,"name":"pen","qty":5}}',
    );
  });

  test("writes a row of a snapshot as Maxwell's bootstrap does, which is part of no transaction", () => {
    expect(texts(orders, "read", [["1", "pen", "5"]], { endsTransaction: true })).toEqual([
      '{"database":"shop","table":"orders","type":"bootstrap-insert","ts":1477053217,' +
        '"data":{"id":1,"name":"pen","qty":5}}',
    ]);
    expect(keyOf(changeOf(orders, "read", [["1", "pen", "5"]]))).toBe(
      '{"database":"shop","table":"orders","pk.id":1}',
    );
  });

  test("has Maxwell's key, from the row after where that has it", () => {
    const composite = tableOf([id, column("v", "int"), column("k`é", "varchar")], [2, 0]);
    expect(keyOf(changeOf(composite, "insert", [["1", "2", "x"]]))).toBe(
      '{"database":"shop","table":"orders","pk.k`é":"x","pk.id":1}',
    );
    const update = changeOf(composite, "update", [["1", "2", "x"], [undefined, "3", "y"]]); // prettier-ignore
    expect(keyOf(update)).toContain('"pk.k`é":"y","pk.id":1}');
    expect(keyOf(changeOf(tableOf([id]), "insert", [["1"]]))).toBeUndefined();
  });

  test.each([
    ["tagged", { id: "", gtid: `${SERVER}:tag:7`, thread: 1 }, 7],
    ["MariaDB's", { id: "", gtid: "0-1-42", thread: 1 }, 42],
    ["no", { id: `${SERVER}/binlog.000002@17/5`, gtid: undefined, thread: 1 }, 2 * 2 ** 32 + 5],
  ])("numbers a transaction with %s GTID", (_, given, xid) => {
    const [text = ""] = texts(orders, "insert", [["1", "a", "1"]], { transaction: given });
    expect((JSON.parse(text) as { xid: number }).xid).toBe(xid);
  });
});

describe("Maxwell's values", () => {
  function shown(shape: Column, cell: Cell): string {
    const [text = ""] = texts(tableOf([shape]), "insert", [[cell]]);
    return /"data":\{"v":(.*)\}\}$/s.exec(text)?.[1] ?? "";
  }

  const point = Buffer.from("000000000101000000000000000000f03f000000000000f8bf", "hex");
  const polygon = Buffer.from(
    "0000000001030000000100000002000000" + "00".repeat(16) + "000000000000f03f".repeat(2),
    "hex",
  );

  test.each<[Column, Cell, string]>([
    [column("v", "decimal"), "-0.10", "-0.10"],
    [column("v", "set"), "a,b", '["a","b"]'],
    [column("v", "set"), "", "[]"],
    [column("v", "enum"), "b,c", '"b,c"'],
    [column("v", "datetime", { scale: 1 }), "2026-11-21 01:02:03.4", '"2026-11-21 01:02:03.4"'],
    [column("v", "json"), '{"a": 1.0}', '{"a": 1.0}'],
    [column("v", "geometry"), point, '"POINT (1 -1.5)"'],
    [column("v", "geometry"), polygon, '"POLYGON ((0 0, 1 1))"'],
    [column("v", "bit", { length: 12 }), Buffer.from([1, 2]), "258"],
  ])("of %o", (shape, cell, text) => {
    expect(shown(shape, cell)).toBe(text);
  });
});
