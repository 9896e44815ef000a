import { describe, expect, test } from "vitest";
import { topicName } from "../../src/kafka/topic-name.ts";

const name = (template: string, database: string, table: string): string =>
  topicName(template, { database, table });

describe("a topic name", () => {
  test.each([
    ["{database}.{table}", "shop", "orders", "shop.orders"],
    ["cdc-{table}", "shop", "orders", "cdc-orders"],
    ["{table}{table}", "shop", "o", "oo"],
    ["{database}.{table}", "shop", "größe", "shop.gr_u00F6_u00DFe"],
    ["{database}.{table}", "a b", "c/d", "a_u0020b.c_u002Fd"],
    ["{database}.{table}", "s", "😀", "s._uD83D_uDE00"],
    ["{other}", "s", "t", "_u007Bother_u007D"],
    ["{database}.{table}", "{table}", "t", "_u007Btable_u007D.t"],
  ])("of %s for %s.%s", (template, database, table, expected) => {
    expect(name(template, database, table)).toBe(expected);
  });

  test.each([
    ["{table}", "s", "."],
    ["{table}", "s", ".."],
    ["", "s", "t"],
    ["{database}.{table}", "ö".repeat(20), "ö".repeat(25)],
  ])("of %s for %s.%s is refused", (template, database, table) => {
    expect(() => name(template, database, table)).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }) as Error,
    );
  });

  test("may have 249 characters", () => {
    expect(name("{table}", "s", "t".repeat(249)).length).toBe(249);
    expect(() => name("{table}", "s", "t".repeat(250))).toThrow(/250 characters/);
  });
});
