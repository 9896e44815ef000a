import { describe, expect, test } from "vitest";
import { operationsOf } from "../../src/core/rows.ts";

describe("a choice of events", () => {
  test("that takes new rows takes those that are there already, and no other does", () => {
    expect([...operationsOf(["insert", "delete"])].sort()).toEqual(["delete", "insert", "read"]);
    expect([...operationsOf(["update", "delete"])].sort()).toEqual(["delete", "update"]);
  });
});
