/** Servers that replicate from one another by GTID, as those that `source.hosts` names. */
import type { Mysql } from "./interfaces.ts";
import { ask, type Login } from "./mysql-statements.ts";
import { poll } from "./wait.ts";

const caughtUpTimeoutMs = 120_000;

/** A replica needs another id than its source; every server starts with 1. */
export function replicaArgs(serverId: number): readonly string[] {
  return [`--server-id=${serverId}`, "--relay-log=relay", "--skip-replica-start"];
}

/** Makes `replica` get everything that `source` logs, from what both have on; its clients may only read. */
export async function follow(replica: Mysql, source: Login): Promise<void> {
  const { host, port, user, password } = source;
  await ask(
    replica,
    "STOP REPLICA",
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${user}',
       SOURCE_PASSWORD='${password}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1,
       SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400`,
    "SET GLOBAL super_read_only = ON",
    "START REPLICA",
  );
}

/** Makes `replica` execute nothing before it is so old. */
export async function delay(replica: Mysql, delayS: number): Promise<void> {
  await ask(
    replica,
    "STOP REPLICA SQL_THREAD",
    `CHANGE REPLICATION SOURCE TO SOURCE_DELAY = ${delayS}`,
    "START REPLICA SQL_THREAD",
  );
}

/** Ends the replication of `replica`, which may be written to from now on. */
export async function promote(replica: Mysql): Promise<void> {
  await ask(
    replica,
    "STOP REPLICA",
    "RESET REPLICA ALL",
    "SET GLOBAL super_read_only = OFF",
    "SET GLOBAL read_only = OFF",
  );
}

/** Resolves when `replica` has executed these transactions. */
export async function whenExecuted(replica: Mysql, gtidSet: string): Promise<void> {
  const done = await poll(async () => {
    const [row] = await ask(
      replica,
      `SELECT GTID_SUBSET('${gtidSet}', @@GLOBAL.gtid_executed) AS done`,
    );
    return Number(row?.["done"]) === 1 ? true : undefined;
  }, caughtUpTimeoutMs);
  if (done === undefined) throw new Error(`A replica lacks some of ${gtidSet} for too long.`);
}

export async function executed(server: Login): Promise<string> {
  const [row] = await ask(server, "SELECT @@GLOBAL.gtid_executed AS executed");
  return String(row?.["executed"]).replace(/\s/g, "");
}
