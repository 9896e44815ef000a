import { expect, test, vi } from "vitest";
import { Assembler } from "../../src/binlog/assembler.ts";
import { Definitions } from "../../src/binlog/definitions.ts";
import { PreparedGroups } from "../../src/binlog/prepared-groups.ts";
import type { BinlogReader } from "../../src/binlog/reader.ts";
import { BinlogSource } from "../../src/binlog/source.ts";
import { systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { silentLogger, type Logger } from "../../src/core/logger.ts";
import { rows, SERVER, table } from "../support/builders.ts";

const boundary = { file: "binlog.000001", fileCreated: 7, position: 4 };
const start = {
  ...{ serverUuid: SERVER, boundary, gtidSet: "" },
  ...{ transaction: undefined, anonymous: false },
};
const limits = { entryBytesMax: 1_000, entryRowsMax: 10, rowBytesMax: 1_000 };

const NEVER = [undefined as never, new AbortController().signal] as const;

function sourceOf(reader: BinlogReader, logger: Logger = silentLogger): BinlogSource {
  return new BinlogSource({
    reader,
    assembler: new Assembler({ start, serverUuid: SERVER, ...limits }),
    definitions: new Definitions(
      {
        readTables: () => Promise.reject(new Error()),
        scan: () => reader.events(...NEVER),
      },
      () => true,
    ),
    wants: () => true,
    wantsDatabase: () => true,
    preparedGroups: new PreparedGroups({
      server: {
        binlogFiles: () => Promise.reject(new Error()),
        scan: () => reader.events(...NEVER),
      },
      open: () => reader,
    }),
    identify: () => Promise.resolve(SERVER),
    serverUuid: SERVER,
    clock: systemClock,
    logger,
  });
}

test("hands out what came before a fault in the same batch, then ends with it", async () => {
  const header = { nextPosition: 50, timestampS: 1, serverId: 1 };
  const reader: BinlogReader = {
    async *events() {
      yield [
        { kind: "file", file: boundary.file, fileCreated: boundary.fileCreated },
        { kind: "begin", ...header, position: 4, thread: 1 },
        { kind: "rows", ...header, position: 14, rows: rows(table(), [["1", "x"]]) },
        { kind: "commit", ...header, position: 24 },
        { kind: "begin", ...header, position: 54, thread: 1 },
        { kind: "rows", ...header, position: 64, rows: rows(table(), [["2", "x"]]) },
        { kind: "rows", ...header, position: 74, rows: rows(table(), [["3", "z".repeat(2_000)]]) },
        { kind: "commit", ...header, position: 84 },
      ];
      await Promise.reject(new Error("never asked for more"));
    },
    traffic: () => undefined,
  };
  const source = sourceOf(reader);
  const changes: number[] = [];
  const reading = async (): Promise<void> => {
    for await (const entries of source.entries(new AbortController().signal)) {
      for (const entry of entries)
        changes.push(...entry.changes.map(({ origin }) => origin.position));
    }
  };
  await expect(reading()).rejects.toMatchObject({ code: "ROW_TOO_LARGE" });
  expect(changes).toEqual([14, 64]);
});

test("a connection that is being closed has not moved: nothing was heard over it", async () => {
  const stop = new AbortController();
  const seen: unknown[] = [];
  let isOpen = true;
  const reader: BinlogReader = {
    async *events() {
      try {
        yield [{ kind: "file", file: boundary.file, fileCreated: boundary.fileCreated }];
        seen.push(source.gauges);
        await Promise.resolve();
        throw new TidemarkError("SOURCE_UNAVAILABLE", "MySQL has been silent for 15 s.");
      } finally {
        isOpen = false;
        seen.push(source.gauges);
        stop.abort();
      }
    },
    traffic: () => (isOpen ? { bytesRead: 4711, paused: false, obstacle: undefined } : undefined),
  };
  const source = sourceOf(reader);
  for await (const entries of source.entries(stop.signal)) expect(entries).toBeDefined();
  const [open, closing] = seen as { bytesRead: number; turns: number; connected: boolean }[];
  expect(open).toMatchObject({ connected: true, bytesRead: 4711 });
  expect(closing).toEqual(open);
});

test("the log tells of a DROP, which has the mark of a temporary table, and not of emptying such a one", async () => {
  const header = { nextPosition: 50, timestampS: 1, serverId: 1, database: "shop" };
  const stop = new AbortController();
  const reader: BinlogReader = {
    async *events() {
      yield [
        { kind: "file", file: boundary.file, fileCreated: boundary.fileCreated },
        { kind: "statement", ...header, position: 4, sql: "DROP TABLE orders", isTemporary: true },
        { kind: "statement", ...header, position: 50, sql: "TRUNCATE orders", isTemporary: true },
      ];
      stop.abort();
      await Promise.resolve();
    },
    traffic: () => undefined,
  };
  const warn = vi.fn();
  for await (const entries of sourceOf(reader, { ...silentLogger, warn }).entries(stop.signal)) {
    expect(entries).toHaveLength(1);
  }
  expect(warn.mock.calls.map(([fields]) => (fields as { what: string }).what)).toEqual([
    "it was dropped, with its rows",
  ]);
});
