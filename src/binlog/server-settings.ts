/** Whether a server's settings and the user's privileges let its binlog be read without a gap. */

/** Name → value, as SHOW GLOBAL VARIABLES gives them. */
export type ServerSettings = ReadonlyMap<string, string>;

export interface ServerFault {
  readonly code: "SOURCE_SETTING" | "ACCESS_DENIED";
  readonly check: string;
  readonly found: string;
  /** The statement that mends it. */
  readonly fix: string;
}

interface Requirement {
  readonly name: string;
  readonly wanted: readonly string[];
  readonly fix: string;
  /** What a server that does not know the setting would do. */
  readonly absent?: string;
}

const REQUIRED: readonly Requirement[] = [
  { name: "log_bin", wanted: ["ON"], fix: "start MySQL with --log-bin", absent: "OFF" },
  { name: "binlog_format", wanted: ["ROW"], fix: "run SET PERSIST binlog_format = ROW" },
  { name: "binlog_row_image", wanted: ["FULL"], fix: "run SET PERSIST binlog_row_image = FULL" },
  {
    name: "binlog_row_metadata",
    wanted: ["FULL"],
    fix: "run SET PERSIST binlog_row_metadata = FULL",
    absent: "not known to this version; MySQL 8.0.1 or newer is needed",
  },
  {
    name: "binlog_row_value_options",
    wanted: [""],
    fix: "run SET PERSIST binlog_row_value_options = ''",
  },
  {
    name: "binlog_transaction_compression",
    wanted: ["OFF"],
    fix: "run SET PERSIST binlog_transaction_compression = OFF",
  },
];

const PRIVILEGES = ["REPLICATION SLAVE", "REPLICATION CLIENT"] as const;

/** @param grants the lines of SHOW GRANTS. */
export function findFaults(
  settings: ServerSettings,
  grants: readonly string[],
): readonly ServerFault[] {
  const faults: ServerFault[] = [];
  for (const { name, wanted, fix, absent } of REQUIRED) {
    const value = settings.get(name) ?? absent;
    if (value === undefined || wanted.includes(value.toUpperCase())) continue;
    const found = value === "" ? `${name} is empty` : `${name} is ${value}`;
    faults.push({ code: "SOURCE_SETTING", check: name, found, fix });
  }
  const missing = PRIVILEGES.filter(privilege => !hasPrivilege(grants, privilege));
  if (missing.length > 0) {
    faults.push({
      code: "ACCESS_DENIED",
      check: "privileges",
      found: `the user lacks ${missing.join(" and ")}`,
      fix: `run GRANT ${missing.join(", ")} ON *.* TO ${granteeOf(grants)}`,
    });
  }
  return faults;
}

/** Privileges on everything stand in lines `GRANT …, … ON *.* TO …`. */
function hasPrivilege(grants: readonly string[], privilege: string): boolean {
  return grants.some(line => {
    const listed = /^GRANT (.*) ON \*\.\* TO /.exec(line)?.[1];
    if (listed === undefined) return false;
    const privileges = listed.split(", ");
    return privileges.includes(privilege) || privileges.includes("ALL PRIVILEGES");
  });
}

function granteeOf(grants: readonly string[]): string {
  return / TO (\S+@\S+)/.exec(grants[0] ?? "")?.[1] ?? "the user";
}
