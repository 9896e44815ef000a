/** What Debezium Server is told to read from MySQL and to write to Kafka. */
import type { Kafka, Mysql } from "./interfaces.ts";

export const debeziumSource = "debezium.source";
export const debeziumProducer = "debezium.sink.kafka.producer";

export interface DebeziumPath {
  readonly mysql: Mysql;
  readonly database: string;
  readonly kafka: Kafka;
  /** Its topics begin with it, and its messages name it as their source. */
  readonly name: string;
}

/** Its defaults, except that existing rows are left out, decimals are text and messages carry no schema. */
export function debeziumProperties({ mysql, database, kafka, name }: DebeziumPath) {
  const serializer = "org.apache.kafka.common.serialization.StringSerializer";
  return {
    "debezium.sink.type": "kafka",
    [`${debeziumProducer}.bootstrap.servers`]: kafka.brokers.join(","),
    [`${debeziumProducer}.key.serializer`]: serializer,
    [`${debeziumProducer}.value.serializer`]: serializer,
    [`${debeziumSource}.connector.class`]: "io.debezium.connector.mysql.MySqlConnector",
    [`${debeziumSource}.database.hostname`]: mysql.host,
    [`${debeziumSource}.database.port`]: String(mysql.port),
    [`${debeziumSource}.database.user`]: mysql.user,
    [`${debeziumSource}.database.password`]: mysql.password,
    [`${debeziumSource}.database.server.id`]: "77001",
    [`${debeziumSource}.database.include.list`]: database,
    [`${debeziumSource}.topic.prefix`]: name,
    [`${debeziumSource}.snapshot.mode`]: "no_data",
    [`${debeziumSource}.decimal.handling.mode`]: "string",
    "debezium.format.key": "json",
    "debezium.format.value": "json",
    "debezium.format.key.schemas.enable": "false",
    "debezium.format.value.schemas.enable": "false",
  };
}
