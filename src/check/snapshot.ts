/** What copying the rows that are there needs of the server: GTIDs, a key for each table, SELECT on it. */
import type { MysqlServer, SourceTable } from "../binlog/server.ts";
import { quoted } from "../binlog/statement-answers.ts";
import type { SnapshotConfig, SourceConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";
import { addKey } from "./tables.ts";

export interface SnapshotScene {
  readonly snapshot: SnapshotConfig;
  readonly onLostPosition: SourceConfig["onLostPosition"];
  /** Those that are captured and that our user sees. */
  readonly tables: readonly SourceTable[];
  /** As the pipeline names them. */
  readonly patterns: readonly string[];
  readonly grantee: string;
  readonly server: Pick<
    MysqlServer,
    "inspect" | "unreadable" | "conditionFault" | "unlockable" | "withoutConsistentRead"
  >;
}

/** Of each kind of fault. */
export const LISTED_MAX = 20;
/** How far each is copied stands in every checkpoint, and Kafka takes a megabyte. */
export const TABLES_MAX = 5_000;

export async function snapshotFindings(scene: SnapshotScene): Promise<readonly Finding[]> {
  const { snapshot, onLostPosition, grantee, server } = scene;
  if (snapshot.mode === "never" && onLostPosition === "stop") return [];
  const copied = copiedTables(scene);
  const { gtidMode, isMariaDb } = await server.inspect();
  const keyless = copied.filter(({ hasPrimaryKey }) => !hasPrimaryKey);
  const notSeen = unseen(scene);
  const unreadable = new Set(await server.unreadable<Name>([...copied, ...notSeen]));
  const denied = copied.filter(table => unreadable.has(table));
  const hidden = notSeen.filter(table => unreadable.has(table));
  const readable = copied.filter(table => !unreadable.has(table));
  const findings = [
    ...(copied.length > TABLES_MAX ? [tooMany(copied.length)] : []),
    ...(snapshot.quiesced || (gtidMode && !isMariaDb) ? [] : [withoutGtids(isMariaDb, scene)]),
    ...(await keylessFindings(scene, keyless)),
    ...denied.slice(0, LISTED_MAX).map(table => notReadable(table, grantee)),
    ...hidden.slice(0, LISTED_MAX).map(table => notShown(table, grantee)),
    ...(await conditionFindings(scene, readable)),
  ];
  return findings.length > 0 ? findings : [good("snapshot.tables", countOf(copied.length))];
}

async function conditionFindings(
  { snapshot, server }: SnapshotScene,
  tables: readonly SourceTable[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const table of tables) {
    const id = `${table.database}.${table.name}`;
    const condition = snapshot.where[id];
    const reason =
      condition === undefined ? undefined : await server.conditionFault(table, condition);
    if (reason === undefined) continue;
    const found = `MySQL refuses the condition of source.snapshot.where for ${id}: ${reason}.`;
    const fix = `source.snapshot.where: what may stand in SELECT … FROM ${id} AS t WHERE (…)`;
    findings.push(fault("CONFIG_INVALID", "snapshot.where", found, fix));
  }
  return findings;
}

/** Those of the captured tables whose rows are to be copied. */
export function copiedTables<T extends Name>({
  snapshot,
  tables,
}: {
  readonly snapshot: SnapshotConfig;
  readonly tables: readonly T[];
}): readonly T[] {
  const wants = compileTableFilter(snapshot.tables);
  return tables.filter(({ database, name }) => wants(database, name));
}

function countOf(tables: number): string {
  return `The existing rows of ${tables === 1 ? "1 table" : `${tables} tables`} can be copied.`;
}

function tooMany(tables: number): Finding {
  return fault(
    "CONFIG_INVALID",
    "snapshot.tables",
    `The existing rows of ${tables} tables cannot be copied at once: ${TABLES_MAX} can.`,
    'source.snapshot.tables: ["shop.a*"]  # and others with the next start, when these are copied',
  );
}

function withoutGtids(isMariaDb: boolean, scene: SnapshotScene): Finding {
  const { replica } = scene.snapshot;
  const found = isMariaDb
    ? "MariaDB does not tell which changes a row that is read holds"
    : "Without gtid_mode=ON the server does not tell which changes a row that is read holds";
  const quiesced = "--set source.snapshot.quiesced=true";
  const stop = "--set source.on_lost_position=stop  # or set gtid_mode to ON, if it is MySQL";
  if (scene.onLostPosition === "snapshot") {
    return fault("SOURCE_SETTING", "snapshot.gtids", `${found}.`, stop);
  }
  const fix =
    replica === undefined
      ? `${quiesced}  # if nobody writes to these tables until their rows are copied`
      : `--set source.snapshot.host= ${quiesced}  # if nobody writes to these tables until then`;
  return fault("SOURCE_SETTING", "snapshot.gtids", `${found}.`, fix);
}

function withoutKey(table: SourceTable): Finding {
  return fault(
    "CONFIG_INVALID",
    "snapshot.primary_key",
    `The existing rows of ${table.database}.${table.name} cannot be copied: it has no primary key.`,
    `${addKey(table)}  # or source.snapshot.no_key: lock, or source.snapshot.tables: ["*.*", "!${table.database}.${table.name}"]`,
  );
}

async function keylessFindings(
  { snapshot, grantee, server }: SnapshotScene,
  tables: readonly SourceTable[],
): Promise<readonly Finding[]> {
  if (snapshot.noKey === "refuse") return tables.slice(0, LISTED_MAX).map(withoutKey);
  if (tables.length === 0) return [];
  const others = await server.withoutConsistentRead(tables);
  const databases = [...new Set(tables.map(({ database }) => database))];
  const denied = await server.unlockable(databases);
  return [
    ...others.slice(0, LISTED_MAX).map(withoutConsistentRead),
    ...denied.slice(0, LISTED_MAX).map(database => notLockable(database, grantee)),
  ];
}

function withoutConsistentRead({ database, name }: SourceTable): Finding {
  return fault(
    "CONFIG_INVALID",
    "snapshot.primary_key",
    `The existing rows of ${database}.${name} cannot be copied: it has no primary key, and its engine gives no ` +
      "consistent read.",
    `ALTER TABLE ${quoted(database)}.${quoted(name)} ENGINE=InnoDB  # or source.snapshot.tables: ["*.*", "!${database}.${name}"]`,
  );
}

function notLockable(database: string, grantee: string): Finding {
  return fault(
    "ACCESS_DENIED",
    "snapshot.privileges",
    `Tables of ${database} without a primary key cannot be copied: our user may not lock them (LOCK TABLES).`,
    `GRANT LOCK TABLES ON ${quoted(database)}.* TO ${grantee}`,
  );
}

type Name = Pick<SourceTable, "database" | "name">;

/** @param host where rows are read, if that is not the server whose changes are read. */
export function notReadable({ database, name }: Name, grantee: string, host?: string): Finding {
  const there = host === undefined ? "it" : `it on ${host}`;
  const where = host === undefined ? "" : "  # on its source, from where it is replicated";
  return fault(
    "ACCESS_DENIED",
    "snapshot.privileges",
    `The existing rows of ${database}.${name} cannot be copied: our user may not read ${there}.`,
    `GRANT SELECT ON ${quoted(database)}.${quoted(name)} TO ${grantee}${where}`,
  );
}

/** A name that a pattern stands for and that our user does not see. */
interface Unseen extends Name {
  readonly pattern: string;
}

const WILDCARD = /[*?]/;
const NAME_MAX = 64;

/**
 * The server shows a user the tables that it may read. So a table that is named, and any other that a
 * pattern with a wildcard may stand for, has to be asked for as if it were there.
 */
function unseen({ patterns, tables, snapshot }: SnapshotScene): readonly Unseen[] {
  const lists = [patterns, snapshot.tables];
  const wants = lists.map(compileTableFilter);
  const seen = new Set(tables.map(idOf));
  const found = lists
    .flat()
    .filter(pattern => !pattern.startsWith("!"))
    .map(pattern => ({ ...partsOf(pattern), pattern }))
    .filter(({ database, name }) => wants.every(isWanted => isWanted(database, name)))
    .filter(name => !seen.has(idOf(name)));
  return [...new Map(found.map(name => [idOf(name), name])).values()];
}

function partsOf(pattern: string): Name {
  const dot = pattern.indexOf(".");
  return { database: standIn(pattern.slice(0, dot)), name: standIn(pattern.slice(dot + 1)) };
}

function standIn(glob: string): string {
  return glob.replaceAll("*", "tidemark").replaceAll("?", "_").slice(0, NAME_MAX);
}

export function idOf({ database, name }: Name): string {
  return JSON.stringify([database, name]);
}

function notShown(table: Unseen, grantee: string): Finding {
  const { pattern, database } = table;
  if (!WILDCARD.test(pattern)) return notReadable(table, grantee);
  const found =
    `Our user sees only some of the tables that ${pattern} may stand for: the existing rows of the ` +
    "others would not be copied.";
  const check = "snapshot.privileges";
  // Which databases there are is nothing that everybody should have to be told.
  if (WILDCARD.test(pattern.slice(0, pattern.indexOf(".")))) {
    return warning(check, found, `GRANT SELECT ON *.* TO ${grantee}`);
  }
  return fault(
    "ACCESS_DENIED",
    check,
    found,
    `GRANT SELECT ON ${quoted(database)}.* TO ${grantee}`,
  );
}
