/** What the captured tables need: a key, columns that can be read, a topic of their own. */
import type { SourceColumn, SourceTable } from "../binlog/server.ts";
import { quoted } from "../binlog/statement-answers.ts";
import type { PipelineConfig } from "../config/config.ts";
import { TidemarkError } from "../core/errors.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";

export interface CapturedTable extends SourceTable {
  /** Topic or route; undefined where its name cannot be made into one. */
  readonly destination: string | undefined;
}

export interface Captured {
  readonly tables: readonly CapturedTable[];
  readonly findings: readonly Finding[];
}

export interface TableRules {
  readonly wants: (database: string, table: string) => boolean;
  /** @throws TidemarkError for a name that the destination refuses. */
  readonly router: (database: string, table: string) => string;
  readonly pipeline: string;
  readonly patterns: readonly string[];
  /** Whether a destination is a topic, whose records are told apart by their keys alone. */
  readonly toTopics: boolean;
  /** The user as the server writes it. */
  readonly grantee: string;
}

/** @param all the tables that our user sees. */
export function captureTables(all: readonly SourceTable[], rules: TableRules): Captured {
  const findings: Finding[] = [];
  const owners = new Map<string, string>();
  const tables = all
    .filter(({ database, name }) => rules.wants(database, name))
    .map((table): CapturedTable => {
      const id = `${table.database}.${table.name}`;
      try {
        const destination = rules.router(table.database, table.name);
        const owner = owners.get(destination);
        if (owner !== undefined && rules.toTopics)
          findings.push(sharedTopic([owner, id], destination, rules.pipeline));
        owners.set(destination, owner ?? id);
        return { ...table, destination };
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError)) throw thrown;
        const fix = `pipelines.${rules.pipeline}.tables: add "!${id}", or change its sink.topic`;
        findings.push(fault("CONFIG_INVALID", "tables.topic_name", thrown.message, fix));
        return { ...table, destination: undefined };
      }
    });
  if (tables.length === 0) findings.push(noTable(rules));
  else if (findings.length === 0) findings.push(good("tables.names", countOf(tables.length)));
  return { tables, findings };
}

function countOf(tables: number): string {
  return tables === 1 ? "1 table is captured." : `${tables} tables are captured.`;
}

/** Their keys would mix: a delete in one table would remove a row of the other from a compacted topic. */
function sharedTopic(
  [first, second]: readonly [string, string],
  topic: string,
  pipeline: string,
): Finding {
  return fault(
    "CONFIG_INVALID",
    "tables.topic_name",
    `Tables ${first} and ${second} would both go to topic ${topic}.`,
    `--set pipelines.${pipeline}.sink.topic={database}.{table}  # or add "!${second}" to its tables`,
  );
}

/** Not an error: a dump holds the rows of tables whose names may not be looked up. */
function noTable({ patterns, grantee }: TableRules): Finding {
  const named = patterns.find(pattern => !pattern.startsWith("!")) ?? "";
  const database = named.slice(0, named.indexOf("."));
  const scope = /[*?]/.test(database) ? "*.*" : `${quoted(database)}.*`;
  return warning(
    "tables.names",
    `No table that our user sees matches ${patterns.join(", ")}: keys, columns and topics cannot be ` +
      "checked before their first row comes.",
    `GRANT SELECT ON ${scope} TO ${grantee}`,
  );
}

/** Rows and statements are told apart by where they come from. A file has both in any case. */
export function schemaTopicFindings(
  tables: readonly CapturedTable[],
  { schemaTopic, sink, name }: Pick<PipelineConfig, "schemaTopic" | "sink" | "name">,
): readonly Finding[] {
  if (sink.type !== "kafka") return [];
  const sharing = tables.find(({ destination }) => destination === schemaTopic);
  if (schemaTopic === undefined || sharing === undefined) return [];
  return [
    fault(
      "CONFIG_INVALID",
      "tables.schema_changes",
      `Topic ${schemaTopic} of the schema changes is that of table ${idOf(sharing)} too.`,
      `--set pipelines.${name}.schema_changes.topic=${schemaTopic}.schema-changes`,
    ),
  ];
}

const LISTED_MAX = 20;

/**
 * Rows of a table without key arrive in order, but nothing in their messages says which row is meant.
 *
 * @param compacted topics that Kafka keeps one record per key of.
 */
export function keyFindings(
  tables: readonly CapturedTable[],
  compacted: ReadonlySet<string>,
): readonly Finding[] {
  const check = "tables.primary_key";
  const keyless = tables.filter(table => !table.hasPrimaryKey);
  if (keyless.length === 0) {
    return tables.length === 0 ? [] : [good(check, "Every captured table has a primary key.")];
  }
  const isRefused = ({ destination }: CapturedTable): boolean => compacted.has(destination ?? "");
  const refused = keyless.filter(isRefused);
  const others = keyless.filter(table => !isRefused(table));
  return [
    ...refused.map(table =>
      fault(
        "SINK_SETTING",
        check,
        `Table ${idOf(table)} has no primary key, but its topic ${table.destination ?? ""} is ` +
          "compacted and takes no records without key.",
        addKey(table),
      ),
    ),
    ...others
      .slice(0, LISTED_MAX)
      .map(table =>
        warning(
          check,
          `Table ${idOf(table)} has no primary key: its messages have none either, and all of them ` +
            "go to one partition.",
          addKey(table),
        ),
      ),
    ...(others.length > LISTED_MAX
      ? [warning(check, `${others.length - LISTED_MAX} more tables have no primary key.`, "")]
      : []),
  ];
}

/**
 * What tells of an emptied table has no key.
 *
 * @param compacted topics that tables lead to.
 */
export function truncateFindings(
  compacted: readonly string[],
  onLostPosition: "stop" | "snapshot",
): readonly Finding[] {
  const [topic] = compacted;
  if (topic === undefined) return [];
  const more = compacted.length === 1 ? "" : `, as are ${compacted.length - 1} more,`;
  const check = "tables.truncate";
  const found = `Topic ${topic} is compacted${more} and takes no record without key`;
  if (onLostPosition === "snapshot") {
    const told = `${found}: nothing can be told there of a lost position.`;
    return [fault("SINK_SETTING", check, told, "--set source.on_lost_position=stop")];
  }
  return [
    warning(
      check,
      `${found}: the first TRUNCATE would end the pipeline.`,
      "events: [insert, update, delete]  # or keep the topic by time: cleanup.policy=delete",
    ),
  ];
}

function idOf({ database, name }: SourceTable): string {
  return `${database}.${name}`;
}

export function addKey(table: SourceTable): string {
  return `ALTER TABLE ${quoted(table.database)}.${quoted(table.name)} ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY`;
}

/** Says why a column of a key may not be hidden in the way that is configured; undefined if it may. */
export type KeyFault = (database: string, table: string, column: string) => string | undefined;

export function hiddenKeyFindings(
  tables: readonly CapturedTable[],
  keyColumns: readonly SourceColumn[],
  keyFault: KeyFault,
): readonly Finding[] {
  const check = "tables.hidden_columns";
  const captured = new Set(tables.map(idOf));
  const faults = keyColumns
    .filter(({ database, table }) => captured.has(`${database}.${table}`))
    .flatMap(({ database, table, name }) => keyFault(database, table, name) ?? []);
  if (faults.length === 0) {
    return tables.length === 0 ? [] : [good(check, "Every captured row keeps its key.")];
  }
  const fix = "columns.hash instead of exclude, mask or truncate";
  return faults.map(found => fault("CONFIG_INVALID", check, found, fix));
}

/** @param years is asked only where it matters: a server with thousands of tables takes a while for it. */
export async function yearFindings(
  tables: readonly CapturedTable[],
  serverVersion: string,
  years: () => Promise<readonly SourceColumn[]>,
): Promise<readonly Finding[]> {
  if (tables.length === 0) return [];
  const captured = new Set(tables.map(idOf));
  const all = isYearAmbiguous(serverVersion) ? await years() : [];
  const ours = all.filter(({ database, table }) => captured.has(`${database}.${table}`));
  if (ours.length > 0) return ours.map(column => ambiguous(column, serverVersion));
  return [good("tables.columns", "Every captured column can be read.")];
}

/** Between these versions a table map does not tell which columns beside a YEAR are unsigned. */
function isYearAmbiguous(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return major === 8 && minor === 0 && patch > 15 && patch < 29;
}

function ambiguous({ database, table, name }: SourceColumn, version: string): Finding {
  return warning(
    "tables.columns",
    `Column ${database}.${table}.${name} is a YEAR: MySQL ${version} does not tell which columns beside ` +
      "it are unsigned, and rows stop the pipeline if one is.",
    `ALTER TABLE ${quoted(database)}.${quoted(table)} MODIFY ${quoted(name)} SMALLINT UNSIGNED`,
  );
}
