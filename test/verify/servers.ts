/** The real servers, started when a check first needs them and shared by the checks of one run. */
import { createConnection, type Connection } from "mysql2/promise";
import {
  startElasticmq,
  startKafka,
  startMysql,
  startRabbitmq,
  stopAll,
  type Elasticmq,
  type Kafka,
  type Mysql,
  type MysqlVersion,
  type Rabbitmq,
} from "../../tools/services/services.ts";

/** What the program under test logs in with: the privileges that the documentation asks for, no more. */
export const cdcUser = { user: "cdc", password: "cdc-Pa55 word" } as const;

/** A cleaner that starts at once, so that compaction can be waited for. */
export const brokerProperties = {
  "log.cleaner.backoff.ms": "200",
  "log.cleaner.threads": "1",
  "log.initial.task.delay.ms": "100",
  "log.retention.check.interval.ms": "1000",
  "num.network.threads": "2",
  "num.io.threads": "4",
} as const;

export class Servers {
  readonly #mysqlVersion: MysqlVersion;
  readonly #mysqls = new Map<MysqlVersion, Promise<Mysql>>();
  #one: Promise<Kafka> | undefined;
  #three: Promise<Kafka> | undefined;
  #elasticmq: Promise<Elasticmq> | undefined;
  #rabbitmq: Promise<Rabbitmq> | undefined;

  constructor(mysqlVersion: MysqlVersion) {
    this.#mysqlVersion = mysqlVersion;
  }

  mysql(version = this.#mysqlVersion): Promise<Mysql> {
    const started = this.#mysqls.get(version) ?? startSource(version, []);
    this.#mysqls.set(version, started);
    return started;
  }

  kafka(brokers: 1 | 3): Promise<Kafka> {
    if (brokers === 1) {
      this.#one ??= startKafka({ brokers: 1, properties: brokerProperties });
      return this.#one;
    }
    this.#three ??= startKafka({ brokers: 3, properties: brokerProperties });
    return this.#three;
  }

  elasticmq(): Promise<Elasticmq> {
    this.#elasticmq ??= startElasticmq();
    return this.#elasticmq;
  }

  rabbitmq(): Promise<Rabbitmq> {
    this.#rabbitmq ??= startRabbitmq();
    return this.#rabbitmq;
  }

  /** Three brokers on two cores slow down everything that comes after. */
  async stopThree(): Promise<void> {
    const three = await this.#three;
    this.#three = undefined;
    // The last one that is asked to stop may wait for ever for others to take over its partitions.
    for (const node of three?.nodes ?? []) node.kill("SIGKILL");
    await three?.stop();
  }

  /** A check that asks for one later gets a new one. */
  async stop(): Promise<void> {
    this.#mysqls.clear();
    this.#one = this.#three = this.#elasticmq = this.#rabbitmq = undefined;
    await stopAll();
  }
}

/** With the user that the program under test logs in as. */
export async function startSource(version: MysqlVersion, args: readonly string[]): Promise<Mysql> {
  const mysql = await startMysql(version, { args: ["--max-allowed-packet=64M", ...args] });
  await withConnection(mysql, async connection => {
    const { user, password } = cdcUser;
    await connection.query(`CREATE USER '${user}'@'%' IDENTIFIED BY '${password}'`);
    await connection.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${user}'@'%'`);
  });
  return mysql;
}

export async function withConnection<T>(
  mysql: Pick<Mysql, "host" | "port" | "user" | "password">,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { host, port, user, password } = mysql;
  const connection = await createConnection({ host, port, user, password });
  try {
    return await use(connection);
  } finally {
    await connection.end();
  }
}
