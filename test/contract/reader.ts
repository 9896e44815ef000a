/** What every reader does, against real servers: what the stream says, and every way in which it ends. */
import { createHash, randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { BinlogEvent, DumpStart } from "../../src/binlog/reader.ts";
import type { ReaderName } from "../../src/binlog/open-reader.ts";
import type { MysqlVersion } from "../../tools/services/services.ts";
import { startProxy } from "../../tools/services/tcp-proxy.ts";
import {
  cellsOf,
  collect,
  drain,
  failure,
  imagesOf,
  kinds,
  SourceServer,
} from "../binlog/source-server.ts";

const never = new AbortController().signal;

/** So that one statement writes one event, however many rows it changes. */
const largeRowEvents = ["--binlog-row-event-max-size=104857600"];

const document = (a: number): string => `n={"a": ${a}, "pad": "${"p".repeat(40)}"}`;

/** What the statements of one test log, image by image; of a column that is not there nothing is said. */
const images: readonly (readonly [image: string, expected: readonly string[]])[] = [
  [
    "MINIMAL",
    [
      `after id=1 v=a x=1 ${document(1)}`,
      "after id=2 v=b x=2 n=NULL",
      "before id=1 x=1",
      "after w=NULL e=e",
      "before id=2 x=2",
      "after v=c x=9",
      "before id=1 x=1",
      `after ${document(2)} c=4`,
      "before id=1 x=1",
      "after id=1 v=a",
      "before id=1 v=a",
      "after v=b",
      "before id=1 v=b",
    ],
  ],
  [
    "NOBLOB",
    [
      `after id=1 v=a w=3 x=1 ${document(1)} a=NULL b=NULL c=NULL`,
      "after id=2 v=b w=3 x=2 n=NULL a=NULL b=NULL c=NULL",
      `before id=1 w=3 x=1 ${document(1)} a=NULL b=NULL c=NULL`,
      `after id=1 w=NULL x=1 ${document(1)} a=NULL b=NULL c=NULL e=e`,
      "before id=2 w=3 x=2 n=NULL a=NULL b=NULL c=NULL",
      "after id=2 v=c w=3 x=9 n=NULL a=NULL b=NULL c=NULL",
      `before id=1 w=NULL x=1 ${document(1)} a=NULL b=NULL c=NULL`,
      `after id=1 w=NULL x=1 ${document(2)} a=NULL b=NULL c=4`,
      `before id=1 w=NULL x=1 ${document(2)} a=NULL b=NULL c=4`,
      "after id=1 v=a",
      "before id=1 v=a",
      "after id=1 v=b",
      "before id=1 v=b",
    ],
  ],
  [
    "FULL",
    [
      `after id=1 v=a w=3 x=1 ${document(1)} y=NULL a=NULL b=NULL c=NULL e=NULL`,
      "after id=2 v=b w=3 x=2 n=NULL y=NULL a=NULL b=NULL c=NULL e=NULL",
      `before id=1 v=a w=3 x=1 ${document(1)} y=NULL a=NULL b=NULL c=NULL e=NULL`,
      `after id=1 v=a w=NULL x=1 ${document(1)} y=NULL a=NULL b=NULL c=NULL e=e`,
      "before id=2 v=b w=3 x=2 n=NULL y=NULL a=NULL b=NULL c=NULL e=NULL",
      "after id=2 v=c w=3 x=9 n=NULL y=NULL a=NULL b=NULL c=NULL e=NULL",
      `before id=1 v=a w=NULL x=1 ${document(1)} y=NULL a=NULL b=NULL c=NULL e=e`,
      `after id=1 v=a w=NULL x=1 ${document(2)} y=NULL a=NULL b=NULL c=4 e=e`,
      `before id=1 v=a w=NULL x=1 ${document(2)} y=NULL a=NULL b=NULL c=4 e=e`,
      "after id=1 v=a",
      "before id=1 v=a",
      "after id=1 v=b",
      "before id=1 v=b",
    ],
  ],
];

export function describeReader(version: MysqlVersion, readerName: ReaderName): void {
  describe(`reading the binlog of ${version} with ${readerName}`, () => {
    let source: SourceServer;
    let start: DumpStart & { kind: "position" };

    beforeAll(async () => {
      source = await SourceServer.start(version, largeRowEvents, readerName);
      await source.run(
        "CREATE DATABASE d CHARACTER SET utf8mb4",
        "USE d",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50))",
        "CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(50))",
      );
    });
    beforeEach(async () => {
      await source.run("TRUNCATE t", "TRUNCATE u");
      start = await source.now();
    });
    afterAll(() => source.stop());

    /** A session whose settings end with it. */
    async function session(...statements: string[]): Promise<void> {
      const client = await source.client();
      try {
        for (const sql of ["USE d", ...statements]) await client.query(sql);
      } finally {
        await client.end();
      }
    }

    async function fault(...statements: string[]): Promise<unknown> {
      await session(...statements);
      return source.readAll(start).then(
        () => expect.fail("nothing stopped the stream"),
        (thrown: unknown) => thrown,
      );
    }

    describe("the stream", () => {
      test("begins with its file, and events join without a gap", async () => {
        await source.run("INSERT INTO t VALUES (1, 'a')", "UPDATE t SET v = 'b'", "DELETE FROM t");
        const events = await source.readAll(start);
        expect(kinds(events)).toEqual([
          "file",
          ...["gtid", "begin", "rows", "commit"],
          ...["gtid", "begin", "rows", "commit"],
          ...["gtid", "begin", "rows", "commit"],
        ]);
        const [file, ...rest] = events;
        expect(file).toMatchObject({ kind: "file", file: start.file });
        const created = (file as { fileCreated: number }).fileCreated;
        expect(created).toBe(await source.server.fileCreated(start.file));
        let end = start.position;
        for (const event of rest) {
          if (event.kind === "file" || event.kind === "heartbeat") continue;
          expect(event.position).toBeGreaterThanOrEqual(end);
          // Only the table map stands between: it is no event of ours.
          if (event.kind !== "rows") expect(event.position).toBe(end);
          expect(event.serverId).toBe(1);
          expect(Math.abs(event.timestampS - Date.now() / 1000)).toBeLessThan(300);
          end = event.nextPosition;
        }
        expect(end).toBe((await source.now()).position);
        const gtids = events.flatMap(event => (event.kind === "gtid" ? [event.gtid] : []));
        const { executed } = await source.server.gtids();
        const [uuid = "", last = ""] = executed.split(/:1-/);
        expect(gtids).toEqual([2, 1, 0].map(back => `${uuid}:${Number(last) - back}`));
        const begin = events.find(event => event.kind === "begin");
        expect(begin?.thread).toBeGreaterThan(0);
      });

      test("goes on from a GTID set", async () => {
        await source.run("INSERT INTO t VALUES (1, 'a')");
        const { executed } = await source.server.gtids();
        await source.run("INSERT INTO t VALUES (2, 'b')");
        const events = await source.readAll({ kind: "gtid-set", gtidSet: executed });
        const rows = events.filter(event => event.kind === "rows");
        expect(rows.map(({ rows }) => cellsOf(rows, 0, "after"))).toEqual([["2", "b"]]);
      });

      if (version === "mysql-9")
        test("knows tagged GTIDs, and goes on from a set of them", async () => {
          await session("SET gtid_next = 'AUTOMATIC:blue'", "INSERT INTO t VALUES (1, 'a')");
          const { executed } = await source.server.gtids();
          await session("SET gtid_next = 'AUTOMATIC:blue'", "INSERT INTO t VALUES (2, 'b')");
          const gtidsOf = (events: readonly BinlogEvent[]): (string | undefined)[] =>
            events.flatMap(event => (event.kind === "gtid" ? [event.gtid] : []));
          const all = gtidsOf(await source.readAll(start));
          expect(all).toEqual([
            expect.stringMatching(/^[0-9a-f-]{36}:blue:\d+$/),
            expect.stringMatching(/^[0-9a-f-]{36}:blue:\d+$/),
          ]);
          const later = await source.readAll({ kind: "gtid-set", gtidSet: executed });
          expect(gtidsOf(later)).toEqual(all.slice(1));
        });

      test("names each new file, with the time at which it began", async () => {
        await source.run(
          "INSERT INTO t VALUES (1, 'a')",
          "FLUSH BINARY LOGS",
          "INSERT INTO t VALUES (2, 'b')",
        );
        const events = await source.readAll(start);
        const now = await source.now();
        expect(kinds(events).filter(kind => ["file", "rows"].includes(kind))).toEqual([
          "file",
          "rows",
          "file",
          "rows",
        ]);
        const files = events.filter(event => event.kind === "file");
        expect(files.map(({ file }) => file)).toEqual([start.file, now.file]);
        expect(files[1]?.fileCreated).toBe(await source.server.fileCreated(now.file));
      });

      test("tells heartbeats with the server's position", async () => {
        await source.run("INSERT INTO t VALUES (1, 'a')");
        const { position } = await source.now();
        const events = await source.read(start, ({ kind }) => kind === "heartbeat", {
          heartbeatMs: 200,
        });
        expect(events.at(-1)).toEqual({ kind: "heartbeat", nextPosition: position });
      });

      test("ends when asked to, also while it waits", async () => {
        const stop = new AbortController();
        const seen: string[] = [];
        const asked = performance.now();
        for await (const batch of source.reader().events(start, stop.signal)) {
          seen.push(...kinds(batch));
          setImmediate(() => stop.abort());
        }
        expect(seen).toEqual(["file"]);
        expect(performance.now() - asked).toBeLessThan(5_000);
      });

      test("keeps unwanted tables out, but not their transactions", async () => {
        await source.run("INSERT INTO t VALUES (1, 'a')", "INSERT INTO u VALUES (1, 'b')");
        const events = await source.readAll(start, { wants: (_, table) => table === "u" });
        expect(kinds(events)).toEqual([
          "file",
          ...["gtid", "begin", "commit"],
          ...["gtid", "begin", "rows", "commit"],
        ]);
      });

      test("hands out one shape for a table until it changes", async () => {
        await source.run(
          "CREATE TABLE s (b INT, a VARCHAR(20), c BLOB, PRIMARY KEY (a, b))",
          "INSERT INTO s VALUES (1, 'x', NULL)",
          "FLUSH TABLES",
          "INSERT INTO s VALUES (2, 'x', NULL)",
          "ALTER TABLE s ADD d INT NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (a(3), b)",
          "INSERT INTO s VALUES (3, 'x', NULL, 4)",
          "ALTER TABLE s DROP PRIMARY KEY",
          "INSERT INTO s VALUES (3, 'x', NULL, 4)",
          "DROP TABLE s",
        );
        const events = await source.readAll(start);
        const shapes = events.flatMap(event => (event.kind === "rows" ? [event.rows.table] : []));
        expect(shapes[1]).toBe(shapes[0]);
        expect(shapes[2]).not.toBe(shapes[0]);
        expect(shapes.map(({ primaryKey }) => primaryKey)).toEqual([[1, 0], [1, 0], [1, 0], []]);
        expect(shapes[2]?.columns.map(({ name, nullable }) => [name, nullable])).toEqual([
          ["b", false],
          ["a", false],
          ["c", true],
          ["d", false],
        ]);
      });

      test("takes names that no language likes", async () => {
        const columns = ["__proto__", "constructor", "toString", "ö`´'\"", "select"];
        const quoted = columns.map(name => `\`${name.replaceAll("`", "``")}\``);
        const table = "`d``b-é😃`".replace("😃", "€");
        const events = await source.rowsOf(
          `CREATE TABLE ${table} (${quoted.map(name => `${name} INT`).join(", ")}, x INT GENERATED ALWAYS AS (${quoted[0] ?? ""} + 1) VIRTUAL, y INT AS (2) STORED)`,
          `INSERT INTO ${table} (${quoted.join(", ")}) VALUES (1, 2, 3, 4, 5)`,
          `DROP TABLE ${table}`,
        );
        const [rows] = events.map(event => event.rows);
        expect(rows?.table.name).toBe("d`b-é€");
        expect(rows?.table.columns.map(({ name }) => name)).toEqual([...columns, "x", "y"]);
        expect(rows && cellsOf(rows, 0, "after")).toEqual(["1", "2", "3", "4", "5", "2", "2"]);
      });

      test("puts JSON documents together of which only parts were logged", async () => {
        await source.run("CREATE TABLE j (id INT PRIMARY KEY, n INT, v JSON, w JSON, x JSON)");
        const document = `'{"a":1,"list":[1,2,[3,4]],"deep":{"k":{"l":"m"}},"price":12345678901234567890,
          "é":"ü","with space":1.0,"quo\\\\"te":null,"pad":"${"p".repeat(300)}"}'`;
        await source.run(`INSERT INTO j VALUES (1, 0, ${document}, ${document}, NULL)`);
        start = await source.now();
        const changes = [
          "JSON_SET(v, '$.a', 2)",
          "JSON_SET(v, '$.list[2][1]', CAST('{\"new\": [true, 2.50]}' AS JSON))",
          "JSON_SET(v, '$.list[9]', 'appended', '$.zz', 1, '$.b', CAST(1.50 AS DECIMAL(5,2)))",
          "JSON_REMOVE(v, '$.list[0]', '$.deep.k.l')",
          "JSON_REPLACE(v, '$.\"é\"', 'a \"quoted\" {[text]}', '$.\"with space\"', -0.5)",
          "JSON_SET(v, '$.\"quo\\\\\"te\"', CAST('2020-01-02 03:04:05.6' AS DATETIME(6)))",
          "JSON_SET(v, '$.list', CAST('[]' AS JSON), '$.deep', NULL)",
          "v",
          "'[1, 2]'",
        ];
        const client = await source.client();
        const expected: unknown[][] = [];
        await client.query("USE d");
        await client.query("SET SESSION binlog_row_value_options = PARTIAL_JSON");
        for (const change of changes) {
          const sql = `UPDATE j SET n = n + 1, v = ${change}, w = JSON_SET(w, '$.a', n)`;
          await client.query(sql);
          const [row] = await source.select(
            "SELECT CAST(n AS CHAR) AS n, CAST(v AS CHAR) AS v, CAST(w AS CHAR) AS w FROM d.j",
          );
          expected.push([row?.["n"], row?.["v"], row?.["w"]]);
        }
        await client.end();
        const events = await source.readAll(start);
        await source.run("DROP TABLE j");
        const rows = events.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
        expect(rows.map(found => cellsOf(found, 0, "after").slice(1, 4))).toEqual(expected);
        const before = rows.map(found => cellsOf(found, 0, "before").slice(1, 4));
        expect(before.slice(1)).toEqual(expected.slice(0, -1));
      });

      test("knows a document that was set to what it was", async () => {
        await source.run(
          "CREATE TABLE b (id INT PRIMARY KEY, v JSON, w INT)",
          "INSERT INTO b VALUES (1, '[1]', 1)",
        );
        start = await source.now();
        await session(
          "SET SESSION binlog_row_image = MINIMAL, binlog_row_value_options = PARTIAL_JSON",
          "UPDATE b SET v = '[1]', w = 2",
        );
        const events = await source.readAll(start);
        await source.run("DROP TABLE b");
        const rows = events.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
        expect(rows.flatMap(imagesOf)).toEqual(["before id=1", "after w=2"]);
      });

      test.each(images)("tells what was not logged with row image %s", async (image, expected) => {
        await source.run(
          `CREATE TABLE b (id INT, v TEXT, w INT DEFAULT 3, x INT, n JSON, y BLOB, a INT, b INT, c INT,
             e TEXT, PRIMARY KEY (id, x))`,
          "CREATE TABLE k (id INT, v TEXT)",
        );
        start = await source.now();
        const partial = "binlog_row_value_options = PARTIAL_JSON";
        await session(
          `SET SESSION binlog_row_image = ${image}${image === "MINIMAL" ? "" : `, ${partial}`}`,
          `INSERT INTO b (id, v, x, n) VALUES (1, 'a', 1, '{"a":1,"pad":"${"p".repeat(40)}"}'), (2, 'b', 2, NULL)`,
          "UPDATE b SET w = NULL, e = 'e' WHERE id = 1",
          "UPDATE b SET v = 'c', x = 9 WHERE id = 2",
          "UPDATE b SET n = JSON_SET(n, '$.a', 2), c = 4 WHERE id = 1",
          "DELETE FROM b WHERE id = 1",
          "INSERT INTO k VALUES (1, 'a')",
          "UPDATE k SET v = 'b'",
          "DELETE FROM k",
        );
        const events = await source.readAll(start);
        await source.run("DROP TABLE b, k");
        const rows = events.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
        expect(rows.flatMap(imagesOf)).toEqual(expected);
      });

      if (version === "mysql-9")
        test("unpacks compressed transactions", async () => {
          await source.run("CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT)");
          start = await source.now();
          const noise = "REPEAT(SHA2(RAND(), 512), 40)";
          await session(
            "SET SESSION binlog_transaction_compression = ON",
            "BEGIN",
            "INSERT INTO t VALUES (1, 'a')",
            ...Array.from({ length: 200 }, (_, i) => `INSERT INTO big VALUES (${i}, ${noise})`),
            "INSERT INTO big VALUES (1000, REPEAT('x', 20000000))",
            "UPDATE t SET v = 'b'",
            "COMMIT",
            "DROP TABLE IF EXISTS nothing",
          );
          const selected = await source.select("SELECT SHA2(v, 256) AS sum FROM d.big ORDER BY id");
          const events = await source.readAll(start);
          await source.run("DROP TABLE big");
          expect(kinds(events)).toEqual([
            ...["file", "gtid", "begin"],
            ...Array<string>(203).fill("rows"),
            ...["commit", "gtid", "statement"],
          ]);
          const rows = events.flatMap(event => (event.kind === "rows" ? [event] : []));
          const text = rows.map(({ rows: found }) => cellsOf(found, 0, "after")[1] ?? "");
          expect(text[0]).toBe("a");
          expect(text.at(-1)).toBe("b");
          const sums = text.slice(1, -1).map(v => createHash("sha256").update(v).digest("hex"));
          expect(sums).toEqual(selected.map(({ sum }) => sum));
          // It was one event.
          expect(new Set(rows.map(({ position }) => position)).size).toBe(1);
        });

      test("shows DDL, savepoints and what is rolled back to them", async () => {
        await session(
          "BEGIN",
          "INSERT INTO t VALUES (1, 'a')",
          "SAVEPOINT s",
          "INSERT INTO t VALUES (2, 'b')",
          "ROLLBACK TO s",
          "INSERT INTO t VALUES (3, 'c')",
          "COMMIT",
          "TRUNCATE t",
        );
        const events = await source.readAll(start);
        const ids = events.flatMap(event =>
          event.kind === "rows" ? [cellsOf(event.rows, 0, "after")[0]] : [],
        );
        expect(ids).toEqual(["1", "3"]);
        const statements = events.flatMap(event => (event.kind === "statement" ? [event.sql] : []));
        expect(statements).toEqual(["SAVEPOINT `s`", "TRUNCATE t"]);
        expect(kinds(events).slice(-3)).toEqual(["commit", "gtid", "statement"]);
      });

      if (version === "mysql-9")
        test("shows CREATE … SELECT as one transaction", async () => {
          await source.run("INSERT INTO t VALUES (1, 'a')");
          start = await source.now();
          await source.run("CREATE TABLE copied SELECT * FROM t", "DROP TABLE copied");
          expect(kinds(await source.readAll(start))).toEqual([
            ...["file", "gtid", "begin", "statement", "rows", "commit"],
            ...["gtid", "statement"],
          ]);
        });

      test("takes XA COMMIT … ONE PHASE for a commit", async () => {
        await session(
          "XA START 'x'",
          "INSERT INTO t VALUES (1, 'a')",
          "XA END 'x'",
          "XA COMMIT 'x' ONE PHASE",
        );
        const events = kinds(await source.readAll(start));
        expect(events).toEqual(["file", "gtid", "begin", "rows", "statement", "commit"]);
      });

      test("hands out prepared rows only where that was asked for", async () => {
        const statements = [
          "XA START 'p'",
          "INSERT INTO t VALUES (1, 'a')",
          "XA END 'p'",
          "XA PREPARE 'p'",
          "XA COMMIT 'p'",
        ];
        const error = await fault(...statements);
        expect(error).toMatchObject({ code: "TRANSACTION_IN_DOUBT" });
        expect(String(error)).toMatch(/binlog\.0+\d:\d+.*XA PREPARE/);
        expect(kinds(await source.readAll(start, { xa: "at_prepare" }))).toEqual([
          ...["file", "gtid", "begin", "rows", "statement", "commit"],
          ...["gtid", "statement"],
        ]);
        const marked = await source.readAll(start, { xa: "at_commit" });
        expect(kinds(marked)).toEqual([
          ...["file", "gtid", "begin", "rows", "statement", "xa", "gtid", "xa"],
        ]);
        const xid = "X'70',X'',1";
        const group = { xid, group: start.position };
        const ends = marked.filter(({ kind }) => kind === "xa");
        expect(ends).toMatchObject([
          { step: "prepare", ...group },
          { step: "commit", xid },
        ]);
        // Without rows that anybody wants, nothing can be rolled back.
        const unwanted = kinds(await source.readAll(start, { wants: () => false }));
        expect(unwanted.filter(kind => kind === "rows")).toEqual([]);
        expect(unwanted.at(-1)).toBe("statement");
      });
    });

    describe("is stopped, with place and remedy, by", () => {
      const unreadable = (pattern: RegExp, code = "EVENT_UNREADABLE"): object => ({
        code,
        message: expect.stringMatching(pattern) as unknown,
      });

      test.each([
        "INSERT INTO t VALUES (1, 'a')",
        "/* hidden */ INSERT INTO t VALUES (1, 'a')",
        "REPLACE INTO t VALUES (1, 'a')",
      ])("a change logged as a statement: %s", async sql => {
        const found = await fault("SET SESSION binlog_format = STATEMENT", sql);
        expect(found).toMatchObject(
          unreadable(/binlog\.0+\d+:\d+ cannot be read.*binlog_format = ROW/),
        );
      });

      test("a function that changes rows, logged as a statement", async () => {
        await source.run(
          "SET GLOBAL log_bin_trust_function_creators = 1",
          "CREATE FUNCTION d.f() RETURNS INT BEGIN INSERT INTO d.t VALUES (9, 'f'); RETURN 1; END",
        );
        start = await source.now();
        const found = await fault("SET SESSION binlog_format = STATEMENT", "DO d.f()");
        await source.run("DROP FUNCTION d.f");
        expect(found).toMatchObject(unreadable(/binlog_format = ROW/));
      });

      test("an insert of which not even the key was logged", async () => {
        await source.run("CREATE TABLE b (id INT PRIMARY KEY DEFAULT 5, v INT)");
        start = await source.now();
        const minimal = "SET SESSION binlog_row_image = MINIMAL";
        const keyless = await fault(minimal, "INSERT INTO b (v) VALUES (1)");
        start = await source.now();
        const empty = await fault(minimal, "TRUNCATE b", "INSERT INTO b () VALUES ()");
        await source.run("DROP TABLE b");
        for (const found of [keyless, empty]) {
          expect(found).toMatchObject(unreadable(/without key column id; .*row_image = FULL/));
        }
      });

      test("rows of a table without key of which nothing was logged", async () => {
        await source.run("CREATE TABLE b (v INT DEFAULT 5)");
        start = await source.now();
        const sql = "INSERT INTO b () VALUES ()";
        const found = await fault("SET SESSION binlog_row_image = MINIMAL", sql);
        await source.run("DROP TABLE b");
        expect(found).toMatchObject(unreadable(/without any column; .*row_image = FULL/));
      });

      test("a part of a JSON document that was logged without the rest", async () => {
        await source.run("CREATE TABLE b (id INT PRIMARY KEY, v JSON)");
        await source.run(`INSERT INTO b VALUES (1, '{"a":1,"pad":"${"p".repeat(100)}"}')`);
        start = await source.now();
        const found = await fault(
          "SET SESSION binlog_row_image = MINIMAL, binlog_row_value_options = PARTIAL_JSON",
          "UPDATE b SET v = JSON_SET(v, '$.a', 2)",
        );
        await source.run("DROP TABLE b");
        expect(found).toMatchObject(unreadable(/d\.b\.v .*not what it was before; .*= FULL/));
      });

      test("tables whose columns have no names", async () => {
        await source.run("SET GLOBAL binlog_row_metadata = MINIMAL");
        const found = await fault("INSERT INTO t VALUES (1, 'a')");
        const unwanted = await source.readAll(start, { wants: () => false });
        await source.run("SET GLOBAL binlog_row_metadata = FULL");
        expect(found).toMatchObject(
          unreadable(/d\.t.*binlog_row_metadata = FULL/, "SOURCE_SETTING"),
        );
        expect(kinds(unwanted)).toEqual(["file", "gtid", "begin", "commit"]);
      });
    });

    describe("checksums", () => {
      test("are taken as each file says, whatever the present setting is", async () => {
        const rowsPerFile = async (setting: string): Promise<void> =>
          source.run(
            `SET GLOBAL binlog_checksum = ${setting}`,
            "INSERT INTO t VALUES (NULLIF(1,2) + (SELECT COUNT(*) FROM u), 'x')",
            "INSERT INTO u VALUES ((SELECT COUNT(*) FROM t), 'y')",
          );
        await rowsPerFile("NONE");
        await rowsPerFile("CRC32");
        await rowsPerFile("NONE");
        const read = async (): Promise<unknown[]> =>
          (await source.readAll(start)).flatMap(event =>
            event.kind === "rows"
              ? [{ ...event, rows: [event.rows.table, cellsOf(event.rows, 0, "after")] }]
              : [],
          );
        const rows = await read();
        await source.run("SET GLOBAL binlog_checksum = CRC32");
        const again = await read();
        expect(rows).toHaveLength(6);
        expect(again).toEqual(rows);
      });
    });

    describe("the connection", () => {
      test("has the time-outs, heartbeat and identity of the pipeline", async () => {
        const uuid = randomUUID();
        const stop = new AbortController();
        const reader = source.reader({ replicaUuid: uuid, heartbeatMs: 1_234 });
        for await (const batch of reader.events(start, stop.signal)) {
          expect(kinds(batch)).toEqual(["file"]);
          const threads =
            "(SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_COMMAND = 'Binlog Dump')";
          const variables = await source.select(`
          SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS value
          FROM performance_schema.user_variables_by_thread WHERE THREAD_ID IN ${threads}
          UNION ALL SELECT VARIABLE_NAME, VARIABLE_VALUE
          FROM performance_schema.variables_by_thread
          WHERE THREAD_ID IN ${threads} AND VARIABLE_NAME LIKE 'net_%_timeout'`);
          const found = Object.fromEntries(
            variables.map(({ name, value }) => [name, String(value)]),
          ) as object;
          expect(found).toMatchObject({
            slave_uuid: uuid,
            replica_uuid: uuid,
            master_heartbeat_period: "1234000000",
            source_heartbeat_period: "1234000000",
            net_write_timeout: "7200",
            net_read_timeout: "7200",
          });
          stop.abort();
        }
      });

      test("ends with SOURCE_UNAVAILABLE when the server kills it", async () => {
        const ended = failure(source.reader().events(start, never));
        await source.run(`KILL ${await dumpThread()}`);
        expect(await ended).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
      });

      test("ends with SOURCE_TAKEN_OVER when another reader has its uuid", async () => {
        const replicaUuid = randomUUID();
        const ended = failure(source.reader({ replicaUuid }).events(start, never));
        await dumpThread();
        await source.read(start, ({ kind }) => kind === "file", { replicaUuid });
        expect(await ended).toMatchObject({ code: "SOURCE_TAKEN_OVER" });
      });

      test("lives beside another reader of the same server id", async () => {
        await source.run("INSERT INTO t VALUES (1, 'a')");
        const options = { serverId: 77, heartbeatMs: 100 };
        const beats = (): Promise<BinlogEvent[]> => {
          let count = 0;
          return source.read(
            start,
            ({ kind }) => kind === "heartbeat" && (count += 1) === 3,
            options,
          );
        };
        await expect(Promise.all([beats(), beats()])).resolves.toHaveLength(2);
      });

      test("is noticed to be dead when nothing comes any more", async () => {
        const proxy = await startProxy(source.mysql);
        const connection = { ...source.connection, host: proxy.host, port: proxy.port };
        const silent = performance.now();
        const reader = source.reader({ connection, heartbeatMs: 300 });
        let isCut = false;
        const ended = failure(
          (async function* () {
            for await (const batch of reader.events(start, never)) {
              if (!isCut) proxy.blackhole(true);
              isCut = true;
              yield batch;
            }
          })(),
        );
        expect(await ended).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
        expect(performance.now() - silent).toBeLessThan(8_000);
        await proxy.close();
      });

      test("is noticed to be dead while it is being made", async () => {
        const proxy = await startProxy(source.mysql);
        proxy.blackhole(true);
        const connection = { ...source.connection, host: proxy.host, port: proxy.port };
        const ended = failure(
          source.reader({ connection, startTimeoutMs: 500 }).events(start, never),
        );
        expect(await ended).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
        await proxy.close();
      });

      test("ends with SOURCE_UNAVAILABLE when it is reset, and when nobody answers", async () => {
        const proxy = await startProxy(source.mysql);
        const connection = { ...source.connection, host: proxy.host, port: proxy.port };
        const ended = failure(source.reader({ connection }).events(start, never));
        await dumpThread();
        proxy.reset();
        expect(await ended).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
        await proxy.close();
        const refused = failure(source.reader({ connection }).events(start, never));
        expect(await refused).toMatchObject({ code: "SOURCE_UNAVAILABLE" });
      });

      test("ends with ACCESS_DENIED for a wrong password and a missing privilege", async () => {
        await source.run("CREATE USER nobody@'%' IDENTIFIED BY 'secret'");
        const as = (password: string): Promise<Error> =>
          failure(
            source
              .reader({ connection: { ...source.connection, user: "nobody", password } })
              .events(start, never),
          );
        expect(await as("wrong")).toMatchObject({ code: "ACCESS_DENIED" });
        const unprivileged = await as("secret");
        expect(unprivileged).toMatchObject({ code: "ACCESS_DENIED" });
        expect(unprivileged.message).toMatch(/GRANT REPLICATION SLAVE/);
        await source.run("DROP USER nobody@'%'");
      });

      test.each([
        ["a file that is not there", "POSITION_LOST", { file: "binlog.009999", position: 4 }],
        ["a position behind the end", "POSITION_UNUSABLE", { position: 4_000_000_000 }],
      ])("tells %s as %s", async (_, code, wrong) => {
        const ended = failure(source.reader().events({ ...start, ...wrong }, never));
        expect(await ended).toMatchObject({ code });
      });

      test("leaves no socket, timer or thread on the server behind", async () => {
        const handles = (): string[] =>
          process.getActiveResourcesInfo().filter(name => /TCP|Timeout/.test(name));
        const before = handles().length;
        await source.readAll(start).catch(() => undefined);
        const early = new AbortController();
        const events = source.reader().events(start, early.signal);
        early.abort();
        await drain(events);
        await failure(source.reader().events({ ...start, file: "binlog.009999" }, never));
        await vi.waitFor(() => expect(handles().length).toBeLessThanOrEqual(before), 10_000);
        await vi.waitFor(
          async () => {
            const [row] = await source.select(
              "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog%'",
            );
            expect(Number(row?.["n"])).toBe(0);
          },
          { timeout: 20_000 },
        );
      });
    });

    describe("events that take more than one packet", () => {
      const repeat = (text: string, times: number): string => `REPEAT('${text}', ${times})`;

      test("are decoded row by row", async () => {
        await source.run("CREATE TABLE big (id INT PRIMARY KEY, v LONGTEXT, w INT)");
        start = await source.now();
        await session(
          `INSERT INTO big VALUES (1, ${repeat("a", 17_000_000)}, 7)`,
          "UPDATE big SET v = CONCAT(v, 'b'), w = 8",
          `INSERT INTO big VALUES (2, ${repeat("c", 0xff_ffff)}, 9)`,
          "DELETE FROM big WHERE id = 1",
        );
        const events = await source.readAll(start);
        await source.run("DROP TABLE big");
        const rows = events.flatMap(event => (event.kind === "rows" ? [event.rows] : []));
        const cells = rows.map(found =>
          cellsOf(found, 0, found.operation === "delete" ? "before" : "after"),
        );
        expect(cells.map(([id, v, w]) => [id, v?.length, v?.at(-1), w])).toEqual([
          ["1", 17_000_000, "a", "7"],
          ["1", 17_000_001, "b", "8"],
          ["2", 0xff_ffff, "c", "9"],
          ["1", 17_000_001, "b", "8"],
        ]);
        const [, update] = rows;
        expect(update && cellsOf(update, 0, "before")[1]?.length).toBe(17_000_000);
      });

      test("may hold many rows", async () => {
        await source.run("CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(2000))");
        await source.run("INSERT INTO big (v) VALUES ('')");
        for (let rows = 1; rows < 16_384; rows *= 2) {
          await source.run("INSERT INTO big (v) SELECT '' FROM big");
        }
        start = await source.now();
        await source.run(`UPDATE big SET v = ${repeat("x", 2_000)}`);
        const events = await source.readAll(start);
        await source.run("DROP TABLE big");
        const rows = events.flatMap(event => (event.kind === "rows" ? [event] : []));
        expect(new Set(rows.map(({ position }) => position)).size).toBe(1);
        const ids = rows.flatMap(({ rows: found }) =>
          Array.from({ length: found.count }, (_, i) => cellsOf(found, i, "after")),
        );
        expect(ids.map(([, v]) => v?.length)).toEqual(Array(16_384).fill(2_000));
        expect(new Set(ids.map(([id]) => id)).size).toBe(16_384);
        // The own reader never has it all in memory.
        if (readerName === "native") expect(rows.length).toBeGreaterThan(4);
      });
    });

    describe("back-pressure", () => {
      test("keeps memory bounded while nobody takes a large transaction", async () => {
        await source.run("CREATE TABLE large (id INT PRIMARY KEY, v LONGTEXT)");
        start = await source.now();
        await source.run("BEGIN");
        for (let i = 0; i < 150; i += 1) {
          await source.run(`INSERT INTO large VALUES (${i}, REPEAT('${i % 10}', 1000000))`);
        }
        await source.run("COMMIT");
        const proxy = await startProxy(source.mysql);
        const connection = { ...source.connection, host: proxy.host, port: proxy.port };
        const reader = source.reader({ connection, queueBytesMax: 1 << 20, heartbeatMs: 100 });
        const stop = new AbortController();
        let rows = 0;
        let batchMax = 0;
        let peak = 0;
        const before = process.memoryUsage().arrayBuffers;
        for await (const batch of reader.events(start, stop.signal)) {
          const bytes = batch.reduce(
            (sum, event) => sum + (event.kind === "rows" ? event.rows.bytes : 0),
            0,
          );
          batchMax = Math.max(batchMax, bytes);
          for (const event of batch) {
            if (event.kind === "rows") rows += 1;
            if (event.kind === "commit") stop.abort();
          }
          peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
          // Longer than the watchdog waits: a paused reader must not take the silence for death.
          if (rows === 3) await new Promise(resolve => setTimeout(resolve, 1_000));
        }
        expect(rows).toBe(150);
        expect(batchMax).toBeLessThan(4_000_000);
        expect(peak).toBeLessThan(70_000_000);
        await proxy.close();
        await source.run("DROP TABLE large");
      });
    });

    describe("purged files", () => {
      test("are POSITION_LOST, by position and by GTID set", async () => {
        await source.run(
          "INSERT INTO t VALUES (1, 'a')",
          "FLUSH BINARY LOGS",
          "INSERT INTO t VALUES (2, 'b')",
        );
        const { file } = await source.now();
        await vi.waitFor(
          async () => {
            await source.run(`PURGE BINARY LOGS TO '${file}'`);
            expect(await source.server.hasFile(start.file)).toBe(false);
          },
          { timeout: 20_000, interval: 500 },
        );
        const byPosition = await failure(source.reader().events(start, never));
        expect(byPosition).toMatchObject({ code: "POSITION_LOST" });
        const bySet = await failure(
          source.reader().events({ kind: "gtid-set", gtidSet: "" }, never),
        );
        expect(bySet).toMatchObject({ code: "POSITION_LOST" });
      });
    });

    async function dumpThread(): Promise<number> {
      return vi.waitFor(
        async () => {
          const rows = await source.select(
            "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog%' AND STATE LIKE '%sent all binlog%'",
          );
          expect(rows).toHaveLength(1);
          return Number(rows[0]?.["id"]);
        },
        { timeout: 20_000, interval: 50 },
      );
    }

    test("one event at a time is what the collector of the tests sees too", async () => {
      await source.run("INSERT INTO t VALUES (1, 'a')");
      const events = await collect(
        source.reader({ queueEventsMax: 1 }),
        start,
        e => e.kind === "commit",
      );
      expect(kinds(events)).toEqual(["file", "gtid", "begin", "rows", "commit"]);
    });
  });
}
