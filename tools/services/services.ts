/**
 * Real MySQL servers and Kafka clusters for tests, the demo and benchmarks, without Docker.
 *
 *   startMysql ─▶ mysql-server.ts ─▶ mysql-program.ts ─┐               ┌─▶ maven.ts
 *   startKafka ─▶ kafka-server.ts ─▶ kafka-program.ts ─┼─▶ cache.ts  ──┼─▶ debian-packages.ts
 *   startElasticmq ─▶ elasticmq-server.ts ─▶ elasticmq-program.ts ──────────────┤
 *   startRabbitmq ─▶ rabbitmq-server.ts ─▶ rabbitmq-program.ts ───────────────┤
 *   startDebezium ─▶ debezium-server.ts ─▶ debezium-program.ts         └─▶ packages.ts (apt-get)
 *   startMaxwell ─▶ maxwell-server.ts ─▶ maxwell-program.ts
 *                     │
 *                     └─▶ server-process.ts, keeper.ts      (each MySQL's own: mysql-releases.ts)
 *
 * 1. Every server has its own temporary folder and ports, on the loopback interface only.
 * 2. Nothing outlives the process that started it, even if that is killed: see keeper.mjs.
 * 3. The first start downloads; later ones take seconds and need no network.
 */
import {
  mysqlVersions,
  type Debezium,
  type DebeziumOptions,
  type Elasticmq,
  type Kafka,
  type KafkaOptions,
  type Maxwell,
  type MaxwellOptions,
  type Mysql,
  type MysqlOptions,
  type MysqlVersion,
  type Rabbitmq,
  type RabbitmqOptions,
  type ServiceName,
} from "./interfaces.ts";
import { launchDebezium } from "./debezium-server.ts";
import { elasticmqProgram } from "./elasticmq-program.ts";
import { launchElasticmq } from "./elasticmq-server.ts";
import { kafkaProgram } from "./kafka-program.ts";
import { launchKafka } from "./kafka-server.ts";
import { launchMaxwell } from "./maxwell-server.ts";
import { mysqlProgram } from "./mysql-program.ts";
import { launchMysql } from "./mysql-server.ts";
import { rabbitmqProgram } from "./rabbitmq-program.ts";
import { launchRabbitmq } from "./rabbitmq-server.ts";
import { killAllServers } from "./server-process.ts";
import { removeKeptFolders } from "./keeper.ts";

export type {
  Debezium,
  Elasticmq,
  Kafka,
  KafkaNode,
  Maxwell,
  Mysql,
  MysqlVersion,
  Rabbitmq,
  ServiceName,
} from "./interfaces.ts";

export function startMysql(version: MysqlVersion, options: MysqlOptions = {}): Promise<Mysql> {
  return launchMysql(version, options);
}

export function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  return launchKafka(options);
}

export function startRabbitmq(options: RabbitmqOptions = {}): Promise<Rabbitmq> {
  return launchRabbitmq(options);
}

export function startElasticmq(): Promise<Elasticmq> {
  return launchElasticmq();
}

/** Resolves when it reads the binlog. */
export function startDebezium(options: DebeziumOptions): Promise<Debezium> {
  return launchDebezium(options);
}

/** Resolves when it reads the binlog. */
export function startMaxwell(options: MaxwellOptions): Promise<Maxwell> {
  return launchMaxwell(options);
}

/** Ends everything this process started, at once, and removes its temporary folders. */
export async function stopAll(): Promise<void> {
  await killAllServers();
  removeKeptFolders();
}

/** Only downloads and installs what is missing. */
export async function prepare(names: readonly ServiceName[]): Promise<void> {
  const kafka = names.some(name => name === "kafka" || name === "kafka-3");
  const versions = mysqlVersions.filter(version => names.includes(version));
  const jobs: Promise<unknown>[] = versions.map(mysqlProgram);
  if (kafka) jobs.push(kafkaProgram());
  if (names.includes("rabbitmq")) jobs.push(rabbitmqProgram());
  if (names.includes("elasticmq")) jobs.push(elasticmqProgram());
  const results = await Promise.allSettled(jobs);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
