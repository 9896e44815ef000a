/**
 * Whether a server replicates from the one whose changes are read, so that existing rows can be read from it:
 * then it has nothing that the stream will never tell, and gets everything that the stream tells.
 */
import type { MysqlServer, SourceTable } from "../binlog/server.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";
import { idOf, LISTED_MAX, notReadable } from "./snapshot.ts";

export interface ReplicaScene {
  /** As `host:port`. */
  readonly name: string;
  readonly replica: AskedReplica;
  readonly source: AskedSource;
  /** Those whose rows are to be read. */
  readonly tables: readonly SourceTable[];
}

type AskedReplica = Pick<
  MysqlServer,
  "inspect" | "gtids" | "replicates" | "subtractGtids" | "tables" | "unreadable" | "grantee"
>;
type AskedSource = Pick<MysqlServer, "inspect" | "gtids" | "seenGtids">;

const CHECK = "snapshot.host";

export async function replicaFindings(scene: ReplicaScene): Promise<readonly Finding[]> {
  const { name, replica, source } = scene;
  const [there, here] = await Promise.all([replica.inspect(), source.inspect()]);
  // The source says of itself what it lacks.
  if (here.isMariaDb || !here.gtidMode) return [];
  if (there.isMariaDb || !there.gtidMode) return [withoutGtids(name)];
  const { executed } = await replica.gtids();
  const errant = await errantOf(scene, executed);
  const missing = await replica.subtractGtids((await source.gtids()).executed, executed);
  const isItself = there.serverUuid === here.serverUuid;
  const gets = isItself || (await replica.replicates()) !== false;
  const findings = [
    ...(errant === "" ? [] : [withErrant(name, errant)]),
    ...(gets ? [] : [notReplicating(name)]),
    ...(await tableFindings(scene, missing)),
  ];
  return findings.length > 0 ? findings : [good(CHECK, `Existing rows can be read from ${name}.`)];
}

/** Those of these transactions of the replica that the source never had. */
export async function errantOf(
  { replica, source }: Pick<ReplicaScene, "replica" | "source">,
  executed: string,
): Promise<string> {
  return replica.subtractGtids(executed, await source.seenGtids());
}

export function errantSentence(name: string, errant: string): string {
  return (
    `Existing rows cannot be read from ${name}: it has executed transactions that the server whose changes ` +
    `are read never had (${errant}), so nobody can tell what they did to the rows.`
  );
}

async function tableFindings(
  { name, replica, tables }: ReplicaScene,
  missing: string,
): Promise<readonly Finding[]> {
  if (tables.length === 0) return [];
  const seen = new Set((await replica.tables()).map(idOf));
  const grantee = await replica.grantee();
  const denied = await replica.unreadable(tables);
  const absent = tables.filter(table => !seen.has(idOf(table)) && !denied.includes(table));
  return [
    ...denied.slice(0, LISTED_MAX).map(table => notReadable(table, grantee, name)),
    ...absent.slice(0, LISTED_MAX).map(table => notThere(table, name, missing)),
  ];
}

function notThere({ database, name }: SourceTable, host: string, missing: string): Finding {
  const id = `${database}.${name}`;
  // What it lags behind by may be what creates the table.
  if (missing !== "") {
    const found = `${host} has no table ${id} yet: it lags behind, or does not replicate it.`;
    return warning(CHECK, found, "");
  }
  return fault(
    "SOURCE_SETTING",
    CHECK,
    `The existing rows of ${id} cannot be read from ${host}: it has no such table.`,
    "a replica that replicates all of the tables  # or leave out source.snapshot.host",
  );
}

function withoutGtids(name: string): Finding {
  return fault(
    "SOURCE_SETTING",
    CHECK,
    `Existing rows cannot be read from ${name}: without gtid_mode=ON it does not tell which changes a row holds.`,
    "gtid_mode=ON, enforce_gtid_consistency=ON in its my.cnf  # or leave out source.snapshot.host",
  );
}

function withErrant(name: string, errant: string): Finding {
  const fix = "make the replica anew from its source  # or leave out source.snapshot.host";
  return fault("SOURCE_SETTING", CHECK, errantSentence(name, errant), fix);
}

/** A run waits until it does. */
function notReplicating(name: string): Finding {
  return fault(
    "SOURCE_BEHIND",
    CHECK,
    `Existing rows cannot be read from ${name}: it gets no changes of the server whose changes are read.`,
    "START REPLICA  # on it; SHOW REPLICA STATUS tells why it stopped",
  );
}
