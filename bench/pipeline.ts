/** The pipeline that a scenario measures, and the source that it reads. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection, type Connection } from "mysql2/promise";
import { Failure } from "../tools/demo/failure.ts";
import { Tidemark, builtBundle } from "../tools/demo/tidemark.ts";
import { startKafka, startMysql, type Kafka, type Mysql } from "../tools/services/services.ts";
import type { BenchOptions } from "./options.ts";
import type { Target } from "./target.ts";
import { prepareOrders } from "./workload.ts";

const CHECKPOINT_PATIENCE_MS = 60_000;

/** As for the figures that other programs were measured with. */
export const mysqlArgs = [
  "--innodb-flush-log-at-trx-commit=2",
  "--sync-binlog=0",
  "--innodb-buffer-pool-size=1G",
  "--max-binlog-size=1G",
  "--max-allowed-packet=1G",
];

export interface BenchServers {
  readonly mysql: Mysql;
  readonly kafka: Kafka;
  /** Tidemark, built. */
  readonly bundle: string;
}

/** What a pipeline from MySQL to Kafka needs. */
export async function startServers(
  say: (text: string) => void,
  {
    args = mysqlArgs,
    properties = {},
  }: {
    readonly args?: readonly string[];
    readonly properties?: Readonly<Record<string, string>>;
  } = {},
): Promise<BenchServers> {
  say("starting the servers");
  const [mysql, kafka, bundle] = await Promise.all([
    startMysql("mysql-9", { args }),
    startKafka({ properties }),
    builtBundle(say),
  ]);
  return { mysql, kafka, bundle };
}

const cdcUser = { user: "tidemark", password: "tidemark" } as const;

export interface PipelineSetup {
  readonly name: string;
  readonly mysql: Mysql;
  readonly bundle: string;
  /** Configuration, log and file commit log go there. */
  readonly folder: string;
  readonly target: Target;
  readonly nodeArgs?: readonly string[];
  readonly tables?: readonly string[];
  readonly queue?: Readonly<Record<string, unknown>>;
  readonly start?: "latest" | "earliest";
  readonly snapshot?: Readonly<Record<string, unknown>>;
}

export type NodeOptions = Pick<BenchOptions, "nodeArgs" | "profile">;

/** For Tidemark's Node, as asked for on the command line. */
export function nodeArgsOf({ nodeArgs = [], profile }: Partial<NodeOptions>) {
  if (profile === undefined) return nodeArgs;
  return [...nodeArgs, "--cpu-prof", `--cpu-prof-dir=${resolve(profile)}`];
}

export function makePipeline(setup: PipelineSetup): Tidemark {
  const { name, bundle, folder, target, nodeArgs = [], tables = ["bench.orders"], queue } = setup;
  const { start = "latest", snapshot } = setup;
  const { host, port } = setup.mysql;
  return new Tidemark({
    ...{ bundle, folder, nodeArgs },
    config: {
      source: { host, port, ...cdcUser, start, ...(snapshot && { snapshot }) },
      ...(queue === undefined ? {} : { queue }),
      pipelines: [{ name, tables, ...target.settings }],
      log: { format: "text" },
    },
  });
}

/** Resolves when its first checkpoint is written: whatever is committed from now on will arrive. */
export async function hasBegun(tidemark: Tidemark, target: Target): Promise<void> {
  const deadline = performance.now() + CHECKPOINT_PATIENCE_MS;
  while (!(await target.hasCheckpoint())) {
    tidemark.assertRuns();
    if (performance.now() > deadline) {
      throw new Failure(`Tidemark wrote no checkpoint; its log ends: ${tidemark.logTail()}`);
    }
    await sleep(100);
  }
}

/** With the table of the workload, empty, and the user that Tidemark logs in as. */
export async function openSource({ host, port, user, password }: Mysql): Promise<Connection> {
  const connection = await createConnection({ host, port, user, password, charset: "utf8mb4" });
  await prepareOrders(connection);
  await connection.query("CREATE USER ? IDENTIFIED BY ?", [cdcUser.user, cdcUser.password]);
  await connection.query("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ?", [cdcUser.user]);
  await connection.query("GRANT SELECT ON bench.* TO ?", [cdcUser.user]);
  return connection;
}
