import { describe, expect, test } from "vitest";
import {
  replicaFinding,
  settingFindings,
  type SourceNeeds,
} from "../../src/binlog/server-settings.ts";
import { durability } from "../../src/check/kafka.ts";
import { captureTables, yearFindings, keyFindings } from "../../src/check/tables.ts";
import { findingsJson, findingsTable } from "../../src/cli/findings-table.ts";
import { errorOf, fault, good, highestExitCode, warning } from "../../src/core/finding.ts";

const RIGHT = {
  log_bin: "ON",
  server_id: "1",
  binlog_format: "ROW",
  binlog_row_image: "FULL",
  binlog_row_metadata: "FULL",
  binlog_expire_logs_seconds: "2592000",
  gtid_mode: "ON",
};
const GRANTS = ["GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`"];
const NEEDS: SourceNeeds = { serverIds: [42_897], needsGtids: undefined };

function bad(changes: Record<string, string>, grants = GRANTS, needs = NEEDS) {
  const settings = new Map(Object.entries({ ...RIGHT, ...changes }));
  return settingFindings(settings, grants, needs).filter(({ ok }) => !ok);
}

describe("settings of the server", () => {
  test("that are right are no fault", () => expect(bad({})).toEqual([]));

  test.each([
    ["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION", 0],
    ["GRANT REPLICATION SLAVE, REPLICATION CLIENT ON `shop`.* TO `cdc`@`%`", 1],
    ["GRANT USAGE ON *.* TO `cdc`@`%`", 1],
  ])("%s", (line, faults) => expect(bad({}, [line])).toHaveLength(faults));

  test("GTIDs are needed only to begin at a set of them", () => {
    expect(bad({ gtid_mode: "OFF" })[0]).toMatchObject({ level: "warning" });
    const [found] = bad({ gtid_mode: "OFF" }, GRANTS, {
      ...NEEDS,
      needsGtids: "source.start names a GTID set, which cannot be found",
    });
    expect(found).toMatchObject({ level: "error", code: "SOURCE_SETTING" });
  });

  test("row metadata that is not full is no fault, but weaker", () => {
    expect(bad({ binlog_row_metadata: "MINIMAL" })).toMatchObject([
      { level: "warning", fix: "SET PERSIST binlog_row_metadata = FULL" },
    ]);
    const old = new Map(Object.entries({ ...RIGHT, version: "5.7.22-log" }));
    old.delete("binlog_row_metadata");
    const found = settingFindings(old, GRANTS, NEEDS).filter(({ ok }) => !ok);
    expect(found).toMatchObject([
      { level: "warning", fix: "MySQL 8.0 or newer, with binlog_row_metadata = FULL" },
    ]);
  });

  test.each(["5.7.22-log", "10.11.14-MariaDB-log"])("%s cannot keep what is set", version => {
    expect(bad({ version, binlog_format: "MIXED", gtid_mode: "OFF" })).toMatchObject([
      { fix: "SET GLOBAL binlog_format = ROW; # and in my.cnf: binlog_format = ROW" },
      {
        fix:
          "SET GLOBAL enforce_gtid_consistency = ON; SET GLOBAL gtid_mode = OFF_PERMISSIVE; " +
          "SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON; " +
          "# and in my.cnf: enforce_gtid_consistency = ON, gtid_mode = ON",
      },
    ]);
  });

  test("a server that counts in days keeps its binlog for days", () => {
    const old = new Map(Object.entries({ ...RIGHT, version: "5.7.22", expire_logs_days: "0.5" }));
    old.delete("binlog_expire_logs_seconds");
    const [found] = settingFindings(old, GRANTS, NEEDS).filter(({ ok }) => !ok);
    expect(found?.fix).toBe(
      "SET GLOBAL expire_logs_days = 7; # and in my.cnf: expire_logs_days = 7",
    );
  });

  test.each([
    ["0", []],
    ["86399", ["mysql.binlog_retention"]],
    ["86400", []],
  ])("a binlog kept for %s seconds", (seconds, checks) => {
    expect(bad({ binlog_expire_logs_seconds: seconds }).map(({ check }) => check)).toEqual(checks);
  });

  test("rows that are not whole are a warning that says what messages lack", () => {
    const [minimal] = bad({ binlog_row_image: "MINIMAL" });
    expect(minimal).toMatchObject({ check: "mysql.binlog_row_image", level: "warning" });
    expect(minimal?.found).toMatch(/needs to find its row\.$/);
    const [noBlob] = bad({ binlog_row_image: "NOBLOB" });
    expect(noBlob?.found).toMatch(/lack the BLOB and TEXT columns/);
    const partial = { binlog_row_image: "MINIMAL", binlog_row_value_options: "PARTIAL_JSON" };
    expect(bad(partial)[0]?.found).toMatch(/parts of a JSON document stop the pipeline/);
  });

  test("an id is taken by the server, by another replica, or by nobody", () => {
    expect(bad({ server_id: "42897" })[0]).toMatchObject({ check: "mysql.server_id" });
    expect(bad({ server_id: "0" })[0]).toMatchObject({ fix: "SET PERSIST server_id = 1" });
    const replica = { serverId: 42_897, uuid: "u", host: "db2" };
    expect(replicaFinding([replica], [42_897])).toMatchObject({ ok: false, level: "error" });
    expect(replicaFinding([replica], [42_898]).ok).toBe(true);
  });
});

describe("tables", () => {
  const orders = { database: "shop", name: "orders", hasPrimaryKey: true };
  const log = { database: "shop", name: "log", hasPrimaryKey: false };
  const rules = {
    wants: () => true,
    router: (database: string, table: string) => `${database}.${table}`,
    pipeline: "p",
    patterns: ["shop.*"],
    toTopics: true,
    grantee: "`cdc`@`%`",
  };

  test("may not share a topic, but a file", () => {
    const router = (): string => "all";
    const { findings, tables } = captureTables([orders, log], { ...rules, router });
    expect(findings).toMatchObject([{ level: "error", code: "CONFIG_INVALID" }]);
    expect(tables).toHaveLength(2);
    const lines = captureTables([orders, log], { ...rules, router, toTopics: false });
    expect(lines.findings).toMatchObject([{ ok: true }]);
  });

  test("without key are a fault on a compacted topic only", () => {
    const { tables } = captureTables([orders, log], rules);
    expect(keyFindings(tables, new Set(["shop.orders"]))).toMatchObject([{ level: "warning" }]);
    expect(keyFindings(tables, new Set(["shop.log"]))).toMatchObject([
      { level: "error", code: "SINK_SETTING", ok: false },
    ]);
  });

  test("without key are listed up to a bound", () => {
    const many = Array.from({ length: 1_000 }, (_, i) => ({ ...log, name: `log_${i}` }));
    expect(keyFindings(captureTables(many, rules).tables, new Set())).toHaveLength(21);
  });

  test("that nobody sees are asked for with a quoted name", () => {
    const { findings } = captureTables([], { ...rules, patterns: ["we`ird.*"] });
    expect(findings[0]?.fix).toBe("GRANT SELECT ON `we``ird`.* TO `cdc`@`%`");
  });

  test("a YEAR matters, and is asked for, only in versions that do not tell what is unsigned", async () => {
    const { tables } = captureTables([orders], rules);
    const asked: string[] = [];
    const faults = async (version: string): Promise<number> => {
      const findings = await yearFindings(tables, version, () => {
        asked.push(version);
        return Promise.resolve([{ database: "shop", table: "orders", name: "y" }]);
      });
      return findings.filter(({ ok }) => !ok).length;
    };
    const versions = ["8.0.15", "8.0.20", "8.0.30", "9.7.0"];
    expect(await Promise.all(versions.map(faults))).toEqual([0, 1, 0, 0]);
    expect(asked).toEqual(["8.0.20"]);
  });
});

test("min.insync.replicas and replicas", () => {
  const topic = { name: "t", configure: "kafka-configs.sh … --add-config min.insync.replicas=2" };
  const levels = (replicas: number, inSyncMin: number): readonly string[] =>
    durability({ ...topic, replicas, inSyncMin }).map(({ level }) => level);
  expect(levels(3, 1)).toEqual(["warning"]);
  expect(levels(1, 1)).toEqual(["warning"]);
  expect(levels(3, 2)).toEqual([]);
  expect(levels(1, 2)).toEqual(["warning"]);
  const [above] = durability({ ...topic, replicas: 1, inSyncMin: 2 });
  expect(above?.found).toMatch(/=2, but 1 replica: older brokers take nothing/);
  expect(above?.fix).toMatch(/min\.insync\.replicas=1$/);
  expect(durability({ ...topic, replicas: 3, inSyncMin: 1 })[0]?.fix).toContain(
    "min.insync.replicas=2",
  );
});

describe("findings", () => {
  const list = [
    good("a", "Fine."),
    warning("b", "Meh.", "do b"),
    fault("ACCESS_DENIED", "c", "No.", "do c"),
    fault("SOURCE_SETTING", "d", "Wrong\u001b[31m.", ""),
  ];

  test("end with the highest exit code of the errors", () => {
    expect(highestExitCode(list)).toBe(78);
    expect(highestExitCode(list.slice(0, 2))).toBe(0);
    expect(errorOf(list.slice(0, 2))).toBeUndefined();
    expect(errorOf(list)).toMatchObject({ code: "SOURCE_SETTING" });
    expect(errorOf(list)?.message).toContain("No. Mend it with: do c");
  });

  test("are printed for people and for scripts", () => {
    const table = findingsTable(list, false);
    expect(table.split("\n").slice(0, 3)).toEqual([
      "ok       a  Fine.",
      "warning  b  Meh.",
      "            → do b",
    ]);
    expect(table).not.toContain("\u001b");
    expect(table).toContain("2 errors, 1 warning.");
    expect(JSON.parse(findingsJson(list))).toEqual([
      { check: "a", level: "error", ok: true, found: "Fine.", fix: "", exit_code: 0 },
      { check: "b", level: "warning", ok: false, found: "Meh.", fix: "do b", exit_code: 0 },
      { check: "c", level: "error", ok: false, found: "No.", fix: "do c", exit_code: 77 },
      expect.objectContaining({ check: "d", exit_code: 78 }),
    ]);
  });
});
