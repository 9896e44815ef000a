import { expect, test } from "vitest";
import { NewColumns, type ColumnSource } from "../../src/binlog/new-columns.ts";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import { TidemarkError } from "../../src/core/errors.ts";

const FILE = "binlog.000001";
const never = new AbortController().signal;
const orders = { database: "shop", name: "orders" };
const at = (position: number): { file: string; position: number } => ({ file: FILE, position });

/** A server whose binlog ends at `end`, with statements at some places of it. */
class Server implements ColumnSource {
  end = 500;
  statements: Readonly<Record<number, string>> = {};
  failure: Error | undefined;
  readonly scans: number[] = [];

  readSome(): ReturnType<ColumnSource["readSome"]> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const column = {
      ...{ name: "id", dataType: "int", declared: "int unsigned", unsigned: true, nullable: false },
      ...{ charset: undefined, members: [], size: 10, scale: 0 },
    };
    const definition = { ...orders, columns: [column], primaryKey: [0] };
    return Promise.resolve([{ ...orders, definition, end: at(this.end) }]);
  }

  async *scan(start: unknown): AsyncGenerator<readonly BinlogEvent[]> {
    const { position: from } = start as { position: number };
    this.scans.push(from);
    yield await Promise.resolve([{ kind: "file" as const, file: FILE, fileCreated: 1 }]);
    for (let position = from; position < this.end; position += 10) {
      const header = { position, nextPosition: position + 10, timestampS: 1, serverId: 1 };
      const sql = this.statements[position];
      yield sql === undefined
        ? [{ kind: "commit", ...header }]
        : [{ kind: "statement", ...header, database: "shop", sql }];
    }
  }
}

const known = async (columns: NewColumns, position: number): Promise<string> => {
  const found = await columns.behind(at(position), [orders], never);
  return JSON.stringify(found.get(orders));
};

const COLUMNS = '[{"name":"id","type":"int unsigned","nullable":false,"key":1}]';

test("are those of now where nothing stands between", async () => {
  const server = new Server();
  expect(await known(new NewColumns(server), 500)).toBe(COLUMNS);
  expect(server.scans).toEqual([]);
  expect(await known(new NewColumns(server), 400)).toBe(COLUMNS);
});

test("are not known if the table was changed again, and the binlog is looked through once", async () => {
  const server = new Server();
  server.statements = { 300: "ALTER TABLE orders ADD a INT", 450: "ALTER TABLE others ADD a INT" };
  const columns = new NewColumns(server);
  expect(await known(columns, 200)).toBe(undefined);
  expect(await known(columns, 310)).toBe(COLUMNS);
  server.end = 900;
  server.statements = { 700: "RENAME TABLE x TO orders" };
  expect(await known(columns, 460)).toBe(undefined);
  expect(await known(columns, 710)).toBe(COLUMNS);
  expect(server.scans).toEqual([200, 500]);
});

test("are not waited for while a change of the table waits for its lock", async () => {
  const server = new Server();
  const cause = Object.assign(new Error("Lock wait timeout"), { errno: 1205 });
  server.failure = new TidemarkError("SOURCE_UNAVAILABLE", "cannot be read", { cause });
  expect(await known(new NewColumns(server), 500)).toBe(undefined);
  server.failure = new TidemarkError("SOURCE_UNAVAILABLE", "gone");
  await expect(known(new NewColumns(server), 500)).rejects.toThrow("gone");
});
