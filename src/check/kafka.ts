/**
 * What a Kafka cluster has to be like: reachable, with topics that are there or can be made, that keep
 * what they acknowledged, and that our user may write and read.
 */
import type { CreateTopicsConfig, KafkaSinkConfig } from "../config/config.ts";
import { systemClock } from "../core/clock.ts";
import { fault, good, warning, type Finding } from "../core/finding.ts";
import type { Logger } from "../core/logger.ts";
import { retrying } from "../core/retry.ts";
import { mayFence, mayRead, mayWrite, type Operation } from "../kafka/access.ts";
import { KafkaClient, type KafkaClientOptions, type TopicMetadata } from "../kafka/client.ts";
import { COMMIT_LOG_CONFIG, commitLogFault } from "../kafka/commit-log-topic.ts";
import { transactionalIdOf } from "../kafka/fence.ts";
import { Gate } from "../kafka/gate.ts";
import { isDenied, toKafkaError, UNKNOWN_TOPIC_OR_PARTITION } from "../kafka/kafka-errors.ts";
import { Topics } from "../kafka/topics.ts";

export interface KafkaCheckOptions {
  readonly client: KafkaClientOptions;
  readonly pipeline: string;
  readonly sink: KafkaSinkConfig;
  /** Undefined if it is kept in a file. */
  readonly commitLogTopic: string | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What is known of the topics that were looked at. */
export interface TopicsSeen {
  readonly compacted: ReadonlySet<string>;
  readonly findings: readonly Finding[];
}

const POLICY = "cleanup.policy";
const IN_SYNC_MIN = "min.insync.replicas";
const AT_A_TIME = 8;
const INVALID_REPLICATION_FACTOR = 38;

interface Topic {
  readonly name: string;
  readonly found: TopicMetadata | undefined;
  readonly create: CreateTopicsConfig;
  readonly operations: readonly Operation[];
}

export class KafkaCheck {
  readonly #options: KafkaCheckOptions;
  readonly #client: KafkaClient;
  readonly #topics: Topics;

  constructor(options: KafkaCheckOptions) {
    const { client, logger } = options;
    this.#options = options;
    this.#client = new KafkaClient({ ...client, logger });
    this.#topics = new Topics({ client: this.#client, clock: systemClock, logger });
  }

  close(): void {
    this.#client.close();
  }

  get clusterId(): string | undefined {
    return this.#client.clusterId;
  }

  /** @throws TidemarkError if no broker answers, or it refuses us. */
  async connect(): Promise<Finding> {
    try {
      await this.#client.metadata([]);
    } catch (thrown) {
      throw toKafkaError(thrown, `Asking Kafka at ${this.#options.client.brokers.join(", ")}`);
    }
    const count = this.#client.nodeIds.length;
    return good("kafka.connection", `Kafka answers; ${brokers(count)} up.`);
  }

  /** @param names those that the captured tables lead to. */
  async topics(names: readonly string[]): Promise<TopicsSeen> {
    const topics = await this.#look(names);
    const findings: Finding[] = [];
    for (const topic of topics.filter(({ found }) => isDenied(found?.error ?? 0))) {
      findings.push(this.#denied(topic.name, "Describe"));
    }
    const there = topics.filter(({ found }) => found?.error === 0);
    const missing = topics.filter(({ found }) => isMissing(found));
    const settings = await this.#settings(there, findings);
    const gate = new Gate(AT_A_TIME);
    const checked = await Promise.all([
      this.#fence(),
      ...missing.map(topic => gate.pass(() => this.#creation(topic))),
      ...there.map(topic => gate.pass(() => this.#access(topic))),
    ]);
    findings.push(...checked.flat());
    findings.push(...this.#commitLog(there, settings));
    findings.push(...(await this.#durability(topics, settings)));
    const compacted = topics.filter(({ name, create }) => {
      const policy = settings.get(name)?.get(POLICY) ?? create.config[POLICY] ?? "";
      return policy.split(",").includes("compact");
    });
    return { compacted: new Set(compacted.map(({ name }) => name)), findings };
  }

  async #look(names: readonly string[]): Promise<readonly Topic[]> {
    const { sink, commitLogTopic } = this.#options;
    const all = [...new Set([...names, ...(commitLogTopic === undefined ? [] : [commitLogTopic])])];
    if (all.length === 0) return [];
    const found = await this.#asking("the topics", () => this.#client.metadata(all));
    return all.map((name): Topic => {
      const isCommitLog = name === commitLogTopic;
      const reads = isCommitLog || sink.delivery === "effectively-once";
      return {
        name,
        found: found.get(name),
        create: isCommitLog
          ? { ...sink.createTopics, partitions: 1, config: COMMIT_LOG_CONFIG }
          : sink.createTopics,
        operations: reads ? ["Write", "Read"] : ["Write"],
      };
    });
  }

  /** Settings that may not be looked at are a finding, and then unknown. A run needs the commit log's. */
  async #settings(
    topics: readonly Topic[],
    findings: Finding[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    const names = topics.map(({ name }) => name);
    if (names.length === 0) return new Map();
    const all = await this.#settingsUnlessDenied(names);
    if (all !== undefined) return all;
    const known = new Map<string, ReadonlyMap<string, string>>();
    for (const name of names) {
      const found = (await this.#settingsUnlessDenied([name]))?.get(name);
      if (found !== undefined) {
        known.set(name, found);
        continue;
      }
      const sentence = `Our user may not look at the settings of topic ${name}.`;
      const fix = this.#grant("DescribeConfigs", name);
      const isCommitLog = name === this.#options.commitLogTopic;
      findings.push(
        isCommitLog
          ? fault("ACCESS_DENIED", "kafka.acls", sentence, fix)
          : warning("kafka.acls", sentence, fix),
      );
    }
    return known;
  }

  async #settingsUnlessDenied(
    names: readonly string[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, string>> | undefined> {
    try {
      return await this.#topics.configs(names, [POLICY, IN_SYNC_MIN], this.#options.signal);
    } catch (thrown) {
      const error = toKafkaError(thrown, "Asking for the settings of topics");
      if (error.code === "ACCESS_DENIED") return undefined;
      throw error;
    }
  }

  /** Dead letters and redelivery write under ids that begin alike. */
  async #fence(): Promise<readonly Finding[]> {
    const { pipeline, signal } = this.#options;
    const options = { pipeline, clock: systemClock, signal };
    const denied = await this.#asking("our transactional id", () =>
      mayFence(this.#client, options),
    );
    if (denied === undefined) return [];
    const id = transactionalIdOf(pipeline);
    const found = `Our user may not use the transactional id ${id}, which keeps older instances out.`;
    const resource = `--transactional-id ${id} --resource-pattern-type prefixed`;
    const operations = "Describe --operation Write";
    return [fault("ACCESS_DENIED", "kafka.acls", found, this.#grantOn(resource, operations))];
  }

  async #creation({ name, create }: Topic): Promise<readonly Finding[]> {
    const { signal } = this.#options;
    const check = "kafka.topics";
    const { error, detail } = await this.#topics.tryCreate(name, create, signal);
    if (error === 0) return [good(check, `Topic ${name} will be made when it is needed.`)];
    if (isDenied(error)) return [this.#denied(name, "Create")];
    const found = `Topic ${name} is not there, and Kafka does not make it: ${oneSentence(detail)}.`;
    const fix =
      "sink.create_topics: other partitions, replication_factor or config; or make the topic yourself";
    // Passes when the other brokers are back, and is waited for.
    if (error === INVALID_REPLICATION_FACTOR) return [warning(check, found, fix)];
    return [fault("SINK_SETTING", check, found, fix)];
  }

  async #access({ name, operations }: Topic): Promise<readonly Finding[]> {
    const { signal } = this.#options;
    const denied: Operation[] = [];
    const writes = await this.#asking(`topic ${name}`, () => mayWrite(this.#client, name));
    if (!writes) denied.push("Write");
    if (operations.includes("Read")) {
      const [range] = await this.#topics.ranges(name, 1, signal);
      const end = range?.end ?? 0;
      const reads = await this.#asking(`topic ${name}`, () => mayRead(this.#client, name, end));
      if (!reads) denied.push("Read");
    }
    if (denied.length > 0) return denied.map(operation => this.#denied(name, operation));
    const done = operations.length > 1 ? "written and read" : "written";
    return [good("kafka.topics", `Topic ${name} can be ${done}.`)];
  }

  #commitLog(
    topics: readonly Topic[],
    settings: ReadonlyMap<string, ReadonlyMap<string, string>>,
  ): readonly Finding[] {
    const { commitLogTopic, pipeline } = this.#options;
    const check = "kafka.commit_log";
    const topic = topics.find(({ name }) => name === commitLogTopic);
    const policy = settings.get(topic?.name ?? "")?.get(POLICY);
    if (topic === undefined || policy === undefined) return [];
    const partitions = topic.found?.leaders.length ?? 0;
    const found = commitLogFault({ topic: topic.name, partitions, policy });
    if (found === undefined) {
      return [
        good(check, `The commit-log topic ${topic.name} has one partition and is compacted.`),
      ];
    }
    const fix =
      partitions === 1
        ? this.#configure(topic.name, `${POLICY}=compact`)
        : `--set pipelines.${pipeline}.commit_log.topic=${topic.name}-2  # Tidemark makes the topic`;
    return [fault("SINK_SETTING", check, found, fix)];
  }

  /** Whether what was acknowledged outlives a broker. */
  async #durability(
    topics: readonly Topic[],
    settings: ReadonlyMap<string, ReadonlyMap<string, string>>,
  ): Promise<readonly Finding[]> {
    const check = "kafka.replication";
    if (this.#client.nodeIds.length === 1) {
      const found = "The cluster has one broker: what it acknowledged is lost with its disk";
      const where = topics.filter(({ name }) => settings.get(name)?.get(IN_SYNC_MIN) === "1");
      const note = where.length > 0 ? ` (${IN_SYNC_MIN} is 1)` : "";
      const fix = "run three brokers, with default.replication.factor=3 and min.insync.replicas=2";
      return [warning(check, `${found}${note}.`, fix)];
    }
    const defaults = await this.#defaults(topics);
    const findings = topics.flatMap(({ name, found, create }) => {
      const configured =
        create.replicationFactor > 0 ? String(create.replicationFactor) : undefined;
      const made = Number(configured ?? defaults.get("default.replication.factor") ?? 0);
      const replicas = found?.error === 0 ? found.replicas : made;
      const least =
        settings.get(name)?.get(IN_SYNC_MIN) ??
        create.config[IN_SYNC_MIN] ??
        defaults.get(IN_SYNC_MIN);
      const inSyncMin = Number(least ?? 0);
      return replicas === 0 || inSyncMin === 0
        ? []
        : durability({
            name,
            replicas,
            inSyncMin,
            configure: this.#configure(name, `${IN_SYNC_MIN}=2`),
          });
    });
    if (findings.length > 0) return findings;
    return topics.length === 0 ? [] : [good(check, "Every topic is kept by several brokers.")];
  }

  /** What new topics get. Not everybody may see it. */
  async #defaults(topics: readonly Topic[]): Promise<ReadonlyMap<string, string>> {
    if (!topics.some(({ found }) => isMissing(found))) return new Map();
    try {
      const names = [IN_SYNC_MIN, "default.replication.factor"];
      return await this.#topics.brokerConfig(names, this.#options.signal);
    } catch (thrown) {
      const error = toKafkaError(thrown, "Asking for the settings of a broker");
      if (error.code === "ACCESS_DENIED") return new Map();
      throw error;
    }
  }

  #denied(topic: string, operation: Operation): Finding {
    const words = { Describe: "look at", Write: "write", Read: "read", Create: "make" } as const;
    return fault(
      "ACCESS_DENIED",
      "kafka.acls",
      `Our user may not ${words[operation]} topic ${topic}.`,
      this.#grant(operation, topic),
    );
  }

  get #server(): string {
    return `--bootstrap-server ${this.#options.client.brokers[0] ?? ""}`;
  }

  #grant(operation: string, topic: string): string {
    return this.#grantOn(`--topic ${topic}`, operation);
  }

  #grantOn(resource: string, operation: string): string {
    const user = this.#options.sink.sasl?.username ?? "ANONYMOUS";
    return `kafka-acls.sh ${this.#server} --add --allow-principal User:${user} --operation ${operation} ${resource}`;
  }

  #configure(topic: string, setting: string): string {
    return `kafka-configs.sh ${this.#server} --alter --entity-type topics --entity-name ${topic} --add-config ${setting}`;
  }

  #asking<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const { logger, signal } = this.#options;
    const options = { clock: systemClock, logger, signal, doing: `Asking Kafka for ${what}` };
    return retrying(attempt, { ...options, classify: toKafkaError });
  }
}

export function durability(topic: {
  readonly name: string;
  readonly replicas: number;
  readonly inSyncMin: number;
  readonly configure: string;
}): readonly Finding[] {
  const { name, replicas, inSyncMin, configure } = topic;
  const check = "kafka.replication";
  if (inSyncMin > replicas) {
    // Kafka 4.1 takes the number of replicas for the minimum.
    const found = `Topic ${name} has ${IN_SYNC_MIN}=${inSyncMin}, but ${replicasOf(replicas)}: older brokers take nothing then.`;
    const fix = configure.replace(/=2$/, `=${Math.max(1, replicas - 1)}`);
    return [warning(check, found, fix)];
  }
  if (replicas === 1) {
    const found = `Topic ${name} has one replica: what was acknowledged is lost with its broker.`;
    return [
      warning(
        check,
        found,
        `kafka-reassign-partitions.sh, or make ${name} anew with replication factor 3`,
      ),
    ];
  }
  if (inSyncMin > 1) return [];
  return [
    warning(
      check,
      `Topic ${name} has ${IN_SYNC_MIN}=1: a message may be acknowledged by one broker alone, and is lost with it.`,
      configure,
    ),
  ];
}

function isMissing(found: TopicMetadata | undefined): boolean {
  return found === undefined || found.error === UNKNOWN_TOPIC_OR_PARTITION;
}

function replicasOf(count: number): string {
  return count === 1 ? "1 replica" : `${count} replicas`;
}

function brokers(count: number): string {
  return count === 1 ? "1 broker is" : `${count} brokers are`;
}

function oneSentence(text: string): string {
  return text === "" ? "it gives no reason" : text.replace(/[.\s]+$/, "");
}
