/** The destination of a pipeline and its commit log, made from the configuration. */
import type {
  Config,
  Delivery,
  KafkaSinkConfig,
  PipelineConfig,
  RabbitmqSinkConfig,
  SqsSinkConfig,
  SinkConfig,
  WebhookSinkConfig,
} from "../config/config.ts";
import type { SqsPlace } from "../check/sqs.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { Standstill } from "../core/standstill.ts";
import type { Vitals } from "../core/vitals.ts";
import { CommitLogTopic } from "../kafka/commit-log-topic.ts";
import { Fence, transactionalIdOf, type Identities } from "../kafka/fence.ts";
import { KafkaSink } from "../kafka/kafka-sink.ts";
import { topicName } from "../kafka/topic-name.ts";
import type { Router } from "../queue/encoder.ts";
import { FileSink } from "../sinks/file-sink.ts";
import { routingKey } from "../sinks/rabbitmq-message.ts";
import type { RabbitmqPlace } from "../sinks/rabbitmq-session.ts";
import { RabbitmqSink } from "../sinks/rabbitmq-sink.ts";
import type { Sink } from "../sinks/sink.ts";
import { queueName } from "../sinks/queue-name.ts";
import { regionOf } from "../sinks/sqs-client.ts";
import { SqsSink } from "../sinks/sqs-sink.ts";
import { StdoutSink } from "../sinks/stdout-sink.ts";
import { ROUTE_SEPARATOR, WebhookSink } from "../sinks/webhook-sink.ts";
import { CommitLogFile } from "../watcher/commit-log-file.ts";
import type { ReplaceableCommitLog } from "../watcher/commit-log.ts";
import { certificates, kafkaClient, tlsOptions } from "./clients.ts";
import { DeadLetterSink } from "./dead-letter-sink.ts";
import { letterName, letterStore } from "./letter-store.ts";

export interface Target {
  readonly sink: Sink;
  readonly commitLog: ReplaceableCommitLog;
  readonly router: Router;
  /** How many bytes of encoded messages the sink holds at most: its part of the memory budget. */
  readonly backlogBytes: number;
}

export interface TargetOptions {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What was taken of Kafka by earlier runs of this process. */
  readonly identities: Identities;
  /** Told of what the sink and the commit log wait for. */
  readonly vitals?: Vitals | undefined;
}

/** Some batches on their way and as many to come. What waits for longer outlives collections, for nothing. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;
/** A file takes one batch after the other: more than what is being made and written only costs memory. */
const FILE_BACKLOG_BYTES_MAX = 4 * 1024 * 1024;

export function makeTarget(options: TargetOptions): Target {
  const { config, pipeline } = options;
  const { sink } = pipeline;
  const most = sink.type === "file" ? FILE_BACKLOG_BYTES_MAX : BACKLOG_BYTES_MAX;
  const backlogBytes = Math.min(most, config.queue.memoryPerPipelineBytes / 4);
  const { name } = pipeline;
  const fence = sink.type === "kafka" ? makeFence(sink, { ...options, name }) : undefined;
  const standstill = new Standstill({
    ...{ clock: options.clock, logger: options.logger },
    ask: async signal => {
      await fence?.renew(signal);
      await commitLog.stillOurs(signal);
    },
  });
  const { delivery } = sink;
  const guarded = { ...options, fence, standstill };
  const commitLog = makeCommitLog(guarded);
  const made = makeSink(sink, { ...guarded, name, backlogBytes, delivery });
  return {
    sink: withDeadLetters(made, { ...options, backlogBytes }),
    commitLog,
    router: routerOf(sink),
    backlogBytes,
  };
}

/** Shared by a pipeline's sink and its commit log, where that is in Kafka too. */
interface Guard {
  readonly fence?: Fence | undefined;
  readonly standstill?: Standstill | undefined;
}

interface SinkOptions
  extends Guard, Pick<TargetOptions, "logger" | "clock" | "vitals" | "identities"> {
  /** Of the pipeline, as the destination sees it. */
  readonly name: string;
  readonly backlogBytes: number;
  readonly delivery: Delivery;
}

export function makeSink(sink: SinkConfig, options: SinkOptions): Sink {
  const { logger, clock, vitals, name, backlogBytes, delivery } = options;
  const troubles = vitals?.sinkTroubles;
  const common = { logger, clock, troubles, backlogBytesMax: backlogBytes };
  switch (sink.type) {
    case "kafka": {
      const { createTopics, compression } = sink;
      const { fence = makeFence(sink, options), standstill } = options;
      const client = kafkaClient(sink);
      const kafka = { client, pipeline: name, delivery, createTopics, compression };
      return new KafkaSink({ ...common, ...kafka, fence, standstill });
    }
    case "sqs": {
      const { group: grouping, maxMessageBytes } = sink;
      const client = { ...sqsPlace(sink).client, clock };
      return new SqsSink({ ...common, client, pipeline: name, grouping, maxMessageBytes });
    }
    case "rabbitmq":
      return new RabbitmqSink({ ...common, ...sink, ...rabbitmqPlace(name, sink) });
    case "webhook":
      return new WebhookSink({ ...common, ...sink, pipeline: name, tls: certificates(sink.tls) });
    case "file":
      return new FileSink({ ...common, ...sink, delivery });
    case "stdout":
      return new StdoutSink({ ...common, ...sink });
  }
}

export function sqsPlace(sink: SqsSinkConfig): SqsPlace {
  const { queue, endpoint, inFlight, maxMessageBytes } = sink;
  const region = sink.region ?? regionOf(queue) ?? regionOf(endpoint ?? "");
  return { client: { region, endpoint, inFlightMax: inFlight }, queue, maxMessageBytes };
}

function withDeadLetters(
  sink: Sink,
  options: TargetOptions & { readonly backlogBytes: number },
): Sink {
  const { pipeline, logger, clock, vitals, backlogBytes } = options;
  const { deadLetter } = pipeline;
  if (deadLetter === undefined) return sink;
  // What stands behind the checkpoint is compared here, by id and not by order.
  const delivery = "at-least-once";
  const name = letterName(pipeline.name);
  return new DeadLetterSink({
    ...{ sink, logger, clock },
    letters: makeSink(deadLetter, { ...options, name, delivery, backlogBytes }),
    store: letterStore(deadLetter, { name, logger, clock }),
    router: routerOf(deadLetter),
    pipeline: pipeline.name,
    onRefused: () => {
      if (vitals !== undefined) vitals.refused += 1;
    },
  });
}

export function rabbitmqPlace(
  pipeline: string,
  { tls, host, port, vhost, user, password, heartbeatS, exchange, declare }: RabbitmqSinkConfig,
): RabbitmqPlace {
  const server = { host, port, vhost, user, password, heartbeatS, tls: tlsOptions(tls) };
  return { server, pipeline, exchange, declare };
}

/** The routes that want the table, whatever happens to its rows; empty if none does. */
function webhookRouter({ routes }: WebhookSinkConfig): Router {
  const filters = routes.map(({ id, tables }) => ({ id, wants: compileTableFilter(tables) }));
  return (database, table) =>
    filters
      .filter(({ wants }) => wants(database, table))
      .map(({ id }) => id)
      .join(ROUTE_SEPARATOR);
}

/** Lines have no topics; an envelope names the table. */
export function routerOf(sink: SinkConfig): Router {
  if (sink.type === "sqs") {
    return (database, table) => queueName(sink.queue, { database, table });
  }
  if (sink.type === "rabbitmq") {
    return (database, table) => routingKey(sink.routingKey, { database, table });
  }
  if (sink.type === "webhook") return webhookRouter(sink);
  if (sink.type !== "kafka") return (database, table) => `${database}.${table}`;
  return (database, table) => topicName(sink.topic, { database, table });
}

export function makeFence(
  sink: KafkaSinkConfig,
  options: Pick<SinkOptions, "name" | "logger" | "clock" | "vitals" | "identities">,
): Fence {
  const { name, logger, clock, vitals, identities } = options;
  return new Fence({
    client: kafkaClient(sink),
    transactionalId: transactionalIdOf(name),
    ...{ identities, logger, clock, troubles: vitals?.sinkTroubles },
  });
}

export function makeCommitLog(options: TargetOptions & Guard): ReplaceableCommitLog {
  const { pipeline, logger, clock, vitals } = options;
  const troubles = vitals?.commitLogTroubles;
  const { commitLog, sink } = pipeline;
  if (commitLog.type === "file" || sink.type !== "kafka") {
    const dir = commitLog.type === "file" ? commitLog.dir : "";
    return new CommitLogFile({ dir, pipeline: pipeline.name, logger, clock, troubles });
  }
  return new CommitLogTopic({
    client: kafkaClient(sink),
    pipeline: pipeline.name,
    fence: options.fence ?? makeFence(sink, { ...options, name: pipeline.name }),
    standstill: options.standstill,
    topic: commitLog.topic,
    replicationFactor: sink.createTopics.replicationFactor,
    logger,
    clock,
    troubles,
  });
}
