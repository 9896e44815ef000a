/** What copying the rows that are there needs of the server: GTIDs, a key for each table, SELECT on it. */
import type { MysqlServer, SourceTable } from "../binlog/server.ts";
import { quoted } from "../binlog/statement-answers.ts";
import type { SnapshotConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { fault, good, type Finding } from "../core/finding.ts";
import { addKey } from "./tables.ts";

export interface SnapshotScene {
  readonly snapshot: SnapshotConfig;
  /** Those that are captured and that our user sees. */
  readonly tables: readonly SourceTable[];
  /** As the pipeline names them. */
  readonly patterns: readonly string[];
  readonly grantee: string;
  readonly server: Pick<MysqlServer, "inspect" | "unreadable">;
}

const LISTED_MAX = 20;

export async function snapshotFindings(scene: SnapshotScene): Promise<readonly Finding[]> {
  const { snapshot, tables, grantee, server } = scene;
  if (snapshot.mode === "never") return [];
  const wants = compileTableFilter(snapshot.tables);
  const copied = tables.filter(({ database, name }) => wants(database, name));
  const { gtidMode, isMariaDb } = await server.inspect();
  const keyless = copied.filter(({ hasPrimaryKey }) => !hasPrimaryKey);
  const denied = await server.unreadable(copied);
  const findings = [
    ...(snapshot.quiesced || (gtidMode && !isMariaDb) ? [] : [withoutGtids(isMariaDb)]),
    ...keyless.slice(0, LISTED_MAX).map(withoutKey),
    ...[...denied, ...unseen(scene)].slice(0, LISTED_MAX).map(table => notReadable(table, grantee)),
  ];
  return findings.length > 0 ? findings : [good("snapshot.tables", countOf(copied.length))];
}

function countOf(tables: number): string {
  return `The existing rows of ${tables === 1 ? "1 table" : `${tables} tables`} can be copied.`;
}

function withoutGtids(isMariaDb: boolean): Finding {
  const found = isMariaDb
    ? "MariaDB does not tell which changes a row that is read holds"
    : "Without gtid_mode=ON the server does not tell which changes a row that is read holds";
  const fix =
    "--set source.snapshot.quiesced=true  # if nobody writes to these tables until their rows are copied";
  return fault("SOURCE_SETTING", "snapshot.gtids", `${found}.`, fix);
}

function withoutKey(table: SourceTable): Finding {
  return fault(
    "CONFIG_INVALID",
    "snapshot.primary_key",
    `The existing rows of ${table.database}.${table.name} cannot be copied: it has no primary key.`,
    `${addKey(table)}  # or source.snapshot.tables: ["*.*", "!${table.database}.${table.name}"]`,
  );
}

type Name = Pick<SourceTable, "database" | "name">;

function notReadable({ database, name }: Name, grantee: string): Finding {
  return fault(
    "ACCESS_DENIED",
    "snapshot.privileges",
    `The existing rows of ${database}.${name} cannot be copied: there is no such table, or our user may ` +
      "not read it.",
    `GRANT SELECT ON ${quoted(database)}.${quoted(name)} TO ${grantee}`,
  );
}

/** Tables that are named without a wildcard, and are not there for our user. */
function unseen({ patterns, tables, snapshot }: SnapshotScene): readonly Name[] {
  const wants = [compileTableFilter(patterns), compileTableFilter(snapshot.tables)];
  return patterns
    .filter(pattern => !/^!|[*?]/.test(pattern))
    .map(pattern => {
      const dot = pattern.indexOf(".");
      return { database: pattern.slice(0, dot), name: pattern.slice(dot + 1) };
    })
    .filter(({ database, name }) => wants.every(isWanted => isWanted(database, name)))
    .filter(
      ({ database, name }) =>
        !tables.some(table => table.database === database && table.name === name),
    );
}
