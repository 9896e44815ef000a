/** Topics: which there are, making them, their settings, and where their partitions begin and end. */
import { sleep, type Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import type { KafkaClient } from "./client.ts";
import { apis, type BrokerConnection } from "./connection.ts";
import { listOffsets, type WhichOffsets } from "./list-offsets.ts";
import {
  KafkaResponseError,
  LEADER_NOT_AVAILABLE,
  TOPIC_ALREADY_EXISTS,
  UNKNOWN_TOPIC_OR_PARTITION,
  errorCodeOf,
  isUnreachable,
  toKafkaError,
} from "./kafka-errors.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import type { Troubles } from "../core/troubles.ts";

export interface CreateTopicOptions {
  readonly partitions: number;
  /** -1 leaves it to the broker. */
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface TopicsOptions {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly troubles?: Troubles | undefined;
}

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** How often a topic is looked for before it counts as missing: news of it spreads slowly. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 50;
const TOPIC_RESOURCE = 2;
const BROKER_RESOURCE = 4;

type Settings = ReadonlyMap<string, string>;

export class Topics {
  readonly #options: TopicsOptions;

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  /** Number of partitions of an existing topic, each of which has a leader; undefined if it is missing. */
  async partitions(topic: string, signal: AbortSignal): Promise<number | undefined> {
    for (let look = 1; look <= LOOKS; look += 1) {
      const count = await this.#retrying(`Looking for topic ${topic}`, signal, async () => {
        const found = (await this.#options.client.metadata([topic])).get(topic);
        const missing = found === undefined || found.error === UNKNOWN_TOPIC_OR_PARTITION;
        return missing ? undefined : countPartitions(topic, found);
      });
      if (count !== undefined) return count;
      if (look < LOOKS) await sleep(this.#options.clock, LOOK_AGAIN_MS, signal);
    }
    return undefined;
  }

  /** Makes the topic if it is missing, and waits until every partition has a leader. */
  async ensure(topic: string, create: CreateTopicOptions, signal: AbortSignal): Promise<number> {
    const existing = await this.partitions(topic, signal);
    if (existing !== undefined) return existing;
    await this.#retrying(`Making topic ${topic}`, signal, () => this.#create(topic, create));
    this.#options.logger.info({ topic, ...create }, "Made a topic");
    return this.#retrying(`Waiting for topic ${topic}`, signal, async () => {
      return countPartitions(topic, (await this.#options.client.metadata([topic])).get(topic));
    });
  }

  /** Whether Kafka would make the topic: its error code, 0 for yes. Makes nothing. */
  tryCreate(
    topic: string,
    create: CreateTopicOptions,
    signal: AbortSignal,
  ): Promise<{ readonly error: number; readonly detail: string }> {
    return this.#retrying(`Asking whether topic ${topic} can be made`, signal, async () => {
      const [answer] = await this.#sendCreate(topic, create, true);
      return { error: answer?.errorCode ?? 0, detail: answer?.errorMessage ?? "" };
    });
  }

  async #create(topic: string, create: CreateTopicOptions): Promise<void> {
    for (const { errorCode, errorMessage } of await this.#sendCreate(topic, create, false)) {
      if (errorCode === 0 || errorCode === TOPIC_ALREADY_EXISTS) continue;
      const error = new KafkaResponseError(errorCode, "CreateTopics", errorMessage);
      const code = errorCodeOf(error);
      if (code === "SINK_UNAVAILABLE" || code === "ACCESS_DENIED") throw error;
      throw new TidemarkError(
        "SINK_SETTING",
        `Topic ${topic} cannot be made: ${error.message}. Change create_topics, or make the topic yourself.`,
        { cause: error },
      );
    }
  }

  async #sendCreate(
    topic: string,
    create: CreateTopicOptions,
    validateOnly: boolean,
  ): Promise<readonly { errorCode: number; errorMessage: string | null }[]> {
    const connection = await this.#options.client.controller(topic);
    const configEntries = Object.entries(create.config).map(([name, value]) => ({ name, value }));
    const { partitions: numPartitions, replicationFactor } = create;
    const answer = (await connection.request(apis.createTopics, {
      topics: [{ topic, numPartitions, replicationFactor, configEntries }],
      validateOnly,
      timeout: 10_000,
    })) as { topicErrors: readonly { errorCode: number; errorMessage: string | null }[] };
    return answer.topicErrors;
  }

  /** The value of one of the topic's settings, its default included. */
  async config(topic: string, name: string, signal: AbortSignal): Promise<string | undefined> {
    return (await this.configs([topic], [name], signal)).get(topic)?.get(name);
  }

  /** Settings of topics, their defaults included. */
  configs(
    topics: readonly string[],
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Settings>> {
    return this.#retrying(`Asking for the settings of ${listed(topics)}`, signal, async () => {
      const connection = await this.#options.client.any();
      return describe(connection, { type: TOPIC_RESOURCE, resources: topics, names });
    });
  }

  /** Settings that new topics get, as one of the brokers has them. */
  brokerConfig(names: readonly string[], signal: AbortSignal): Promise<Settings> {
    return this.#retrying("Asking for the settings of a broker", signal, async () => {
      const { client } = this.#options;
      const [id = 0] = client.nodeIds;
      const resources = [String(id)];
      const found = await describe(await client.node(id), {
        type: BROKER_RESOURCE,
        resources,
        names,
      });
      return found.get(String(id)) ?? new Map();
    });
  }

  /** Log start and end of the first `count` partitions; the end is what a plain consumer can read to. */
  async ranges(topic: string, count: number, signal: AbortSignal): Promise<readonly Range[]> {
    const starts = await this.starts(topic, count, signal);
    const ends = await this.#offsets(topic, { count, at: "end" }, signal);
    return starts.map((start, partition) => ({ start, end: ends[partition] ?? start }));
  }

  /** Where the logs of the first `count` partitions begin. */
  starts(topic: string, count: number, signal: AbortSignal): Promise<readonly number[]> {
    return this.#offsets(topic, { count, at: "start" }, signal);
  }

  #offsets(
    topic: string,
    { count, at }: { readonly count: number; readonly at: WhichOffsets["at"] },
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    return this.#retrying(`Asking for the offsets of topic ${topic}`, signal, async () => {
      const { client } = this.#options;
      try {
        const partitions = Array.from({ length: count }, (_, partition) => partition);
        return await listOffsets(client, topic, { partitions, at });
      } catch (error) {
        client.forget(topic);
        throw error;
      }
    });
  }

  #retrying<T>(doing: string, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, logger, troubles } = this.#options;
    const classify = toKafkaError;
    const options = { clock, logger, signal, doing, classify, troubles, isUnreachable };
    return retrying(attempt, options);
  }
}

async function describe(
  connection: BrokerConnection,
  asked: { type: number; resources: readonly string[]; names: readonly string[] },
): Promise<ReadonlyMap<string, Settings>> {
  const { type, resources, names: configNames } = asked;
  const answer = (await connection.request(apis.describeConfigs, {
    resources: resources.map(name => ({ type, name, configNames })),
    includeSynonyms: false,
  })) as {
    resources: readonly {
      errorCode: number;
      errorMessage: string | null;
      resourceName: string;
      configEntries: readonly { configName: string; configValue: string }[];
    }[];
  };
  return new Map(
    answer.resources.map(({ errorCode, errorMessage, resourceName, configEntries }) => {
      if (errorCode !== 0) throw new KafkaResponseError(errorCode, "DescribeConfigs", errorMessage);
      const entries = configEntries.map(entry => [entry.configName, entry.configValue] as const);
      return [resourceName, new Map(entries)];
    }),
  );
}

function listed(topics: readonly string[]): string {
  return topics.length === 1 ? `topic ${topics[0] ?? ""}` : `${topics.length} topics`;
}

function countPartitions(
  topic: string,
  found: { error: number; leaders: readonly (number | undefined)[] } | undefined,
): number {
  const error = found?.error ?? UNKNOWN_TOPIC_OR_PARTITION;
  if (error === 17) {
    throw new TidemarkError("SINK_SETTING", `Kafka does not accept the topic name "${topic}".`);
  }
  if (error !== 0) throw new KafkaResponseError(error, `Metadata of ${topic}`);
  const { leaders } = found as { leaders: readonly (number | undefined)[] };
  // Kafka assigns keys by this number, so it must be whole: no partition may be missing.
  if (leaders.length === 0 || leaders.includes(undefined)) {
    throw new KafkaResponseError(LEADER_NOT_AVAILABLE, `Metadata of ${topic}`);
  }
  return leaders.length;
}
