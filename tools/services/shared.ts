/**
 * Servers that test files share when they need no other version and break nothing: those named in
 * the environment (as `npm run services -- up` prints them), or one started once per process.
 */
import type { MysqlVersion } from "./interfaces.ts";
import {
  startElasticmq,
  startKafka,
  startMysql,
  startRabbitmq,
  type Elasticmq,
  type Rabbitmq,
} from "./services.ts";

export interface MysqlAddress {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export interface KafkaAddress {
  readonly brokers: readonly string[];
}

/** TIDEMARK_MYSQL_URL, such as `mysql://root@127.0.0.1:3306`. */
export function mysqlFromEnvironment(): MysqlAddress | undefined {
  const url = process.env["TIDEMARK_MYSQL_URL"];
  if (!url) return undefined;
  const { hostname, port, username, password } = new URL(url);
  return {
    url,
    host: hostname,
    port: port === "" ? 3306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}

/** TIDEMARK_KAFKA_BROKERS, such as `127.0.0.1:9092,127.0.0.1:9093`. */
export function kafkaFromEnvironment(): KafkaAddress | undefined {
  const brokers = (process.env["TIDEMARK_KAFKA_BROKERS"] ?? "").split(",").map(name => name.trim());
  const named = brokers.filter(name => name !== "");
  return named.length > 0 ? { brokers: named } : undefined;
}

const mysqls = new Map<MysqlVersion, Promise<MysqlAddress>>();
let kafka: Promise<KafkaAddress> | undefined;
let elasticmq: Promise<Elasticmq> | undefined;
let rabbitmq: Promise<Rabbitmq> | undefined;

/** The server of the environment is taken whatever its version is. */
export async function sharedMysql(version: MysqlVersion = "mysql-9"): Promise<MysqlAddress> {
  const given = mysqlFromEnvironment();
  if (given) return given;
  const running = mysqls.get(version) ?? startMysql(version);
  mysqls.set(version, running);
  return running;
}

export async function sharedKafka(): Promise<KafkaAddress> {
  const given = kafkaFromEnvironment();
  if (given) return given;
  kafka ??= startKafka();
  return kafka;
}

export async function sharedRabbitmq(): Promise<Rabbitmq> {
  rabbitmq ??= startRabbitmq();
  return rabbitmq;
}

export async function sharedElasticmq(): Promise<Elasticmq> {
  elasticmq ??= startElasticmq();
  return elasticmq;
}
