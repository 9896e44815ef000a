/** Large events, and a temporary folder on a disk that is full. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { BinlogEvent } from "../../src/binlog/reader.ts";
import { SmallDisk } from "../support/small-disk.ts";
import { cellsOf, SourceServer } from "./source-server.ts";

const DISK_MB = 48;
/** Beside it there is room for less than an event of 20 MB. */
const FILLER_MB = 40;
const LARGE = 20_000_000;

let source: SourceServer;
let disk: SmallDisk;
let folderBefore: string | undefined;

beforeAll(async () => {
  source = await SourceServer.start("mysql-9");
  await source.run(
    "CREATE DATABASE d",
    "USE d",
    "CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT)",
  );
  disk = new SmallDisk(DISK_MB);
  folderBefore = process.env["TMPDIR"];
  process.env["TMPDIR"] = disk.dir;
});

afterAll(async () => {
  if (folderBefore === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = folderBefore;
  disk.close();
  await source.stop();
});

async function writeThree(firstId: number, settings: string): Promise<void> {
  await source.run(
    settings,
    `INSERT INTO big VALUES (${firstId}, 'small')`,
    `INSERT INTO big VALUES (${firstId + 1}, REPEAT('x', ${LARGE}))`,
    `INSERT INTO big VALUES (${firstId + 2}, 'after')`,
  );
}

function ids(events: readonly BinlogEvent[]): string[] {
  return events.flatMap(event => {
    if (event.kind !== "rows") return [];
    const [id, v] = cellsOf(event.rows, 0, "after");
    return [`${id}: ${v?.length} ${v?.at(-1)}`];
  });
}

test("a large event waits for room, says so, and is read whole when there is some", async () => {
  const start = await source.now();
  await writeThree(1, "SET SESSION binlog_transaction_compression = OFF");
  disk.fill(FILLER_MB);
  const reader = source.reader();
  const found: BinlogEvent[] = [];
  let ended: unknown;
  const reading = (async () => {
    for await (const batch of reader.events(start, AbortSignal.timeout(120_000))) {
      found.push(...batch);
      if (ids(found).length === 3) return;
    }
  })().catch((thrown: unknown) => (ended = thrown));
  await vi.waitFor(() => expect(reader.traffic()?.obstacle).toMatch(/Make room there/), 60_000);
  expect(disk.freeBytes).toBe(0);
  const bytes = reader.traffic()?.bytesRead;
  // It tries again each second; nothing is read on, and nothing fails.
  await new Promise(resolve => setTimeout(resolve, 2_500));
  expect([ended, reader.traffic()?.bytesRead, ids(found)]).toEqual([undefined, bytes, ["1: 5 l"]]);
  disk.empty();
  await reading;
  expect(ended).toBeUndefined();
  expect(ids(found)).toEqual(["1: 5 l", `2: ${LARGE} x`, "3: 5 r"]);
  expect(readdirSync(disk.dir)).toEqual([]);
});

test("a large event inside a compressed one ends the connection with what to do", async () => {
  const start = await source.now();
  await writeThree(11, "SET SESSION binlog_transaction_compression = ON");
  disk.fill(FILLER_MB);
  const isLast = (event: BinlogEvent): boolean => ids([event])[0]?.startsWith("13:") === true;
  await expect(source.read(start, isLast)).rejects.toMatchObject({
    code: "SOURCE_UNAVAILABLE",
    message: expect.stringMatching(/ENOSPC.*Make room there, or set TMPDIR/) as string,
  });
  disk.empty();
  expect(ids(await source.read(start, isLast))).toEqual(["11: 5 l", `12: ${LARGE} x`, "13: 5 r"]);
  expect(disk.freeBytes).toBe(DISK_MB * 2 ** 20);
});
