/** Whether a server's settings and the user's privileges let its binlog be read without a gap. */
import { fault, good, warning, type Finding } from "../core/finding.ts";

/** Name → value, as SHOW GLOBAL VARIABLES gives them. */
export type ServerSettings = ReadonlyMap<string, string>;

interface Requirement {
  readonly name: string;
  readonly wanted: string;
  readonly because: string;
  /** Undefined where it can be set while the server runs. */
  readonly fix?: string;
  /** What a server that does not know the setting would do; where it is missing, it is in order. */
  readonly absent?: string;
}

const REQUIRED: readonly Requirement[] = [
  {
    name: "log_bin",
    wanted: "ON",
    because: "without a binlog there is nothing to read",
    fix: "mysqld --log-bin=binlog --server-id=1  # or these two in my.cnf, then restart MySQL",
    absent: "OFF",
  },
  {
    name: "binlog_format",
    wanted: "ROW",
    because: "only ROW writes the changed rows",
  },
];

const PRIVILEGES = ["REPLICATION SLAVE", "REPLICATION CLIENT"] as const;

/** What MariaDB shows of a privilege that was granted by MySQL's name. */
const MARIADB_NAMES: Readonly<Record<string, string>> = {
  "BINLOG MONITOR": "REPLICATION CLIENT",
};

const DAY_S = 86_400;
const RETENTION_MIN_S = DAY_S;
const RETENTION_GOOD_S = 7 * DAY_S;

export interface SourceNeeds {
  /** The ids of our replicas, one a pipeline. */
  readonly serverIds: readonly number[];
  /** Why the configuration cannot do without GTIDs; undefined if it can. */
  readonly needsGtids: string | undefined;
  /** The server replicates from another one, or may come to. */
  readonly isReplica?: boolean;
}

/** @param grants the lines of SHOW GRANTS. */
export function settingFindings(
  settings: ServerSettings,
  grants: readonly string[],
  needs: SourceNeeds,
): readonly Finding[] {
  return [
    ...REQUIRED.map(requirement => required(settings, requirement)),
    rowImage(settings),
    metadata(settings),
    privileges(grants),
    serverId(settings, needs.serverIds),
    retention(settings),
    ...(needs.isReplica === true ? [relayed(settings)] : []),
    gtids(settings, needs.needsGtids),
  ];
}

function required(settings: ServerSettings, requirement: Requirement): Finding {
  const { name, wanted, because, absent } = requirement;
  const fix = requirement.fix ?? assignments(settings, [name, wanted]);
  const check = `mysql.${name}`;
  const value = settings.get(name) ?? absent;
  const isFine = value === undefined || value.toUpperCase() === wanted;
  if (isFine)
    return good(check, value === undefined ? `${name} is not known here.` : is(name, value));
  return fault("SOURCE_SETTING", check, `${is(name, value).replace(/\.$/, "")}: ${because}.`, fix);
}

/** What messages lack where the rows that were logged are not whole. */
const LACKING: Readonly<Record<string, string>> = {
  MINIMAL: "the columns that a change neither sets nor needs to find its row",
  NOBLOB: "the BLOB and TEXT columns that a change does not set",
};

function rowImage(settings: ServerSettings): Finding {
  const name = "binlog_row_image";
  const check = `mysql.${name}`;
  const image = settings.get(name)?.toUpperCase() ?? "FULL";
  if (image === "FULL") return good(check, is(name, image));
  const lacking = LACKING[image] ?? "columns that a change does not set";
  const options = settings.get("binlog_row_value_options") ?? "";
  const stops =
    image === "MINIMAL" && options.includes("PARTIAL_JSON")
      ? "; changes of parts of a JSON document stop the pipeline, for binlog_row_value_options is PARTIAL_JSON"
      : "";
  return warning(
    check,
    `${name} is ${image}: messages lack ${lacking}${stops}.`,
    assignments(settings, [name, "FULL"]),
  );
}

function metadata(settings: ServerSettings): Finding {
  const name = "binlog_row_metadata";
  const check = `mysql.${name}`;
  const value = settings.get(name);
  if (value?.toUpperCase() === "FULL") return good(check, is(name, value));
  const consequence =
    "the binlog names no columns. What the server says of its tables has to do, for which our user needs SELECT on " +
    "them; a table that is altered while Tidemark is stopped or far behind stops it";
  const found = value === undefined ? `${name} is not known here` : `${name} is ${value}`;
  const fix =
    value === undefined
      ? `MySQL 8.0 or newer, with ${name} = FULL`
      : assignments(settings, [name, "FULL"]);
  return warning(check, `${found}: ${consequence}.`, fix);
}

/** MySQL 8.0 and newer keep what is set so; elsewhere it has to be written down as well. */
function assignments(
  settings: ServerSettings,
  ...steps: readonly (readonly [name: string, value: string])[]
): string {
  const keeps = !/^5\.|mariadb/i.test(settings.get("version") ?? "");
  const verb = keeps ? "SET PERSIST" : "SET GLOBAL";
  const statements = steps.map(([name, value]) => `${verb} ${name} = ${value}`).join("; ");
  if (keeps) return statements;
  const lines = Array.from(new Map(steps), ([name, value]) => `${name} = ${value}`);
  return `${statements}; # and in my.cnf: ${lines.join(", ")}`;
}

function is(name: string, value: string): string {
  return value === "" ? `${name} is empty.` : `${name} is ${value}.`;
}

function privileges(grants: readonly string[]): Finding {
  const check = "mysql.privileges";
  const missing = PRIVILEGES.filter(privilege => !hasPrivilege(grants, privilege));
  const user = granteeOf(grants);
  if (missing.length === 0) return good(check, `${user} has ${PRIVILEGES.join(" and ")}.`);
  return fault(
    "ACCESS_DENIED",
    check,
    `${user} lacks ${missing.join(" and ")}.`,
    `GRANT ${missing.join(", ")} ON *.* TO ${user}`,
  );
}

/** Privileges on everything stand in lines `GRANT …, … ON *.* TO …`. */
function hasPrivilege(grants: readonly string[], privilege: string): boolean {
  return grants.some(line => {
    const listed = /^GRANT (.*) ON \*\.\* TO /.exec(line)?.[1];
    if (listed === undefined) return false;
    const given = listed.split(", ").map(name => MARIADB_NAMES[name] ?? name);
    return given.includes(privilege) || given.includes("ALL PRIVILEGES");
  });
}

/** `cdc`@`%`, as the server writes it. */
export function granteeOf(grants: readonly string[]): string {
  return / TO (\S+@\S+)/.exec(grants[0] ?? "")?.[1] ?? "the user";
}

function serverId(settings: ServerSettings, ours: readonly number[]): Finding {
  const check = "mysql.server_id";
  const theirs = Number(settings.get("server_id") ?? 0);
  if (theirs === 0) {
    return fault(
      "SOURCE_SETTING",
      check,
      "server_id is 0: such a server takes no replicas.",
      assignments(settings, ["server_id", "1"]),
    );
  }
  if (ours.includes(theirs)) return takenId(check, `The server itself has the id ${theirs}`, ours);
  return good(check, `The server's own id is ${theirs}.`);
}

function takenId(check: string, found: string, ours: readonly number[]): Finding {
  return fault(
    "SOURCE_SETTING",
    check,
    `${found}, which source.server_id gives to us: no two may have the same.`,
    `--set source.server_id=${freeId(ours)}  # or this in the configuration file`,
  );
}

/** Far from ours and from what people number their servers with. */
function freeId(ours: readonly number[]): number {
  return Math.max(...ours) + 10_000 > 2 ** 31 ? 42_897 : Math.max(...ours) + 10_000;
}

export interface Replica {
  readonly serverId: number;
  readonly uuid: string;
  readonly host: string;
}

/** @param replicas those that have registered (SHOW REPLICAS); Tidemark itself does not. */
export function replicaFinding(replicas: readonly Replica[], ours: readonly number[]): Finding {
  const check = "mysql.replica_id";
  const taker = replicas.find(replica => ours.includes(replica.serverId));
  if (taker === undefined) return good(check, "No other replica has our id.");
  const where = taker.host === "" ? taker.uuid : `${taker.host}, ${taker.uuid}`;
  return takenId(check, `Another replica (${where}) has the id ${taker.serverId}`, ours);
}

function retention(settings: ServerSettings): Finding {
  const check = "mysql.binlog_retention";
  const days = Number(settings.get("expire_logs_days") ?? 0);
  const seconds = Number(settings.get("binlog_expire_logs_seconds") ?? 0) || days * DAY_S;
  const isKept = seconds === 0 || settings.get("binlog_expire_logs_auto_purge") === "OFF";
  if (isKept) return good(check, "The server keeps its binlog for ever.");
  const found = `The server keeps its binlog for ${inWords(seconds)}`;
  if (seconds >= RETENTION_MIN_S) return good(check, `${found}.`);
  const fix = settings.has("binlog_expire_logs_seconds")
    ? assignments(settings, ["binlog_expire_logs_seconds", String(RETENTION_GOOD_S)])
    : assignments(settings, ["expire_logs_days", String(RETENTION_GOOD_S / DAY_S)]);
  return warning(
    check,
    `${found}: after a longer stop, changes are gone before they were read.`,
    fix,
  );
}

function inWords(seconds: number): string {
  if (seconds >= 2 * DAY_S) return `${Math.floor(seconds / DAY_S)} days`;
  return seconds >= 7_200 ? `${Math.floor(seconds / 3_600)} hours` : `${seconds} seconds`;
}

/** A replica that does not log what it gets from its source would show us nothing of it. */
function relayed(settings: ServerSettings): Finding {
  const check = "mysql.log_replica_updates";
  const name = settings.has("log_replica_updates") ? "log_replica_updates" : "log_slave_updates";
  const value = settings.get(name) ?? "ON";
  if (value === "ON") return good(check, `${name} is ON.`);
  return fault(
    "SOURCE_SETTING",
    check,
    `${name} is ${value}: what the server gets from its source is not in its binlog.`,
    `mysqld --${name.replaceAll("_", "-")}  # or ${name} = ON in my.cnf, then restart MySQL`,
  );
}

function gtids(settings: ServerSettings, needed: string | undefined): Finding {
  const check = "mysql.gtid_mode";
  const mode = settings.get("gtid_mode");
  if (mode === "ON" || mode === undefined)
    return good(check, `gtid_mode is ${mode ?? "not known here"}.`);
  const found = `gtid_mode is ${mode}`;
  if (needed !== undefined) {
    return fault("SOURCE_SETTING", check, `${found}: ${needed}.`, gtidSteps(settings));
  }
  return warning(
    check,
    `${found}: if another server takes over from this one, the place to go on cannot be found.`,
    gtidSteps(settings),
  );
}

function gtidSteps(settings: ServerSettings): string {
  return assignments(
    settings,
    ["enforce_gtid_consistency", "ON"],
    ...["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"].map(mode => ["gtid_mode", mode] as const),
  );
}
