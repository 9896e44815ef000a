/** Which tables our user would have to see, and what is said where it does not. */
import { describe, expect, test } from "vitest";
import type { SourceTable } from "../../src/binlog/server.ts";
import { snapshotFindings } from "../../src/check/snapshot.ts";

const orders: SourceTable = { database: "shop", name: "orders", hasPrimaryKey: true };

interface Sight {
  /** Of `source.snapshot`. */
  readonly tables?: readonly string[];
  /** By the server. */
  readonly shown?: readonly SourceTable[];
  readonly mayRead?: (id: string) => boolean;
  readonly noKey?: "refuse" | "lock";
  /** Its databases of which our user may lock tables. */
  readonly lockable?: readonly string[];
}

async function found(
  patterns: readonly string[],
  {
    tables = ["*.*"],
    shown = [orders],
    mayRead = () => false,
    noKey = "refuse",
    lockable = [],
  }: Sight = {},
): Promise<readonly string[]> {
  const findings = await snapshotFindings({
    onLostPosition: "stop",
    snapshot: {
      mode: "initial",
      tables,
      batchRows: undefined,
      parallelTables: 1,
      rowsPerS: Infinity,
      where: {},
      quiesced: false,
      noKey,
      replica: undefined,
    },
    tables: shown,
    patterns,
    grantee: "'cdc'@'%'",
    server: {
      inspect: () => Promise.resolve({ gtidMode: true, isMariaDb: false } as never),
      conditionFault: () => Promise.resolve(undefined),
      unreadable: <T extends { readonly database: string; readonly name: string }>(
        names: readonly T[],
      ) => Promise.resolve(names.filter(({ database, name }) => !mayRead(`${database}.${name}`))),
      unlockable: databases =>
        Promise.resolve(databases.filter(database => !lockable.includes(database))),
      withoutConsistentRead: <T extends { readonly name: string }>(names: readonly T[]) =>
        Promise.resolve(names.filter(({ name }) => name.startsWith("myisam"))),
    },
  });
  return findings.map(({ level, ok, fix }) => (ok ? "good" : `${level}: ${fix}`));
}

const seesOrders = (id: string): boolean => id === "shop.orders";

describe("the tables of a snapshot", () => {
  test("that are named are readable, or are granted", async () => {
    expect(await found(["shop.orders"], { mayRead: seesOrders })).toEqual(["good"]);
    expect(await found(["shop.orders"])).toEqual([
      "error: GRANT SELECT ON `shop`.`orders` TO 'cdc'@'%'",
    ]);
  });

  test("that are named and not there yet are no fault where they could be read", async () => {
    const options = { mayRead: (id: string) => id.startsWith("shop.") };
    expect(await found(["shop.orders", "shop.later"], options)).toEqual(["good"]);
    expect(await found(["shop.orders", "shop.later"], { mayRead: seesOrders })).toEqual([
      "error: GRANT SELECT ON `shop`.`later` TO 'cdc'@'%'",
    ]);
  });

  test("that a pattern stands for are all seen, or the start is refused", async () => {
    expect(await found(["shop.*"], { mayRead: id => id.startsWith("shop.") })).toEqual(["good"]);
    expect(await found(["shop.*"], { mayRead: seesOrders })).toEqual([
      "error: GRANT SELECT ON `shop`.* TO 'cdc'@'%'",
    ]);
    expect(await found(["shop.or?er*", "!shop.x"], { mayRead: seesOrders })).toEqual([
      "error: GRANT SELECT ON `shop`.* TO 'cdc'@'%'",
    ]);
  });

  test("that a pattern stands for need not be seen where the snapshot names others", async () => {
    const tables = ["shop.orders"];
    expect(await found(["shop.*"], { tables, mayRead: seesOrders })).toEqual(["good"]);
    expect(await found(["shop.*"], { tables: ["shop.gone"], mayRead: seesOrders })).toEqual([
      "error: GRANT SELECT ON `shop`.`gone` TO 'cdc'@'%'",
    ]);
  });

  test("are not too many for a checkpoint", async () => {
    const shown = Array.from({ length: 5_001 }, (_, i) => ({ ...orders, name: `orders_${i}` }));
    const mayRead = (): boolean => true;
    expect(await found(["shop.*"], { shown: shown.slice(1), mayRead })).toEqual(["good"]);
    expect(await found(["shop.*"], { shown, mayRead })).toEqual([
      expect.stringContaining("error: source.snapshot.tables"),
    ]);
  });

  test("of any database are only warned of", async () => {
    expect(await found(["*.orders"], { mayRead: seesOrders })).toEqual([
      "warning: GRANT SELECT ON *.* TO 'cdc'@'%'",
    ]);
  });

  test("that have no key are refused, or may be locked and can be read as they were then", async () => {
    const loose = { database: "shop", name: "loose", hasPrimaryKey: false };
    const sight = { shown: [orders, loose], mayRead: () => true };
    expect((await found(["shop.*"], sight)).join()).toContain("source.snapshot.no_key: lock");
    const locked = { ...sight, noKey: "lock" } as const;
    expect(await found(["shop.*"], { ...locked, lockable: ["shop"] })).toEqual(["good"]);
    expect(await found(["shop.*"], locked)).toEqual([
      "error: GRANT LOCK TABLES ON `shop`.* TO 'cdc'@'%'",
    ]);
    const other = { database: "shop", name: "myisam_log", hasPrimaryKey: false };
    const refused = await found(["shop.*"], { ...locked, shown: [other], lockable: ["shop"] });
    expect(refused.join()).toContain("ALTER TABLE `shop`.`myisam_log` ENGINE=InnoDB");
  });
});
