import { describe, expect, test } from "vitest";
import type { ColumnDefinition } from "../../src/binlog/definitions.ts";
import { rowColumns, type RowColumn } from "../../src/snapshot/row-columns.ts";
import { keyLiteral } from "../../src/snapshot/row-key.ts";

function columnOf(dataType: string, more: Partial<ColumnDefinition> = {}): RowColumn {
  const definition: ColumnDefinition = {
    ...{
      name: "k",
      dataType,
      declared: dataType,
      unsigned: false,
      nullable: false,
      charset: undefined,
    },
    ...{ members: [], size: undefined, scale: undefined },
    ...more,
  };
  const table = { database: "shop", name: "orders", columns: [definition], primaryKey: [0] };
  const [column] = rowColumns(table);
  if (column === undefined) throw new Error("no column");
  return column;
}

describe("the key in a checkpoint", () => {
  test.each([
    ["bigint", "-9223372036854775808", "-9223372036854775808"],
    ["decimal", "-0.50", "-0.50"],
    ["float", "0.1", "0.10000000149011612e0"],
    ["double", "1e+21", "1e+21"],
    ["datetime", "2026-11-21 09:08:07.090807", "'2026-11-21 09:08:07.090807'"],
    ["time", "-00:00:00.05", "'-00:00:00.05'"],
    ["binary", "00ff27", "x'00ff27'"],
    ["uuid", "00ff27", "CAST(x'00ff27' AS UUID)"],
  ])("of a column of type %s is %s, and in a statement %s", (dataType, value, literal) => {
    expect(keyLiteral(columnOf(dataType), value)).toBe(literal);
  });

  test("is text in the character set of its column", () => {
    const column = columnOf("varchar", { charset: "sjis", size: 20 });
    expect(keyLiteral(column, "93fa")).toBe("_sjis x'93fa'");
  });

  test.each([
    ["int", "1 OR 1=1"],
    ["int", ""],
    ["varchar", "' OR ''='"],
    ["varchar", "0"],
    ["date", "2026-11-21' OR 'a"],
    ["enum", "-1"],
  ])("of a column of type %s is never anything but a value: %s", (dataType, value) => {
    const column = columnOf(dataType, { charset: "utf8mb4", members: ["a"] });
    expect(() => keyLiteral(column, value)).toThrow("begin the snapshot anew");
  });

  test("of a type that is not known is refused with its table", () => {
    expect(() => columnOf("hologram")).toThrow(
      /hologram of column shop\.orders\.k is not supported/,
    );
  });
});
