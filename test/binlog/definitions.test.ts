import { describe, expect, test } from "vitest";
import type { BinlogPlace } from "../../src/binlog/binlog-place.ts";
import {
  Definitions,
  DefinitionsMissing,
  type ReadTable,
  type ReadTables,
  type Unnamed,
} from "../../src/binlog/definitions.ts";
import type { BinlogEvent } from "../../src/binlog/reader.ts";

const at = (position: number, file = "binlog.000001"): BinlogPlace => ({ file, position });

function table(name: string, columns: readonly string[], end: BinlogPlace): ReadTable {
  const definition = {
    ...{ database: "shop", name, primaryKey: [] },
    columns: columns.map(column => ({
      ...{ name: column, dataType: "int", declared: "int", unsigned: false, nullable: true },
      ...{ charset: undefined },
      ...{ members: [], size: 10, scale: 0 },
    })),
  };
  return { database: "shop", name, definition, end };
}

interface Log {
  /** Position → statement, in the database shop. */
  readonly statements?: Readonly<Record<number, string>>;
  readonly end: number;
}

/** A server that says and holds what it is told to. */
class Server {
  answer: ReadTables;
  log: Log;
  loads = 0;

  constructor(answer: ReadTables, log: Log) {
    this.answer = answer;
    this.log = log;
  }

  readTables(): Promise<ReadTables> {
    this.loads += 1;
    return Promise.resolve(this.answer);
  }

  async *scan(start: unknown): AsyncGenerator<readonly BinlogEvent[]> {
    const { file, position: from } = start as BinlogPlace;
    yield await Promise.resolve([{ kind: "file", file, fileCreated: 1 }]);
    for (const [place, sql] of Object.entries(this.log.statements ?? {})) {
      const position = Number(place);
      if (position < from) continue;
      const nextPosition = position + 10;
      const header = { position, nextPosition, timestampS: 1, serverId: 1 };
      yield [{ ...header, kind: "statement", database: "shop", sql }];
    }
    yield [{ kind: "heartbeat", nextPosition: this.log.end }];
  }
}

function unnamed(place: BinlogPlace, tableId = 7, name = "t"): Unnamed {
  return { database: "shop", name, tableId, at: place, group: place };
}

const names = (definitions: Definitions, asked: Unnamed): string[] =>
  definitions.find(asked).columns.map(({ name }) => name);

/** Loads as often as the stream would. */
async function found(definitions: Definitions, asked: Unnamed): Promise<string[]> {
  for (;;) {
    try {
      return names(definitions, asked);
    } catch (thrown) {
      if (!(thrown instanceof DefinitionsMissing)) throw thrown;
      await definitions.load(thrown, new AbortController().signal);
    }
  }
}

function given(columns: readonly string[], log: Log): { server: Server; definitions: Definitions } {
  const end = at(log.end);
  const server = new Server({ listedAt: end, tables: [table("t", columns, end)] }, log);
  return { server, definitions: new Definitions(server, () => true) };
}

describe("Definitions", () => {
  test("hold for rows in front of the place where they were read", async () => {
    const { definitions, server } = given(["a", "b"], { end: 500 });
    expect(await found(definitions, unnamed(at(100)))).toEqual(["a", "b"]);
    expect(await found(definitions, unnamed(at(400)))).toEqual(["a", "b"]);
    expect(server.loads).toBe(1);
  });

  test("hold behind the last DDL only", async () => {
    const statements = { 200: "ALTER TABLE t ADD b INT", 300: "ALTER TABLE t ADD c INT" };
    const { definitions } = given(["a", "b", "c"], { end: 500, statements });
    expect(await found(definitions, unnamed(at(310)))).toEqual(["a", "b", "c"]);
    await expect(found(definitions, unnamed(at(250)))).rejects.toThrow(/changed behind this place/);
    await expect(found(definitions, unnamed(at(100)))).rejects.toThrow(/position set/);
  });

  test.each([499, 500, 501])("a DDL at %i, where the table was read at 500", async position => {
    const { definitions, server } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(100)));
    const sql = "ALTER TABLE t RENAME COLUMN a TO b";
    server.log = { end: 900, statements: { [position]: sql } };
    const end = at(900);
    server.answer = { listedAt: end, tables: [table("t", ["b"], end)] };
    definitions.note(at(position), "shop", sql);
    if (position < 500) {
      await expect(found(definitions, unnamed(at(490)))).rejects.toThrow(/changed behind/);
    } else {
      expect(await found(definitions, unnamed(at(490)))).toEqual(["a"]);
      expect(await found(definitions, unnamed(at(600)))).toEqual(["b"]);
    }
  });

  test("a DDL between the reading of two tables counts for each on its own", async () => {
    const statements = { 550: "RENAME TABLE t TO old, u TO t" };
    const server = new Server(
      { listedAt: at(500), tables: [table("t", ["a"], at(500)), table("u", ["b"], at(600))] },
      { end: 600, statements },
    );
    const definitions = new Definitions(server, () => true);
    expect(await found(definitions, unnamed(at(400)))).toEqual(["a"]);
    expect(await found(definitions, unnamed(at(510)))).toEqual(["a"]);
    expect(() => definitions.find(unnamed(at(560)))).toThrow(DefinitionsMissing);
    await expect(found(definitions, unnamed(at(510), 7, "u"))).rejects.toThrow(/changed behind/);
  });

  test("are read again for rows from before the first load", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(300)));
    expect(await found(definitions, unnamed(at(200)))).toEqual(["a"]);
    expect(server.loads).toBe(2);
  });

  test("are read again when a table comes under another number, and are the same object", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(400), 7));
    expect(await found(definitions, unnamed(at(510), 7))).toEqual(["a"]);
    expect(server.loads).toBe(1);
    const before = definitions.find(unnamed(at(510), 7));
    server.answer = { listedAt: at(700), tables: [table("t", ["a"], at(700))] };
    server.log = { end: 700 };
    expect(await found(definitions, unnamed(at(600), 8))).toEqual(["a"]);
    expect(server.loads).toBe(2);
    expect(definitions.find(unnamed(at(600), 8))).toBe(before);
  });

  test("are read again when the server was started anew: numbers mean nothing then", async () => {
    const { definitions } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(400), 7));
    definitions.forgetNumbers();
    expect(() => definitions.find(unnamed(at(510), 7))).toThrow(DefinitionsMissing);
  });

  test("stop the stream if they changed and the binlog does not tell where", async () => {
    const { definitions, server } = given(["a", "b"], { end: 500 });
    await found(definitions, unnamed(at(400), 7));
    server.answer = { listedAt: at(700), tables: [table("t", ["b", "a"], at(700))] };
    server.log = { end: 700 };
    await expect(found(definitions, unnamed(at(600), 8))).rejects.toThrow(/sql_log_bin/);
  });

  test("that were known keep holding up to the next DDL, which lies in front of what was read", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(400), 7));
    const end = at(900);
    server.answer = { listedAt: end, tables: [table("t", ["b"], end)] };
    server.log = {
      end: 900,
      statements: { 600: "ALTER TABLE t CHANGE a x INT", 700: "ALTER TABLE t CHANGE x b INT" },
    };
    expect(await found(definitions, unnamed(at(510), 8))).toEqual(["a"]);
    expect(await found(definitions, unnamed(at(590), 9))).toEqual(["a"]);
    await expect(found(definitions, unnamed(at(650), 10))).rejects.toThrow(/changed behind/);
    expect(await found(definitions, unnamed(at(710), 11))).toEqual(["b"]);
    expect(server.loads).toBe(2);
  });

  test("that were known keep holding until the table went away", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await found(definitions, unnamed(at(400), 7));
    server.answer = { listedAt: at(900), tables: [] };
    server.log = { end: 900, statements: { 600: "DROP TABLE t" } };
    expect(await found(definitions, unnamed(at(510), 8))).toEqual(["a"]);
    await expect(found(definitions, unnamed(at(610), 9))).rejects.toThrow(/not show it/);
  });

  test("of a table that the server does not show are missing while it may be younger", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await expect(found(definitions, unnamed(at(400), 9, "new"))).rejects.toThrow(/not show it/);
    server.answer = {
      listedAt: at(700),
      tables: [table("t", ["a"], at(700)), table("new", ["x"], at(700))],
    };
    server.log = { end: 700, statements: { 510: "CREATE TABLE new (x INT)" } };
    expect(await found(definitions, unnamed(at(600), 9, "new"))).toEqual(["x"]);
  });

  test("say why the server did not tell them", async () => {
    const refused = { ...table("t", [], at(500)), definition: "our user may not read it" };
    const server = new Server({ listedAt: at(500), tables: [refused] }, { end: 500 });
    const definitions = new Definitions(server, () => true);
    await expect(found(definitions, unnamed(at(400)))).rejects.toThrow(/may not read it/);
  });

  test("are not asked for without end by a server whose binlog ends in front of its rows", async () => {
    const { definitions, server } = given(["a"], { end: 500 });
    await expect(found(definitions, unnamed(at(600)))).rejects.toThrow(/seems to end/);
    expect(server.loads).toBeLessThan(5);
  });

  test("count files as numbers", async () => {
    const end = at(50, "binlog.1000000");
    const server = new Server({ listedAt: end, tables: [table("t", ["a"], end)] }, { end: 50 });
    const definitions = new Definitions(
      {
        readTables: () => server.readTables(),
        scan: () => server.scan(at(4, "binlog.1000000")),
      },
      () => true,
    );
    expect(await found(definitions, unnamed(at(9_000, "binlog.999999")))).toEqual(["a"]);
  });

  describe("whose hashes a restart knows", () => {
    async function afterRestart(columns: readonly string[], log: Log): Promise<Definitions> {
      const { definitions } = given(["a", "b"], { end: 500 });
      await found(definitions, unnamed(at(400)));
      const end = at(log.end);
      const server = new Server({ listedAt: end, tables: [table("t", columns, end)] }, log);
      return new Definitions(server, () => true, definitions.hashes);
    }

    test("hold if they are alike", async () => {
      const definitions = await afterRestart(["a", "b"], { end: 900 });
      expect(await found(definitions, unnamed(at(600)))).toEqual(["a", "b"]);
    });

    test("stop the stream if no statement tells of the change, also at the next start", async () => {
      const definitions = await afterRestart(["b", "a"], { end: 900 });
      await expect(found(definitions, unnamed(at(600)))).rejects.toThrow(/sql_log_bin/);
      const end = at(950);
      const server = new Server(
        { listedAt: end, tables: [table("t", ["b", "a"], end)] },
        { end: 950 },
      );
      const next = new Definitions(server, () => true, definitions.hashes);
      await expect(found(next, unnamed(at(600)))).rejects.toThrow(/sql_log_bin/);
    });

    test("give way to a statement that the stream met, or that stands in front of the end", async () => {
      const met = await afterRestart(["b", "a"], { end: 900 });
      met.note(at(550), "shop", "ALTER TABLE t CHANGE a b INT, CHANGE b a INT");
      expect(await found(met, unnamed(at(600)))).toEqual(["b", "a"]);
      const statements = { 620: "ALTER TABLE t CHANGE a b INT, CHANGE b a INT" };
      const behind = await afterRestart(["b", "a"], { end: 900, statements });
      await expect(found(behind, unnamed(at(610)))).rejects.toThrow(/changed behind/);
      expect(await found(behind, unnamed(at(640)))).toEqual(["b", "a"]);
    });

    test("are of captured tables only, and few", async () => {
      const { definitions } = given(["a"], { end: 500 });
      await found(definitions, unnamed(at(400)));
      const { hashes } = definitions;
      expect(hashes).toEqual({ "shop.t": expect.stringMatching(/^[0-9a-f]{8}$/) as string });
      const { server } = given(["a"], { end: 500 });
      expect(new Definitions(server, () => false, hashes).hashes).toEqual({});
      const many = Array.from({ length: 700 }, (_, i) => table(`t${i}`, ["a"], at(500)));
      server.answer = { listedAt: at(500), tables: many };
      const crowded = new Definitions(server, () => true);
      await found(crowded, unnamed(at(400), 7, "t1"));
      expect(Object.keys(crowded.hashes)).toHaveLength(500);
    });
  });
});
