import { expect, test } from "vitest";
import { replicaFindings, type ReplicaScene } from "../../src/check/replica.ts";
import type { ServerIdentity, SourceTable } from "../../src/binlog/server.ts";

const IDENTITY: ServerIdentity = {
  ...{
    serverUuid: "there",
    serverId: 2,
    isMariaDb: false,
    version: "9.7.0",
    gtidMode: true,
    lowerCaseNames: false,
  },
};
const ORDERS: SourceTable = { database: "shop", name: "orders", hasPrimaryKey: true };

interface Told {
  readonly identity?: Partial<ServerIdentity>;
  readonly executed?: string;
  readonly replicates?: boolean | undefined;
  readonly tables?: readonly SourceTable[];
  readonly denied?: readonly SourceTable[];
}

/** A replica that says this, of a source that executed `a:1-9`. Sets are equal, or have nothing in common. */
function scene(told: Told): ReplicaScene {
  const { identity, executed = "a:1-9", tables = [ORDERS], denied = [] } = told;
  const source = { ...IDENTITY, serverUuid: "here" };
  const gtids = (set: string) => () => Promise.resolve({ executed: set, purged: "" });
  return {
    name: "replica:3306",
    tables: [ORDERS],
    source: {
      inspect: () => Promise.resolve(source),
      gtids: gtids("a:1-9"),
      seenGtids: () => Promise.resolve("a:1-9"),
    },
    replica: {
      inspect: () => Promise.resolve({ ...IDENTITY, ...identity }),
      gtids: gtids(executed),
      replicates: () => Promise.resolve("replicates" in told ? told.replicates : true),
      subtractGtids: (set, taken) => Promise.resolve(set === taken ? "" : set),
      tables: () => Promise.resolve(tables),
      unreadable: some => Promise.resolve(some.filter(table => denied.includes(table as never))),
      grantee: () => Promise.resolve("`cdc`@`%`"),
    },
  };
}

test.each<[string, Told, string, string]>([
  [
    "GTIDs",
    { identity: { gtidMode: false } },
    "SOURCE_SETTING",
    "Existing rows cannot be read from replica:3306: without gtid_mode=ON",
  ],
  ["MySQL", { identity: { isMariaDb: true } }, "SOURCE_SETTING", "without gtid_mode=ON"],
  [
    "only what the source has",
    { executed: "b:1" },
    "SOURCE_SETTING",
    "transactions that the server whose changes are read never had (b:1)",
  ],
  ["replication", { replicates: false }, "SOURCE_BEHIND", "it gets no changes of the server"],
  [
    "the table",
    { tables: [] },
    "SOURCE_SETTING",
    "The existing rows of shop.orders cannot be read from replica:3306: it has no such table.",
  ],
  [
    "SELECT on the table",
    { denied: [ORDERS] },
    "ACCESS_DENIED",
    "our user may not read it on replica:3306",
  ],
])("a replica needs %s", async (_, told, code, found) => {
  const findings = await replicaFindings(scene(told));
  expect(findings.map(finding => finding.code)).toEqual([code]);
  expect(findings[0]?.found).toContain(found);
  expect(findings[0]?.fix).not.toBe("");
});

test("a replica may lag behind with a table", async () => {
  const behind = { ...scene({ tables: [] }) };
  const source = {
    ...behind.source,
    gtids: () => Promise.resolve({ executed: "a:1-10", purged: "" }),
  };
  const [finding] = await replicaFindings({ ...behind, source });
  expect(finding).toMatchObject({ level: "warning", ok: false });
  expect(finding?.found).toContain("has no table shop.orders yet");
});

test("the source itself needs not replicate, and one that may not be asked is believed", async () => {
  const itself = { replicates: false, identity: { serverUuid: "here" } };
  for (const told of [itself, { replicates: undefined }, {}]) {
    const findings = await replicaFindings(scene(told));
    expect(findings).toMatchObject([
      { ok: true, found: "Existing rows can be read from replica:3306." },
    ]);
  }
});
