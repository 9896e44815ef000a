/** The servers as tests, demo and benchmarks see them. */

/**
 * 5.7.22 and 8.0.15 from Maven jars, 9.7 or later from Debian's unstable suite, MariaDB 10.11 from
 * Debian 12.
 */
export const mysqlVersions = ["mysql-5", "mysql-8", "mysql-9", "mariadb"] as const;

export type MysqlVersion = (typeof mysqlVersions)[number];

/** What can be named on the command line. `kafka-3` is a cluster of three brokers. */
export type ServiceName = MysqlVersion | "kafka" | "kafka-3" | "rabbitmq" | "elasticmq";

export const serviceNames: readonly ServiceName[] = [
  ...mysqlVersions,
  "kafka",
  "kafka-3",
  "rabbitmq",
  "elasticmq",
];

export interface Mysql {
  readonly version: MysqlVersion;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** A superuser, reachable over TCP. */
  readonly url: string;
  readonly pid: number;
  /** Holds the data folder (`data`) and the server's log (`log`). */
  readonly dir: string;
  /** Sends the raw signal to the server process: SIGKILL, SIGSTOP, SIGCONT. */
  kill(signal: NodeJS.Signals): void;
  /** Starts again on the same port and data. Resolves when the server answers queries. */
  start(): Promise<void>;
  /** Ends the server cleanly. The data stays, for `start()`. */
  stop(): Promise<void>;
}

export interface MysqlOptions {
  readonly port?: number;
  /** Appended to mysqld's own, so they win. */
  readonly args?: readonly string[];
}

export interface KafkaNode {
  readonly id: number;
  readonly port: number;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the broker is back in the cluster, which needs a majority of the nodes. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Kafka {
  readonly brokers: readonly string[];
  /** The listeners with TLS and a login, if they were asked for. */
  readonly secureBrokers: readonly string[];
  readonly nodes: readonly KafkaNode[];
  readonly dir: string;
  /** Of the first node. */
  readonly pid: number;
  stop(): Promise<void>;
}

export interface KafkaOptions {
  /** Three: replication factor 3, min.insync.replicas 2. */
  readonly brokers?: 1 | 3;
  /** Added to every broker's server.properties, so they win. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Opens a second listener on every broker, which wants TLS and a login. */
  readonly security?: KafkaSecurity;
}

export interface KafkaSecurity {
  /** PEM, of a certificate for `localhost`; the key in PKCS #8. */
  readonly key: string;
  readonly cert: string;
  /** By PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly user: string;
  readonly password: string;
}

export interface Rabbitmq {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Of vhost `/`, with user and password. */
  readonly url: string;
  readonly pid: number;
  /** Holds the data folder (`data`) and the broker's log (`log`). */
  readonly dir: string;
  /** Runs rabbitmqctl, which takes seconds, and returns what it printed. */
  ctl(...args: readonly string[]): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface RabbitmqOptions {
  /** Lines of rabbitmq.conf. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Speaks SQS over plain HTTP; any credentials are good. */
export interface Elasticmq {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  readonly dir: string;
  kill(signal: NodeJS.Signals): void;
  /** Starts again on the same port, without the queues that it had. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Debezium Server, which reads from a MySQL and writes to a Kafka that were started before it. */
export interface Debezium {
  /** Holds its log (`log`), its offsets and its schema history. */
  readonly dir: string;
  readonly pid: number;
  /** False as well when it gave up by itself: then its log says why. */
  readonly isRunning: boolean;
  stop(): Promise<void>;
}

export interface DebeziumOptions {
  /** Lines of its application.properties. They win over those that place its files. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Maxwell's daemon, which reads from a MySQL that was started before it. */
export interface Maxwell {
  /** Holds its log (`log`). */
  readonly dir: string;
  /** The file with a line for each row change. */
  readonly output: string;
  /** False as well when it gave up by itself: then its log says why. */
  readonly isRunning: boolean;
  stop(): Promise<void>;
}

export interface MaxwellOptions {
  /** 8.0.15 at most: it knows no newer way to log in than mysql_native_password. */
  readonly mysql: Pick<Mysql, "host" | "port">;
  /** A user that may read everything, and write in the schema `maxwell`. */
  readonly user: string;
  readonly password: string;
  /** The only one whose changes it writes. */
  readonly database: string;
}
