import { createHmac } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { ColumnRules, type ColumnRulesOptions } from "../../src/columns/column-rules.ts";
import { compareNumbers } from "../../src/columns/numbers.ts";
import { RowFilter, type Condition } from "../../src/columns/row-filter.ts";
import { RowRules } from "../../src/columns/row-rules.ts";
import type { Operation } from "../../src/core/rows.ts";
import { DebeziumFormat } from "../../src/formats/debezium.ts";
import { MaxwellFormat } from "../../src/formats/maxwell.ts";
import { Encoder } from "../../src/queue/encoder.ts";
import type { Message } from "../../src/sinks/sink.ts";
import { changeOf, column, tableOf, type Image } from "../formats/rows.ts";
import { written } from "../formats/written.ts";

const id = column("id", "bigint", { nullable: false });
const users = tableOf(
  [column("password", "varchar"), id, column("phone", "int"), column("note", "text")],
  [1],
  "users",
);

function rules(options: Partial<ColumnRulesOptions>): RowRules {
  const none = (): boolean => false;
  return new RowRules({
    columns: new ColumnRules({
      ...{ excludes: none, masks: none, hashes: none, hashKey: "0123456789abcdef" },
      lengthOf: () => undefined,
      ...options,
    }),
    filter: undefined,
    onFiltered: () => undefined,
  });
}

const named =
  (...names: string[]) =>
  (_database: string, _table: string, name: string): boolean =>
    names.includes(name);

function shown(given: Partial<ColumnRulesOptions>, images: readonly Image[]): unknown[] {
  const operation = images.length === 2 ? "update" : "insert";
  const change = rules(given).shown(changeOf(users, operation, images));
  return written(new MaxwellFormat(), change, 0).map(({ key, value }) => ({
    key: key?.toString(),
    ...(JSON.parse(value?.toString() ?? "") as object),
  }));
}

const hashed = (value: string): string =>
  createHmac("sha256", "0123456789abcdef").update(value).digest("hex");

describe("columns", () => {
  const image = ["secret", "7", "5551234", "é😀xyz"];

  test("are left out, masked, hashed and truncated, whatever their types", () => {
    const options = {
      excludes: named("password"),
      masks: named("phone"),
      lengthOf: (...names: string[]) => (names[2] === "note" ? 2 : undefined),
    };
    expect(shown(options, [image])).toMatchObject([
      { data: { id: 7, phone: "****", note: "é😀" } },
    ]);
    expect(JSON.stringify(shown(options, [image]))).not.toContain("password");
    expect(shown({ hashes: named("phone") }, [image])).toMatchObject([
      { data: { phone: hashed("5551234") } },
    ]);
  });

  test("keep NULL, and their changes", () => {
    const options = { masks: named("phone"), hashes: named("note") };
    const [update] = shown(options, [["s", "7", null, "a"], ["s", "7", "1", "b"]]); // prettier-ignore
    expect(update).toMatchObject({
      data: { phone: "****", note: hashed("b") },
      old: { phone: null, note: hashed("a") },
    });
  });

  test("of a key can be hashed, and the key with them", () => {
    expect(shown({ hashes: named("id") }, [image])).toMatchObject([
      {
        key: `{"database":"shop","table":"users","pk.id":"${hashed("7")}"}`,
        data: { id: hashed("7") },
      },
    ]);
  });

  test.each<[string, Partial<ColumnRulesOptions>]>([
    ["excluded", { excludes: named("id") }],
    ["masked", { masks: named("id") }],
    ["truncated", { lengthOf: () => 3 }],
  ])("of a key cannot be %s", (word, options) => {
    expect(() => shown(options, [image])).toThrow(
      `shop.users.id is part of the table's key and cannot be ${word}`,
    );
  });

  test("move the key's place where one in front of it is left out", () => {
    expect(shown({ excludes: named("password") }, [image])).toMatchObject([
      { key: '{"database":"shop","table":"users","pk.id":7}' },
    ]);
  });

  test("of other tables stay as they are, down to the same rows", () => {
    const change = changeOf(users, "insert", [image]);
    expect(rules({ masks: named("other") }).shown(change)).toBe(change);
  });
});

describe("filter", () => {
  const orders = tableOf(
    [
      ...[id, column("status", "varchar"), column("amount", "decimal")],
      ...[column("at", "date"), column("flag", "bit")],
    ],
    [0],
  );

  function sent(
    where: Record<string, Condition>,
    operation: Operation,
    ...images: Image[]
  ): number[] {
    const filter = new RowFilter([{ wants: (_, table) => table === "orders", where }]);
    const { rows } = changeOf(orders, operation, images);
    return Array.from({ length: rows.count }, (_, row) => row).filter(row =>
      filter.wants(rows, row),
    );
  }

  const paid = ["1", "paid", "100.50", "2026-11-21", Buffer.from([1])];
  const open = ["2", "open", "9007199254740993", "2026-11-22", Buffer.from([0])];
  const empty = ["3", null, null, null, null];

  test.each<[Record<string, Condition>, number[]]>([
    [{ status: { in: ["paid"] } }, [0]],
    [{ status: { in: ["paid", null] } }, [0, 2]],
    [{ status: { notIn: ["paid"] } }, [1]],
    [{ status: { notIn: [null] } }, [0, 1]],
    [{ amount: { in: ["100.5"] } }, [0]],
    [{ amount: { gt: "9007199254740992" } }, [1]],
    [{ amount: { gte: "100.50", lt: "1e3" } }, [0]],
    [{ amount: { lte: "100.499" } }, []],
    [{ at: { gt: "2026-11-21" } }, [1]],
    [{ flag: { in: ["1"] } }, [0]],
    [{ status: { in: ["open"] }, amount: { lt: "5" } }, []],
  ])("%j", (where, rows) => {
    expect(sent(where, "insert", paid, open, empty)).toEqual(rows);
    expect(sent(where, "delete", paid, open, empty)).toEqual(rows);
    expect(sent(where, "read", paid, open, empty)).toEqual(rows);
  });

  test("lets an update through that enters, stays in or leaves what is sent", () => {
    const where = { status: { in: ["paid"] } };
    expect(sent(where, "update", paid, open, open, paid, open, empty, paid, paid)).toEqual([
      0, 1, 3,
    ]);
  });

  test("lets through what was not logged", () => {
    expect(sent({ status: { in: ["paid"] } }, "delete", ["1", undefined, "1", "x", "1"])).toEqual([
      0,
    ]);
  });

  test("refuses a column that is not there, and a number that is none", () => {
    expect(() => sent({ stat: { in: ["x"] } }, "insert", paid)).toThrow("names column stat");
    expect(() => sent({ amount: { in: ["x"] } }, "insert", paid)).toThrow("what is no number");
  });

  test("leaves the numbers of the other rows, and counts those held back", () => {
    const onFiltered = vi.fn();
    const filter = new RowFilter([{ wants: () => true, where: { status: { in: ["open"] } } }]);
    const encoder = new Encoder({
      format: new DebeziumFormat({ name: "x", tombstones: true, clock: { wallMs: () => 1 } }),
      router: () => "t",
      events: new Set(["insert"]),
      rules: new RowRules({ columns: undefined, filter, onFiltered }),
    });
    const change = changeOf(orders, "insert", [paid, open, empty]);
    const messages: Message[] = [];
    encoder.encode({ seq: 0, bytes: 0, changes: [change] }, messages);
    expect(messages.map(message => message.id.split(":").at(-1))).toEqual(["1"]);
    expect(onFiltered).toHaveBeenCalledTimes(2);
  });
});

test("a table that must not be shown leaves the messages in front of it", () => {
  const encoder = new Encoder({
    format: new MaxwellFormat(),
    router: () => "t",
    events: new Set(["insert"]),
    rules: rules({ masks: named("secret_id") }),
  });
  const other = tableOf([column("secret_id", "int")], [0], "other");
  const fine = changeOf(users, "insert", [["a", "1", "2", "b"]]);
  const encode = (...changes: ReturnType<typeof changeOf>[]): Message[] => {
    const messages: Message[] = [];
    try {
      encoder.encode({ seq: 0, bytes: 0, changes }, messages);
    } catch (error) {
      expect(error).toMatchObject({ code: "CONFIG_INVALID" });
    }
    return messages;
  };
  const refused = changeOf(other, "insert", [["1"]]);
  expect(encode(fine, fine, refused)).toHaveLength(2);
  expect(encode(refused)).toHaveLength(0);
});

test.each([
  ["1", "1.0", 0],
  ["-0", "0", 0],
  ["9007199254740993", "9007199254740992", 1],
  ["-1.5", "-1.05", -1],
  ["1e20", "100000000000000000000", 0],
])("compares %s with %s", (one, other, sign) => {
  expect(compareNumbers(one, other)).toBe(sign);
});
