/**
 * The configuration as a person writes it: every key, its limits, its default and what it is for.
 * docs/configuration.md and docs/configuration.schema.json are generated from here. What depends on
 * more than one field is checked in normalise.ts.
 */
import { z } from "zod";
import {
  checked,
  choice,
  expectedWord,
  flag,
  integer,
  secret,
  secretUrl,
  size,
  text,
  textMatching,
} from "./scalars.ts";
import { COMPRESSIONS } from "../compression/compression.ts";
import { topicNameFault } from "../core/topic-name.ts";
import { dedupeSchema } from "./dedupe.ts";
import { columnsSchema, filterSchema } from "./rows.ts";
import { tablePatternFault } from "./table-pattern.ts";
import { topicTemplateFault } from "./topic.ts";
import { brokerFault, hostFault } from "./broker.ts";
import { isRecord } from "./faults.ts";
import { endpointFault, queueTemplateFault } from "./sqs.ts";
import { rabbitmqUrlFault, routingKeyFault } from "./rabbitmq.ts";
import { schemaChangesSchema } from "./schema-changes.ts";
import { snapshotSchema } from "./snapshot.ts";
import { EVENTS, webhookSinkSchema } from "./webhook.ts";

const serverName = (): z.ZodString =>
  textMatching(/^[^\s/@]+$/, "a host name or an address, without a scheme and without a path");

const pemFiles = {
  ca: text()
    .optional()
    .describe("PEM file with the authorities to trust. Default: the well-known ones."),
  cert: text()
    .optional()
    .describe("PEM file with our own certificate, if the server asks for one."),
  key: text().optional().describe("PEM file with the private key of `cert`."),
};

const sourceTlsSchema = z.strictObject({
  mode: choice(["disabled", "preferred", "required", "verify_ca", "verify_identity"])
    .optional()
    .describe(
      "`disabled`: never encrypted. `preferred`: encrypted if the server can, nothing checked. " +
        "`required`: always encrypted, nothing checked. `verify_ca`: the certificate must come from a " +
        "trusted authority. `verify_identity`: it must also name the host. " +
        "Default: `verify_identity`; on a loopback host `preferred`.",
    ),
  ...pemFiles,
});

const startWords = ["latest", "earliest"] as const;
const startSchema = z
  .union(
    [
      z.enum(startWords),
      z.strictObject({
        gtid_set: text().describe("Begin after these transactions, as in `@@gtid_executed`."),
      }),
      z.strictObject({
        file: textMatching(/^[^\s/]+\.\d+$/, "a binlog file such as binlog.000003").describe(
          "Name of a binlog file.",
        ),
        position: integer(4, Number.MAX_SAFE_INTEGER).describe(
          "Byte offset in that file, at the end of a transaction.",
        ),
      }),
    ],
    {
      error:
        "expected latest, earliest, { gtid_set: … } or { file: binlog.000003, position: 4 } (position: 4 or more)",
    },
  )
  .default("latest")
  .describe(
    "Where to begin when the commit log holds no checkpoint; ignored from then on. `latest`: with the " +
      "next change. `earliest`: with the oldest binlog file that the server still has.",
  );

export const sourceSchema = z
  .strictObject({
    host: serverName().optional().describe("Host name or address of the MySQL server."),
    hosts: z
      .array(checked(text(), hostFault), { error: "expected a list such as [db1, db2:3307]" })
      .min(1, { error: "expected at least one host" })
      .max(20, { error: "expected at most 20 hosts" })
      .refine(names => new Set(names).size === names.length, { error: "holds a host twice" })
      .optional()
      .describe(
        "Instead of `host`: servers that replicate from one another by GTID, as `host` or `host:port`, in order " +
          "of preference. The first that can be reached and has what was delivered is read: see " +
          "[operating.md](operating.md#failover).",
      ),
    port: integer(1, 65_535)
      .default(3306)
      .describe("Port of the MySQL server, and of each of `hosts` that names none."),
    user: text().describe("User with REPLICATION SLAVE and REPLICATION CLIENT."),
    password: secret().optional().describe("Its password; best written as `${MYSQL_PASSWORD}`."),
    password_file: text()
      .optional()
      .describe(
        "File that holds the password, instead of `password`. One line break at its end is ignored.",
      ),
    server_id: integer(1, 2 ** 32 - 1)
      .default(42_897)
      .describe(
        "Replica id, unique among all replicas of the server. The second pipeline uses the next " +
          "number, and so on.",
      ),
    reader: choice(["native", "zongji"])
      .default("native")
      .describe(
        "What reads the binlog: our own reader, or the zongji library. Both give the same messages; " +
          "zongji holds each event in memory and is slower.",
      ),
    tls: sourceTlsSchema.prefault({}).describe("Encryption of the connection."),
    start: startSchema,
    on_lost_position: choice(["stop", "snapshot"])
      .default("stop")
      .describe(
        "What is done when the server has removed binlog that was not delivered yet. `stop`: the pipeline ends, and " +
          "names what is gone. `snapshot`: consumers are told of the gap and to empty their tables, and all rows are " +
          "read again, which needs what `snapshot` needs: see [operating.md](operating.md#lost-position).",
      ),
    xa: choice(["stop", "at_prepare", "at_commit"])
      .default("stop")
      .describe(
        "What is done with the rows of an XA transaction when it is prepared, for they may yet be rolled back. " +
          "`stop`: the pipeline ends. `at_commit`: they are delivered when XA COMMIT comes, and not if XA " +
          "ROLLBACK does. `at_prepare`: they are delivered at once, and nothing takes them back.",
      ),
    snapshot: snapshotSchema,
  })
  .describe("The MySQL server whose changes are read.");

export const queueSchema = z
  .strictObject({
    flush_interval_ms: integer(0, 60_000)
      .default(100)
      .describe(
        "Milliseconds between two flushes to the destination; a full batch is sent at once. 0: send " +
          "whenever nothing is in flight, for the lowest latency.",
      ),
    memory: size("4MB", "1024GB")
      .default("64MB")
      .describe(
        "Row data that may wait in the whole process, shared equally by its pipelines, at least 4MB " +
          "each. When a share is full, reading pauses.",
      ),
    max_row: size("1KB", "1GB")
      .default("64MB")
      .describe("A row larger than this stops the pipeline: see ROW_TOO_LARGE."),
    max_entries: integer(1, 10_000_000)
      .default(100_000)
      .describe(
        "Entries (small transactions, or parts of large ones) that may wait for delivery or for a " +
          "place in the commit log, per pipeline.",
      ),
  })
  .prefault({})
  .describe("What may wait between MySQL and the destination.");

const debeziumFormatSchema = z
  .strictObject({
    type: z.literal("debezium"),
    tombstones: flag()
      .default(true)
      .describe(
        "Whether a delete is followed by a message with the same key and no value, for compacted topics.",
      ),
  })
  .describe("The JSON envelope of Debezium, without schema.");

/** The formats without options. */
const plainFormats = {
  maxwell: "The JSON of Maxwell's daemon.",
  "column-list": "Names and values of columns as two lists.",
  "row-data": "`{primary_id, event, table, data, timestamp}`.",
} as const;

const plainFormat = <const Type extends keyof typeof plainFormats>(type: Type) =>
  z.strictObject({ type: z.literal(type) }).describe(plainFormats[type]);

const rowEventsFormatSchema = z
  .strictObject({
    type: z.literal("row-events"),
    heartbeat_ms: integer(0, 3_600_000)
      .default(30_000)
      .describe(
        "After so many milliseconds without a message a heartbeat is sent; 0: none. A file gets none: its " +
          "lines are counted after a restart.",
      ),
  })
  .describe("`row_insert`, `row_update` with the columns that changed, `row_delete`.");

const activityFormatSchema = z
  .strictObject({
    type: z.literal("activity"),
    interval_s: integer(1, 86_400)
      .default(1)
      .describe(
        "Seconds that one message stands for: a schema gives one for the first change in each interval.",
      ),
  })
  .describe("`{schema, timestamp}`: only that something changed.");

const formatNames = ["debezium", "row-events", ...Object.keys(plainFormats), "activity"];

const formatOptionsSchema = z.discriminatedUnion(
  "type",
  [
    debeziumFormatSchema,
    plainFormat("maxwell"),
    plainFormat("column-list"),
    rowEventsFormatSchema,
    plainFormat("row-data"),
    activityFormatSchema,
  ],
  {
    error: issue =>
      isUnknownType(issue)
        ? expectedWord(typeOf(issue.input), formatNames, [])
        : "expected the name of a format, or { type: debezium, … }",
  },
);

/** `format: debezium` is short for a type without options, and options without a type are Debezium's. */
function completeFormat(value: unknown): unknown {
  if (typeof value === "string") return { type: value };
  return isRecord(value) && !("type" in value) ? { type: "debezium", ...value } : value;
}

const formatSchema = z
  .preprocess(completeFormat, formatOptionsSchema)
  .prefault({ type: "debezium" })
  .describe(
    "Shape of a message: see [formats.md](formats.md). `format: debezium` is short for " +
      "`format: { type: debezium }`, and options without a type are those of `debezium`, the default.",
  );

const deliverySchema = choice(["at-least-once", "effectively-once"], ["exactly-once"])
  .optional()
  .describe(
    "`at-least-once`: nothing is skipped; a crash repeats what came after the last checkpoint. " +
      "`effectively-once`: nothing is repeated after a restart either. " +
      "Default: `effectively-once`; with `dedupe` `at-least-once`.",
  );

const envelopeSchema = flag()
  .default(false)
  .describe("Whether a line is `{id, topic, key, value}` instead of the value alone.");

const saslSchema = z.strictObject({
  mechanism: choice(["plain", "scram-sha-256", "scram-sha-512"]).describe("How to log in."),
  username: text().describe("User name."),
  password: secret().optional().describe("Password; best written as `${KAFKA_PASSWORD}`."),
  password_file: text()
    .optional()
    .describe(
      "File that holds the password, instead of `password`. One line break at its end is ignored.",
    ),
  allow_without_tls: flag()
    .default(false)
    .describe(
      "Lets mechanism `plain` send the password unencrypted to brokers that are not on a loopback address.",
    ),
});

/** For servers that do not negotiate whether to encrypt. */
const tlsSchema = z.strictObject({
  mode: choice(["disabled", "required", "verify_ca", "verify_identity"])
    .default("verify_identity")
    .describe(
      "`disabled`: not encrypted. `required`: encrypted, nothing checked. `verify_ca`: the certificate " +
        "must come from a trusted authority. `verify_identity`: it must also name the host.",
    ),
  ...pemFiles,
});

const createTopicsSchema = z.strictObject({
  partitions: integer(1, 100_000).default(1).describe("Partitions of a new topic."),
  replication_factor: integer(-1, 1000)
    .refine(value => value !== 0, { error: "expected -1 (the broker decides), or 1 and more" })
    .default(-1)
    .describe("Replicas of a new topic. -1: what the broker has as its default."),
  config: z
    .record(
      z.string(),
      z
        .union([z.string(), z.number(), z.boolean()], { error: "expected text or a number" })
        .transform(String),
      { error: "expected settings by name, such as { retention.ms: 604800000 }" },
    )
    .default({})
    .describe("Settings of a new topic, by their names in Kafka."),
});

const kafkaSinkSchema = z
  .strictObject({
    type: z.literal("kafka"),
    brokers: z
      .array(checked(text(), brokerFault), { error: 'expected a list such as ["127.0.0.1:9092"]' })
      .min(1, { error: "expected at least one broker" })
      .describe("Brokers to ask first, as `host:port`; the port is 9092 where none is given."),
    topic: checked(text(), topicTemplateFault)
      .default("{database}.{table}")
      .describe(
        "Topic of a change, with the placeholders `{database}` and `{table}`. Characters of their " +
          "names that a topic cannot have become `_uXXXX`.",
      ),
    delivery: deliverySchema,
    compression: choice(COMPRESSIONS)
      .default("none")
      .describe(
        "How batches are compressed. `gzip` packs best for little time; `zstd` needs Node.js 22.15 or newer. " +
          "A topic's own `compression.type`, if it is not `producer`, goes before it.",
      ),
    create_topics: createTopicsSchema
      .prefault({})
      .describe("How topics that do not exist yet are made."),
    tls: tlsSchema
      .optional()
      .describe("Encryption of the connection. Default: none; `tls: {}` turns it on."),
    sasl: saslSchema.optional().describe("Login. Default: none."),
  })
  .describe("Messages go to topics of Kafka.");

const fileSinkSchema = z
  .strictObject({
    type: z.literal("file"),
    path: text().describe("File to append to; it is made if it does not exist."),
    envelope: envelopeSchema,
    delivery: deliverySchema,
  })
  .describe("Each message is a line of a file.");

const stdoutSinkSchema = z
  .strictObject({ type: z.literal("stdout"), envelope: envelopeSchema })
  .describe("Each message is a line of the standard output; delivery is `at-least-once`.");

const declareSchema = z.strictObject({
  exchange_type: choice(["direct", "fanout", "topic", "headers"])
    .optional()
    .describe(
      "Type of the exchange, which is made, durable, if it does not exist. Default: it must exist.",
    ),
  queues: flag()
    .default(false)
    .describe(
      "Whether each routing key gets a durable queue of the same name, bound to the exchange. Without it, " +
        "a message that no queue takes is refused.",
    ),
  queue_type: choice(["classic", "quorum"])
    .default("classic")
    .describe("Type of the queues that are made; `quorum` is replicated."),
});

const rabbitmqSinkSchema = z
  .strictObject({
    type: z.literal("rabbitmq"),
    url: checked(secretUrl(), rabbitmqUrlFault)
      .optional()
      .describe(
        "Address as `amqps://user:password@host:5671/vhost`, instead of `host`, `port`, `vhost`, `user` and " +
          "`password`. `amqps` turns `tls` on.",
      ),
    host: serverName().optional().describe("Host name or address of the broker."),
    port: integer(1, 65_535).optional().describe("Default: 5672, with `tls` 5671."),
    vhost: text().optional().describe("Virtual host. Default: `/`."),
    user: text().optional().describe("User name. Default: `guest`."),
    password: secret()
      .optional()
      .describe("Password; best written as `${RABBITMQ_PASSWORD}`. Default for `guest`: `guest`."),
    password_file: text()
      .optional()
      .describe(
        "File that holds the password, instead of `password`. One line break at its end is ignored.",
      ),
    tls: tlsSchema
      .optional()
      .describe("Encryption of the connection. Default: none; `tls: {}` turns it on."),
    allow_without_tls: flag()
      .default(false)
      .describe("Lets the password go unencrypted to a broker that is not on a loopback address."),
    exchange: z
      .string({ error: "expected text" })
      .max(127, { error: "is too long" })
      .default("")
      .describe(
        "Exchange to publish to. The empty one is RabbitMQ's default exchange, which leads to the queue named " +
          "by the routing key.",
      ),
    routing_key: checked(text(), routingKeyFault)
      .default("{database}.{table}")
      .describe("Routing key of a change, with the placeholders `{database}` and `{table}`."),
    persistent: flag()
      .default(true)
      .describe("Whether durable queues keep the messages when the broker restarts."),
    declare: declareSchema.prefault({}).describe("What is made if it does not exist yet."),
    heartbeat_s: integer(1, 3_600)
      .default(30)
      .describe(
        "Seconds between heartbeats: a connection that is silent for two to three times as long is given up.",
      ),
  })
  .describe(
    "Messages go to an exchange of RabbitMQ; delivery is `at-least-once`: see [rabbitmq.md](rabbitmq.md).",
  );

const sqsSinkSchema = z
  .strictObject({
    type: z.literal("sqs"),
    queue: checked(text(), queueTemplateFault).describe(
      "Name or URL of the queue, with the placeholders `{database}` and `{table}`. A name that ends in " +
        "`.fifo` is a FIFO queue. Queues are not made. Other characters than letters, digits, `-` and `_` of " +
        "databases and tables become `_uXXXX`.",
    ),
    region: textMatching(/^[a-z0-9-]{1,50}$/, "a region such as eu-west-1")
      .optional()
      .describe(
        "AWS region. Default: that of the queue's URL, then `AWS_REGION`, then that of the AWS profile.",
      ),
    endpoint: checked(text(), endpointFault)
      .optional()
      .describe("Address of the service, where it is not AWS's own."),
    group: choice(["key", "table", "schema"])
      .optional()
      .describe(
        "What shares a message group of a FIFO queue, and so keeps its order: the rows with the same key, " +
          "the rows of a table, or those of a database. A group takes one message a request. Rows without " +
          "primary key are grouped by table at least. Default: `key`; with `format: activity` `schema`.",
      ),
    max_message_bytes: integer(1_024, 1_048_576)
      .default(1_048_576)
      .describe(
        "Bytes that a message may have with its attributes, and a request in all. What is larger is refused " +
          "before it is sent.",
      ),
    in_flight: integer(1, 1_000)
      .default(16)
      .describe("Requests at the same time, of at most 10 messages each."),
  })
  .describe(
    "Messages go to queues of Amazon SQS; delivery is `at-least-once`. Credentials are found as AWS's " +
      "clients do: see [sqs.md](sqs.md).",
  );

const sinkTypes = ["kafka", "sqs", "rabbitmq", "webhook", "file", "stdout"];
const sinkSchema = z
  .discriminatedUnion(
    "type",
    [
      kafkaSinkSchema,
      sqsSinkSchema,
      rabbitmqSinkSchema,
      webhookSinkSchema,
      fileSinkSchema,
      stdoutSinkSchema,
    ],
    {
      error: issue =>
        isUnknownType(issue)
          ? expectedWord(typeOf(issue.input), sinkTypes, [])
          : "expected { type: kafka, … }, { type: sqs, … }, { type: rabbitmq, … }, { type: file, … } or { type: stdout }",
    },
  )
  .describe("Where the messages go.");

const onRefusedSchema = z
  .union([z.literal("stop"), z.strictObject({ dead_letter: sinkSchema })], {
    error: "expected stop, or { dead_letter: { type: …, … } }",
  })
  .default("stop")
  .describe(
    "What becomes of a message that the destination refuses for good. `stop`: the pipeline ends before it. " +
      "`dead_letter`: it goes to another sink, with the options of `sink`, together with the reason, and counts as " +
      "delivered: see [dead-letters.md](dead-letters.md).",
  );

const commitLogSchema = z
  .discriminatedUnion(
    "type",
    [
      z
        .strictObject({
          type: z.literal("kafka"),
          topic: checked(text(), topicNameFault)
            .default("tidemark.commit-log")
            .describe("Name of the topic; it is made, with one partition, if it does not exist."),
        })
        .describe("Checkpoints are kept in a compacted topic at the brokers of the sink."),
      z
        .strictObject({
          type: z.literal("file"),
          dir: text()
            .default("tidemark-state")
            .describe("Folder of the file `<pipeline>.json`; it is made if it does not exist."),
        })
        .describe("Checkpoints are kept in a file."),
    ],
    {
      error: issue =>
        isUnknownType(issue)
          ? "expected one of kafka, file"
          : "expected { type: kafka, … } or { type: file, … }",
    },
  )
  .optional()
  .describe(
    "Where the checkpoints of the pipeline are kept. Default: `kafka` if the sink is Kafka, else `file`.",
  );

/** The declared code of the issue is not the only one that a discriminated union raises. */
function isUnknownType(issue: { readonly code: string }): boolean {
  return issue.code === "invalid_union";
}

function typeOf(value: unknown): unknown {
  return typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
}

export const pipelineSchema = z.strictObject({
  name: textMatching(/^[a-z0-9_-]{1,100}$/, "a name of a-z, 0-9, _ and -").describe(
    "Unique name: checkpoints are kept under it. Characters: a-z, 0-9, `_` and `-`.",
  ),
  tables: z
    .array(checked(text(), tablePatternFault), { error: 'expected a list such as ["shop.*"]' })
    .min(1, { error: "expected at least one pattern" })
    .refine(patterns => patterns.some(pattern => !pattern.startsWith("!")), {
      error: 'expected at least one pattern without "!"',
    })
    .describe(
      "Tables to capture, as `database.table` with `*` for any characters and `?` for one. A table is " +
        "captured if a pattern matches it and no pattern that begins with `!` does. Tables of " +
        "`mysql`, `sys`, `information_schema` and `performance_schema` never are.",
    ),
  events: z
    .array(choice(EVENTS), { error: "expected a list such as [insert, update, delete]" })
    .min(1, { error: "expected at least one of insert, update, delete" })
    .optional()
    .describe(
      "Kinds of change to send. `truncate`, that a table was emptied, is a word of the format debezium alone. " +
        "Default: all that the format has a word for.",
    ),
  columns: columnsSchema,
  filter: filterSchema,
  dedupe: dedupeSchema,
  format: formatSchema,
  schema_changes: schemaChangesSchema,
  sink: sinkSchema,
  on_refused: onRefusedSchema,
  commit_log: commitLogSchema,
});

export const logSchema = z
  .strictObject({
    level: choice(["debug", "info", "warn", "error"])
      .default("info")
      .describe("What is logged: this and everything more serious."),
    format: choice(["text", "json"])
      .optional()
      .describe("Default: `text` on a terminal, `json` otherwise."),
    rates_s: integer(0, 86_400)
      .default(0)
      .describe(
        "Seconds between two lines that tell, at level `info`, how many rows a second each pipeline reads and " +
          "how many messages a second it delivers; 0: none.",
      ),
  })
  .prefault({})
  .describe("The log. It always goes to the standard error.");

const readySchema = z
  .strictObject({
    heartbeat_ms: integer(6_000, 3_600_000)
      .default(10_000)
      .describe(
        "Longest silence of MySQL, which sends a heartbeat every 5 seconds. Does not count while reading is paused.",
      ),
    stalled_ms: integer(1_000, 3_600_000)
      .default(10_000)
      .describe("Longest time in which nothing is delivered although something waits."),
    unacknowledged_ms: integer(1_000, 86_400_000)
      .default(60_000)
      .describe("Longest time since the oldest entry that is not delivered was read."),
    lag_ms: integer(1_000, 2_592_000_000)
      .default(300_000)
      .describe("Greatest age, by the time in the binlog, of what is delivered."),
  })
  .prefault({})
  .describe(
    "What `/ready` still accepts; beyond it, it answers 503. Twice `queue.flush_interval_ms` is added " +
      "to `stalled_ms` and `unacknowledged_ms`; a pipeline's `dedupe.window_ms` to these and `lag_ms`.",
  );

export const httpSchema = z
  .strictObject({
    host: serverName()
      .default("127.0.0.1")
      .describe(
        "Address to listen on. Anyone who can reach it can read table names and error messages, but no rows.",
      ),
    port: integer(1, 65_535).default(8080).describe("Port to listen on."),
    health_path: textMatching(/^\/[A-Za-z0-9._~/-]{1,200}$/, "a path such as /health")
      .refine(path => !["/live", "/ready", "/metrics"].includes(path), {
        error: "this path has another meaning",
      })
      .default("/health")
      .describe("Path of the short report on the whole process."),
    tables: integer(0, 100_000)
      .default(500)
      .describe(
        "Tables that get metrics of their own, in the whole process, in the order in which they are met; the " +
          "rest are counted together as `_other`.",
      ),
    ready: readySchema,
  })
  .optional()
  .describe(
    "HTTP server with `/live`, `/ready`, `/metrics` and a short report: see [metrics.md](metrics.md). " +
      "Without this key nothing listens; `http: {}` takes every default.",
  );

export const shutdownGraceSchema = integer(0, 3_600_000)
  .default(10_000)
  .describe(
    "Milliseconds that a stop may take to deliver what was already read. What is not delivered by " +
      "then is read again at the next start.",
  );

export const configSchema = z.strictObject({
  source: sourceSchema,
  queue: queueSchema,
  pipelines: z
    .array(pipelineSchema, { error: "expected a list of pipelines" })
    .min(1, { error: "expected at least one pipeline" })
    .max(1000, { error: "expected at most 1000 pipelines" })
    .describe("What is sent where. Pipelines do not wait for each other."),
  http: httpSchema,
  log: logSchema,
  shutdown_grace_ms: shutdownGraceSchema,
});

/** A valid document with its defaults filled in, in the words of the file. */
export type Settings = z.output<typeof configSchema>;
export type SourceSettings = z.output<typeof sourceSchema>;
export type HttpSettings = NonNullable<z.output<typeof httpSchema>>;
export type QueueSettings = z.output<typeof queueSchema>;
export type PipelineSettings = z.output<typeof pipelineSchema>;
export type SinkSettings = PipelineSettings["sink"];
export type SqsSinkSettings = z.output<typeof sqsSinkSchema>;
export type KafkaSinkSettings = z.output<typeof kafkaSinkSchema>;
export type RabbitmqSinkSettings = Extract<SinkSettings, { type: "rabbitmq" }>;
