/** `decode FILE` on a recorded file, whole and in every way that it can be broken. */
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { decodeFiles } from "../../src/decode/decode.ts";
import { recordedEvents } from "../support/event-mutations.ts";
import { makeFolder, removeFolder } from "../support/files.ts";

const recording = new URL("../binlog/recordings/mysql-9.binlog", import.meta.url).pathname;
const bytes = readFileSync(recording);
const folder = makeFolder();
afterAll(() => removeFolder(folder));

interface Outcome {
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
  readonly error: unknown;
}

async function decode(...paths: string[]): Promise<Outcome> {
  const lines: string[] = [];
  const warnings: string[] = [];
  const error = await decodeFiles({
    paths,
    tables: ["*.*"],
    limit: Infinity,
    signal: new AbortController().signal,
    warn: sentence => warnings.push(sentence),
    write: line => Promise.resolve(void lines.push(line.toString())),
  }).catch((thrown: unknown) => thrown);
  return { lines, warnings, error };
}

function fileOf(content: Uint8Array | string): string {
  const path = join(folder, "binlog.000009");
  writeFileSync(path, content);
  return path;
}

const IN_USE_AT = 4 + 17;

/** As the file was while the server wrote it. */
function inUse(content: Buffer): Buffer {
  const copy = Buffer.from(content);
  copy.writeUInt8(copy.readUInt8(IN_USE_AT) | 1, IN_USE_AT);
  return copy;
}

/** Where each event of the recording begins, and its type. */
const places = recordedEvents().map((event, i, all) => ({
  at: 4 + all.slice(0, i).reduce((sum, { length }) => sum + length, 0),
  type: event.readUInt8(4),
}));
const WRITE_ROWS = 30;
const ROTATE = 4;
const firstRows = places.find(({ type }) => type === WRITE_ROWS)?.at ?? 0;

describe("a binlog file", () => {
  test("is printed to its end", async () => {
    const { lines, warnings, error } = await decode(recording);
    expect({ warnings, error }).toEqual({ warnings: [], error: undefined });
    const types = lines.map(line => (JSON.parse(line) as { type: string }).type);
    expect(types.filter(type => type === "update").length).toBeGreaterThan(2);
    expect(types.at(-1)).toBe("statement");
    expect(lines[0]).toContain('"file":"mysql-9.binlog"');
  });

  test("is followed by the next one", async () => {
    const [once, twice] = [await decode(recording), await decode(recording, recording)];
    expect(twice.lines).toEqual([...once.lines, ...once.lines]);
  });

  test.each([
    ["", "is no binlog file"],
    ["[mysqld]\nlog-bin=binlog\nserver-id=1\nsync_binlog=1\n", "is no binlog file"],
    [Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(500)]), "is no binlog file"],
    [bytes.subarray(0, 15), "is no binlog file"],
    [Buffer.concat([Buffer.from("fd62696e", "hex"), bytes.subarray(4)]), "is encrypted"],
    [Buffer.concat([bytes, Buffer.alloc(40)]), `is damaged at ${bytes.length}`],
  ])("that is none ends with 65 (%#)", async (content, reason) => {
    const { error } = await decode(fileOf(content));
    expect(error).toMatchObject({ code: "EVENT_UNREADABLE", exitCode: 65 });
    expect(String(error)).toContain(`${folder}/binlog.000009 ${reason}`);
  });

  test("that cannot be opened is a question of usage", async () => {
    const { error } = await decode(join(folder, "nothing"));
    expect(error).toMatchObject({ code: "USAGE" });
    expect(String(error)).toContain(
      `There is no file ${folder}/nothing; decode takes binlog files`,
    );
    mkdirSync(join(folder, "a-folder"));
    expect((await decode(join(folder, "a-folder"))).error).toMatchObject({ code: "USAGE" });
  });

  test("that is damaged is printed up to there", async () => {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(firstRows + 60) ^ 1, firstRows + 60);
    const { lines, error } = await decode(fileOf(damaged));
    expect(error).toMatchObject({ code: "EVENT_UNREADABLE" });
    expect(String(error)).toMatch(/binlog\.000009: .*does not match its checksum/);
    const whole = await decode(recording);
    const before = whole.lines.filter(
      line => (JSON.parse(line) as { position: number }).position < firstRows,
    );
    expect(lines.map(line => line.replace("binlog.000009", "mysql-9.binlog"))).toEqual(before);
  });

  test("that is cut anywhere ends with 65; one that is being written, with a warning", async () => {
    const starts = new Map(places.map(({ at, type }) => [at, type]));
    const cuts = [...places.map(({ at }) => at), ...places.map(({ at }) => at + 7)];
    for (const cut of cuts.filter(at => at > 4 + 19)) {
      const { error, lines } = await decode(fileOf(bytes.subarray(0, cut)));
      if (error !== undefined || !starts.has(cut)) {
        expect(error).toMatchObject({
          code: "EVENT_UNREADABLE",
          message: expect.stringMatching(
            starts.has(cut)
              ? /is cut short: it ends within the transaction at \d+\.$/
              : new RegExp(`is cut short: it ends within the event at ${cut - 7}\\.$`),
          ) as unknown,
        });
      }
      const open = await decode(fileOf(inUse(bytes).subarray(0, cut)));
      expect(open.error).toBeUndefined();
      expect(open.lines).toEqual(lines);
      expect(open.warnings).toHaveLength(error === undefined ? 0 : 1);
      for (const warning of open.warnings) expect(warning).toMatch(/was still being written/);
    }
    // Rows in front of the cut belong to a transaction whose end is missing.
    const inTransaction = await decode(fileOf(bytes.subarray(0, firstRows)));
    expect(String(inTransaction.error)).toContain("within the transaction");
    const rotate = places.find(({ type }) => type === ROTATE)?.at ?? 0;
    expect((await decode(fileOf(bytes.subarray(0, rotate)))).error).toBeUndefined();
  });
});
