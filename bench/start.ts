/**
 * From the start of the process to the first record at the consumer, on a server with many tables, all of
 * which the pipeline asks for. It was stopped, and a row was written meanwhile.
 */
import { createConnection } from "mysql2/promise";
import { keptFolder } from "../tools/services/keeper.ts";
import type { Mysql } from "../tools/services/services.ts";
import { ArrivalWatch } from "./arrival-watch.ts";
import { nowMs } from "./now.ts";
import type { BenchOptions } from "./options.ts";
import {
  hasBegun,
  makePipeline,
  mysqlArgs,
  nodeArgsOf,
  openSource,
  startServers,
  type NodeOptions,
} from "./pipeline.ts";
import { median, rounded } from "./round.ts";
import { SteadyWriter } from "./steady-writer.ts";
import { KafkaTarget } from "./target.ts";

export interface StartResult {
  readonly scenario: "start";
  readonly tables: number;
  readonly rounds: number;
  readonly first_record_s: number;
  readonly slowest_s: number;
}

const TABLES = 10_000;
const HANDS = 4;
const TABLES_PER_QUERY = 50;
/** So that the tables are made in a minute: nothing is read back after a crash. */
const args = [...mysqlArgs, "--innodb-file-per-table=OFF", "--innodb-flush-method=nosync"];

export async function benchStart(
  options: Pick<BenchOptions, "rounds"> & Partial<NodeOptions>,
  say: (text: string) => void,
): Promise<StartResult> {
  const { rounds } = options;
  const { mysql, kafka, bundle } = await startServers(say, { args });
  const connection = await openSource(mysql);
  await connection.end();
  say(`making ${TABLES} tables`);
  await makeTables(mysql);
  const name = "start";
  const folder = keptFolder("bench");
  const target = new KafkaTarget(kafka.brokers, name);
  const tables = ["bench.*", "many.*"];
  const nodeArgs = nodeArgsOf(options);
  const tidemark = makePipeline({ name, mysql, bundle, folder, target, tables, nodeArgs });
  const writer = await SteadyWriter.open(mysql);
  const watch = new ArrivalWatch();
  const seconds: number[] = [];
  try {
    await tidemark.start();
    await hasBegun(tidemark, target);
    await writer.write(1, 1); // Makes the topic.
    await watch.start({ brokers: kafka.brokers, topic: `${name}.bench.orders` });
    await watch.through(1);
    for (let round = 1; round <= rounds; round += 1) {
      await tidemark.stop();
      await writer.write(1, 1);
      const startedMs = nowMs();
      await tidemark.start();
      const arrivedAt = await watch.through(1 + round);
      seconds.push(((arrivedAt.get(1 + round) ?? NaN) - startedMs) / 1_000);
      say(`round ${round}: the first record after ${seconds.at(-1)?.toFixed(2)} s`);
    }
    await tidemark.stop();
  } finally {
    watch.stop();
    target.close();
    await writer.close();
    await tidemark.kill();
  }
  await Promise.all([mysql.stop(), kafka.stop()]);
  return {
    scenario: "start",
    tables: TABLES,
    rounds,
    first_record_s: rounded(median(seconds), 2),
    slowest_s: rounded(Math.max(...seconds), 2),
  };
}

/** Beside the binlog: how they came about is none of Tidemark's business. */
async function makeTables({ host, port, user, password }: Mysql): Promise<void> {
  const hand = async (first: number): Promise<void> => {
    const options = { host, port, user, password, multipleStatements: true };
    const connection = await createConnection(options);
    await connection.query("SET sql_log_bin = 0; CREATE DATABASE IF NOT EXISTS many");
    for (let from = first; from < TABLES; from += HANDS * TABLES_PER_QUERY) {
      const statements = Array.from(
        { length: Math.min(TABLES_PER_QUERY, TABLES - from) },
        (_, i) => `CREATE TABLE many.t_${from + i} LIKE bench.orders`,
      );
      await connection.query(statements.join(";"));
    }
    await connection.end();
  };
  const hands = Array.from({ length: HANDS }, (_, i) => hand(i * TABLES_PER_QUERY));
  await Promise.all(hands);
}
