import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readPositionFile } from "../../src/position/file.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-position-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "binlog_position_shop_orders.json");

test("reads what MySQL CDC Setup writes", () => {
  const position = { log_file: "mysql-bin.000123", log_pos: 45678, timestamp: 1704067200.0 };
  writeFileSync(path, JSON.stringify(position));
  expect(readPositionFile(path)).toEqual({
    ...{ kind: "position", file: "mysql-bin.000123", position: 45678 },
  });
});

test.each([
  ["{", "it is not JSON"],
  ["null", "its log_file is no binlog file"],
  ['{"log_pos":4}', "its log_file is no binlog file"],
  ['{"log_file":"binlog.000001","log_pos":"4"}', "its log_pos is no offset of 4 or more"],
  ['{"log_file":"binlog.000001","log_pos":0}', "its log_pos is no offset of 4 or more"],
])("refuses %s", (text, reason) => {
  writeFileSync(path, text);
  expect(() => readPositionFile(path)).toThrow(`${path} cannot be used: ${reason}`);
});

test("refuses a file that is not there", () => {
  expect(() => readPositionFile(`${path}.json`)).toThrow(/cannot be used: .*no such file/);
});
