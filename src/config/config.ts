/**
 * The configuration as the rest of the program uses it: checked, every default filled in, sizes in
 * bytes, secrets and certificates read from their files. What a person writes is in schema.ts.
 */
import type { Compression } from "../compression/compression.ts";

export interface Config {
  readonly source: SourceConfig;
  readonly queue: QueueConfig;
  /** At least one; the names are unique. */
  readonly pipelines: readonly PipelineConfig[];
  /** Undefined: nothing listens. */
  readonly http: HttpConfig | undefined;
  readonly log: LogConfig;
  /** How long a stop may take to deliver what was already read. */
  readonly shutdownGraceMs: number;
}

export interface HostConfig {
  readonly host: string;
  readonly port: number;
}

/** With the host and port of the first of its hosts. */
export interface SourceConfig extends HostConfig {
  /** At least one, in order of preference. */
  readonly hosts: readonly HostConfig[];
  readonly user: string;
  readonly password: string;
  readonly reader: "native" | "zongji";
  /** The pipeline at index n of the list registers as replica `serverId + n`. */
  readonly serverId: number;
  readonly tls: TlsConfig;
  readonly start: StartConfig;
  /** What is done with rows of XA transactions that are prepared. */
  readonly xa: "stop" | "at_prepare" | "at_commit";
  readonly snapshot: SnapshotConfig;
  /** What is done when the server has removed binlog that was not delivered yet. */
  readonly onLostPosition: "stop" | "snapshot";
}

export interface SnapshotConfig {
  readonly mode: "initial" | "always" | "never";
  /** Patterns for `compileTableFilter`, beside those of the pipeline. */
  readonly tables: readonly string[];
  /** Undefined: it adapts. */
  readonly batchRows: number | undefined;
  /** Copied at the same time. */
  readonly parallelTables: number;
  /** Condition in SQL by table: other rows are not copied. */
  readonly where: Readonly<Record<string, string>>;
  /** Infinity for as fast as it goes. */
  readonly rowsPerS: number;
  readonly quiesced: boolean;
  /** What is done with a table without a primary key of whole columns. */
  readonly noKey: "refuse" | "lock";
  /** Of which rows are read; undefined: the server whose changes are read. */
  readonly replica: HostConfig | undefined;
}

/** `preferred` is for MySQL only: Kafka's listeners do not negotiate. */
export type TlsMode = "disabled" | "preferred" | "required" | "verify_ca" | "verify_identity";

export interface TlsConfig {
  readonly mode: TlsMode;
  /** Contents of the PEM files, not their paths. Without `ca` the authorities that Node knows count. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Where to begin when there is no checkpoint. */
export type StartConfig =
  | { readonly kind: "latest" }
  | { readonly kind: "earliest" }
  | { readonly kind: "gtid-set"; readonly gtidSet: string }
  | { readonly kind: "position"; readonly file: string; readonly position: number };

export interface QueueConfig {
  readonly flushIntervalMs: number;
  /** The whole process's budget. */
  readonly memoryBytes: number;
  /** One pipeline's equal share of it. */
  readonly memoryPerPipelineBytes: number;
  readonly maxRowBytes: number;
  readonly maxEntries: number;
}

export type Delivery = "at-least-once" | "effectively-once";
export type EventKind = "insert" | "update" | "delete" | "truncate";

export interface PipelineConfig {
  readonly name: string;
  /** Patterns for `compileTableFilter`. */
  readonly tables: readonly string[];
  /** Each at most once, in the order insert, update, delete, truncate. */
  readonly events: readonly EventKind[];
  /** Undefined: every column is shown as it is. */
  readonly columns?: ColumnsConfig | undefined;
  /** Conditions by table; none lets every row through. */
  readonly filter?: readonly FilterConfig[];
  /** Undefined: every change is sent. */
  readonly dedupe?: DedupeConfig;
  readonly format: FormatConfig;
  /** Topic, queue, routing key or route of messages about statements; undefined: there are none. */
  readonly schemaTopic?: string;
  readonly sink: SinkConfig;
  /** Where messages go that the sink's destination refuses; undefined: the pipeline stops. */
  readonly deadLetter: SinkConfig | undefined;
  readonly commitLog: CommitLogConfig;
}

/** Patterns for `compileColumnFilter`. */
export interface ColumnsConfig {
  readonly exclude: readonly string[];
  readonly mask: readonly string[];
  readonly hash: readonly string[];
  readonly truncate: readonly { readonly column: string; readonly length: number }[];
  readonly hashKey: string;
}

/** Changes of one row are merged for a while. */
export interface DedupeConfig {
  readonly windowMs: number;
  readonly maxMemoryBytes: number;
}

export interface FilterConfig {
  /** A pattern for `compileTableFilter`. */
  readonly table: string;
  readonly where: Readonly<Record<string, ConditionConfig>>;
}

/** Values as text; each part that is there has to hold. */
export interface ConditionConfig {
  readonly in?: readonly (string | null)[];
  readonly notIn?: readonly (string | null)[];
  readonly lt?: string;
  readonly lte?: string;
  readonly gt?: string;
  readonly gte?: string;
}

export type FormatConfig =
  | {
      readonly type: "debezium";
      /** Whether a delete is followed by a message with the same key and no value. */
      readonly tombstones: boolean;
    }
  | { readonly type: "row-events"; readonly heartbeatMs: number }
  | { readonly type: "activity"; readonly intervalS: number }
  | { readonly type: "maxwell" | "column-list" | "row-data" };

export type SinkConfig =
  | KafkaSinkConfig
  | SqsSinkConfig
  | RabbitmqSinkConfig
  | WebhookSinkConfig
  | FileSinkConfig
  | StdoutSinkConfig;

export interface KafkaSinkConfig {
  readonly type: "kafka";
  /** `host:port`, always with a port. */
  readonly brokers: readonly string[];
  /** Topic name with the placeholders `{database}` and `{table}`. */
  readonly topic: string;
  readonly delivery: Delivery;
  readonly compression: Compression;
  readonly createTopics: CreateTopicsConfig;
  readonly tls: TlsConfig;
  readonly sasl: SaslConfig | undefined;
}

export interface CreateTopicsConfig {
  readonly partitions: number;
  /** -1 leaves it to the broker. */
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export type SaslMechanism = "plain" | "scram-sha-256" | "scram-sha-512";

export interface SaslConfig {
  readonly mechanism: SaslMechanism;
  readonly username: string;
  readonly password: string;
}

export interface SqsSinkConfig {
  readonly type: "sqs";
  /** Name or URL of the queue, with the placeholders `{database}` and `{table}`. */
  readonly queue: string;
  /** Undefined: from the URL, or as AWS's clients find it. */
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly group: "key" | "table" | "schema";
  readonly maxMessageBytes: number;
  /** Requests at the same time. */
  readonly inFlight: number;
  readonly delivery: "at-least-once";
}

export interface RabbitmqSinkConfig {
  readonly type: "rabbitmq";
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly tls: TlsConfig;
  /** "" is the default exchange. */
  readonly exchange: string;
  /** With the placeholders `{database}` and `{table}`. */
  readonly routingKey: string;
  readonly persistent: boolean;
  readonly declare: RabbitmqDeclareConfig;
  readonly heartbeatS: number;
  readonly delivery: "at-least-once";
}

/** What is made if it is not there. */
export interface RabbitmqDeclareConfig {
  /** Undefined: the exchange must exist. */
  readonly exchangeType: "direct" | "fanout" | "topic" | "headers" | undefined;
  /** Whether each routing key gets a queue of its own. */
  readonly queues: boolean;
  readonly queueType: "classic" | "quorum";
}

export interface WebhookSinkConfig {
  readonly type: "webhook";
  readonly delivery: "at-least-once";
  /** At least one; the ids are unique. */
  readonly routes: readonly WebhookRouteConfig[];
  /** Requests in flight, for each route. */
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** Undefined: for ever. */
  readonly retries: number | undefined;
  readonly allowPrivate: boolean;
  readonly tls: TlsConfig;
  readonly park: ParkConfig | undefined;
}

export interface WebhookRouteConfig {
  readonly id: string;
  /** Patterns for `compileTableFilter`. */
  readonly tables: readonly string[];
  readonly events: readonly EventKind[];
  /** May hold a user and a password, or a token: never to be printed. */
  readonly url: string;
  /** `whsec_…`; a request is signed with each. */
  readonly secrets: readonly string[];
}

/** Where events of what fails are kept on disk. */
export interface ParkConfig {
  readonly dir: string;
  /** For each route. */
  readonly maxBytes: number;
}

export interface FileSinkConfig {
  readonly type: "file";
  readonly path: string;
  /** Whether a line is `{id, topic, key, value}` instead of the value alone. */
  readonly envelope: boolean;
  readonly delivery: Delivery;
}

export interface StdoutSinkConfig {
  readonly type: "stdout";
  readonly envelope: boolean;
  readonly delivery: "at-least-once";
}

/** A commit log in Kafka uses the brokers, TLS and login of the pipeline's sink. */
export type CommitLogConfig =
  | { readonly type: "kafka"; readonly topic: string }
  | { readonly type: "file"; readonly dir: string };

export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly healthPath: string;
  /** Tables with metrics of their own. */
  readonly tables: number;
  readonly ready: ReadyConfig;
}

/** Beyond these a pipeline is not ready. */
export interface ReadyConfig {
  readonly heartbeatMs: number;
  readonly stalledMs: number;
  readonly unacknowledgedMs: number;
  readonly lagMs: number;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogConfig {
  readonly level: LogLevel;
  /** Undefined: text on a terminal, json otherwise. */
  readonly format: "text" | "json" | undefined;
  /** Between two lines with rates; 0: none. */
  readonly ratesMs: number;
}
