/**
 * Everything that one pipeline needs of its source and its destination, looked at without changing it:
 *
 *   source ──settings, privileges, ids──▶ tables ──keys, columns, topic names──┐
 *   Kafka ───reachable?────────────────────────────────────────────────────────┴──▶ topics, ACLs
 *
 * `tidemark check` prints what is found; `tidemark run` does the same at its start, stops on the errors
 * and logs the warnings. Faults are collected, so that one look shows them all.
 */
import type { MysqlServer } from "../binlog/server.ts";
import type { SourceNeeds } from "../binlog/server-settings.ts";
import type { Config, PipelineConfig } from "../config/config.ts";
import { compileTableFilter } from "../config/table-pattern.ts";
import { systemClock } from "../core/clock.ts";
import { TidemarkError, toTidemarkError, type ErrorCode } from "../core/errors.ts";
import { fault, isError, warning, type Finding } from "../core/finding.ts";
import type { Logger } from "../core/logger.ts";
import { retrying, unlessAborted } from "../core/retry.ts";
import type { KafkaClientOptions } from "../kafka/client.ts";
import { replicaUuidOf } from "../kafka/commit-log-topic.ts";
import type { RabbitmqPlace } from "../sinks/rabbitmq-session.ts";
import { commitLogFolderFinding, fileFinding } from "./files.ts";
import { KafkaCheck } from "./kafka.ts";
import { rabbitmqFindings } from "./rabbitmq.ts";
import { replicaFindings } from "./replica.ts";
import { copiedTables, snapshotFindings } from "./snapshot.ts";
import { sqsFindings, type SqsPlace } from "./sqs.ts";
import {
  captureTables,
  hiddenKeyFindings,
  keyFindings,
  schemaTopicFindings,
  truncateFindings,
  yearFindings,
  type CapturedTable,
  type KeyFault,
} from "./tables.ts";
import { webhookFindings } from "./webhook.ts";

export interface CheckOptions {
  readonly config: Config;
  readonly pipeline: PipelineConfig;
  /** Its place in the configuration, which numbers its replica id. */
  readonly index: number;
  readonly server: MysqlServer;
  /** More servers to look at, of which each may come to be read. */
  readonly others?: readonly { readonly name: string; readonly server: MysqlServer }[];
  /** Where existing rows are read, to be looked at as well; a run looks at it when it reads there. */
  readonly replica?: { readonly name: string; readonly server: MysqlServer } | undefined;
  readonly router: (database: string, table: string) => string;
  /** Why a column cannot be part of a key; undefined where columns are shown as they are. */
  readonly keyFault: KeyFault | undefined;
  /** Undefined without Kafka. */
  readonly kafka: KafkaClientOptions | undefined;
  /** Undefined without RabbitMQ. */
  readonly rabbitmq: RabbitmqPlace | undefined;
  /** Undefined without SQS. */
  readonly sqs: SqsPlace | undefined;
  readonly logger: Logger;
  /** What is down is waited for until this aborts. */
  readonly signal: AbortSignal;
  /** Whether what is down when the signal aborts is a finding; otherwise the signal's reason is thrown. */
  readonly untilAborted?: boolean;
  /** Told what is being waited for. */
  readonly waitingFor?: (what: string, code: "SOURCE_UNAVAILABLE" | "SINK_UNAVAILABLE") => void;
}

export interface Checked {
  readonly findings: readonly Finding[];
  /** Where the tables that exist now lead to. */
  readonly destinations: readonly string[];
  /** The name under which the dump will register, where that is known before the first run. */
  readonly replicaUuid: string | undefined;
}

export async function checkPipeline(options: CheckOptions): Promise<Checked> {
  const { pipeline, signal, waitingFor } = options;
  const { sink, commitLog } = pipeline;
  const kafka = makeKafkaCheck(options);
  const findings: Finding[] = [];
  try {
    waitingFor?.("MySQL", "SOURCE_UNAVAILABLE");
    const source = checkSource(options).then(result => {
      waitingFor?.("The destination", "SINK_UNAVAILABLE");
      return result;
    });
    const [{ tables, ...found }, connection] = await Promise.all([
      source,
      kafka && attempt(options, KAFKA, async () => [await kafka.connect()]),
    ]);
    findings.push(...found.findings, ...(connection ?? []));
    const { schemaTopic } = pipeline;
    const ofTables = tables.flatMap(({ destination }) => destination ?? []);
    const destinations = [
      ...new Set([...ofTables, ...(schemaTopic === undefined ? [] : [schemaTopic])]),
    ];
    let compacted: ReadonlySet<string> = new Set();
    // MySQL took all of the time: asking Kafka only now would blame it.
    const isLate = signal.aborted && found.findings.some(isError);
    if (kafka && connection?.every(({ ok }) => ok) === true && !isLate) {
      const seen = await attempt(options, { ...KAFKA, check: "kafka.topics" }, async () => {
        const topics = await kafka.topics(destinations);
        ({ compacted } = topics);
        return topics.findings;
      });
      findings.push(...seen);
    }
    findings.push(...keyFindings(tables, compacted));
    if (pipeline.events.includes("truncate")) {
      findings.push(
        ...truncateFindings(
          destinations.filter(topic => compacted.has(topic)),
          options.config.source.onLostPosition,
        ),
      );
    }
    const { rabbitmq, sqs } = options;
    if (sqs !== undefined) {
      const ask = (): Promise<readonly Finding[]> => sqsFindings(sqs, destinations, signal);
      findings.push(...(await attempt(options, SQS, ask)));
    }
    if (rabbitmq !== undefined) {
      const ask = (): Promise<readonly Finding[]> =>
        rabbitmqFindings(rabbitmq, destinations, signal);
      findings.push(...(await attempt(options, RABBITMQ, ask)));
    }
    if (sink.type === "webhook" && options.untilAborted === true) {
      findings.push(...(await webhookFindings(sink, signal)));
    }
    if (sink.type === "file") findings.push(await fileFinding(sink.path));
    if (commitLog.type === "file") findings.push(await commitLogFolderFinding(commitLog.dir));
    const isTopic = commitLog.type === "kafka" && kafka?.clusterId !== undefined;
    const replicaUuid = isTopic
      ? replicaUuidOf(kafka.clusterId, commitLog.topic, pipeline.name)
      : undefined;
    return { findings, destinations, replicaUuid };
  } finally {
    kafka?.close();
  }
}

function makeKafkaCheck({ pipeline, kafka, logger, signal }: CheckOptions): KafkaCheck | undefined {
  const { sink, commitLog } = pipeline;
  if (sink.type !== "kafka" || kafka === undefined) return undefined;
  const commitLogTopic = commitLog.type === "kafka" ? commitLog.topic : undefined;
  const { name } = pipeline;
  return new KafkaCheck({ client: kafka, pipeline: name, sink, commitLogTopic, logger, signal });
}

interface Source {
  readonly findings: readonly Finding[];
  readonly tables: readonly CapturedTable[];
}

async function checkSource(options: CheckOptions): Promise<Source> {
  const { config, pipeline, index, server, router, keyFault } = options;
  let tables: readonly CapturedTable[] = [];
  const needs = {
    serverIds: [config.source.serverId + index],
    needsGtids: reasonForGtids(config),
    isReplica: config.source.hosts.length > 1,
  };
  const place = mysqlPlace(config);
  const [settings, ...others] = await Promise.all([
    attempt(options, place, () => server.settingFindings(needs)),
    ...(options.others ?? []).map(other => checkOther(options, other, needs)),
  ]);
  // A server that cannot be asked for its settings cannot be asked for its tables either.
  if (settings.every(({ check, ok }) => check === place.check && !ok)) {
    return { findings: [...settings, ...others.flat()], tables };
  }
  const found = await attempt(options, { ...place, check: "tables.names" }, async () => {
    const grantee = await server.grantee();
    const captured = captureTables(await server.tables(), {
      wants: compileTableFilter(pipeline.tables),
      router,
      pipeline: pipeline.name,
      patterns: pipeline.tables,
      toTopics: pipeline.sink.type === "kafka",
      grantee,
    });
    ({ tables } = captured);
    const { version } = await server.inspect();
    const hidden =
      keyFault === undefined
        ? []
        : hiddenKeyFindings(tables, await server.primaryKeyColumns(), keyFault);
    const { snapshot, onLostPosition } = config.source;
    const patterns = pipeline.tables;
    return [
      ...captured.findings,
      ...schemaTopicFindings(tables, pipeline),
      ...(await yearFindings(tables, version, () => server.yearColumns())),
      ...hidden,
      ...(await snapshotFindings({ snapshot, onLostPosition, tables, patterns, grantee, server })),
    ];
  });
  const ofReplica = await checkReplica(options, tables);
  return { findings: [...settings, ...others.flat(), ...found, ...ofReplica], tables };
}

async function checkReplica(
  options: CheckOptions,
  captured: readonly CapturedTable[],
): Promise<readonly Finding[]> {
  const { config, server: source, replica } = options;
  if (replica === undefined || config.source.snapshot.mode === "never") return [];
  const { name, server } = replica;
  const place = {
    ...mysqlPlace(config),
    ...{ check: "snapshot.host", name: `MySQL at ${name}` },
    reach: "source.snapshot.host, source.snapshot.port: where a replica is up",
  };
  const tables = copiedTables({ snapshot: config.source.snapshot, tables: captured });
  return once(options, place, () => replicaFindings({ name, replica: server, source, tables }));
}

/** What a question gives, or its failure as a finding. To wait for what is down would leave no time for the rest. */
async function once(
  options: CheckOptions,
  place: PlaceAsked,
  question: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await unlessAborted(question, options.signal);
  } catch (thrown) {
    const error = options.signal.aborted
      ? new TidemarkError(place.unavailable, `${place.name} could not be reached in time.`)
      : toTidemarkError(thrown);
    return [failure(error, place)];
  }
}

function reasonForGtids({ source }: Config): string | undefined {
  if (source.start.kind === "gtid-set")
    return "source.start names a GTID set, which cannot be found";
  if (source.hosts.length === 1) return undefined;
  return "source.hosts names several servers, and the place to go on cannot be found on another";
}

/** A host that is not read now: that it is down is no error, and what is in order is not told. */
async function checkOther(
  options: CheckOptions,
  { name, server }: NonNullable<CheckOptions["others"]>[number],
  needs: SourceNeeds,
): Promise<readonly Finding[]> {
  const place = { ...mysqlPlace(options.config), name: `MySQL at ${name}` };
  const findings = await once(options, place, () => server.settingFindings(needs));
  return findings.map(finding => {
    if (finding.check !== place.check) return { ...finding, found: `${name}: ${finding.found}` };
    if (finding.ok || finding.code !== place.unavailable) return finding;
    return warning(finding.check, `${name} cannot take over: ${finding.found}`, finding.fix);
  });
}

interface PlaceAsked {
  readonly check: string;
  readonly name: string;
  /** What mends it if it cannot be reached, or refuses us. */
  readonly reach: string;
  readonly login: string;
  /** What mends it if it cannot encrypt. */
  readonly encrypt?: string;
  readonly unavailable: ErrorCode;
}

const KAFKA: PlaceAsked = {
  check: "kafka.connection",
  name: "Kafka",
  reach: "sink.brokers: the host:port of brokers that are up",
  login: "sink.sasl: a user that Kafka knows, and its password",
  unavailable: "SINK_UNAVAILABLE",
};

const SQS: PlaceAsked = {
  check: "sqs.connection",
  name: "SQS",
  reach: "sink.queue, sink.region, sink.endpoint: a queue and where it is",
  login:
    "AWS credentials in the environment, a profile or a role, which permit sqs:SendMessage, sqs:GetQueueUrl " +
    "and sqs:GetQueueAttributes on the queue",
  unavailable: "SINK_UNAVAILABLE",
};

const RABBITMQ: PlaceAsked = {
  check: "rabbitmq.connection",
  name: "RabbitMQ",
  reach: "sink.host, sink.port, sink.vhost, sink.exchange: where a broker is up and what it has",
  login: "sink.user, sink.password: a user that RabbitMQ knows, with permissions in the vhost",
  unavailable: "SINK_UNAVAILABLE",
};

function mysqlPlace({ source }: Config): PlaceAsked {
  const user = `'${source.user.replaceAll("'", "''")}'`;
  return {
    check: "mysql.connection",
    name: `MySQL at ${source.host}:${source.port}`,
    reach:
      source.hosts.length > 1
        ? "source.hosts: where MySQL servers are up"
        : "source.host, source.port: where a MySQL server is up",
    login: `ALTER USER ${user} IDENTIFIED BY '<source.password>'  # or set source.user, source.password, source.tls`,
    encrypt:
      "--set source.tls.mode=disabled  # if the network can be trusted; otherwise give MySQL a certificate",
    unavailable: "SOURCE_UNAVAILABLE",
  };
}

/** What a question gives, or its failure as a finding. Waits for what is down. */
async function attempt(
  options: CheckOptions,
  place: PlaceAsked,
  question: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const { logger, signal, untilAborted = false } = options;
  let last: unknown;
  const note = async (): Promise<readonly Finding[]> => {
    try {
      return await question();
    } catch (thrown) {
      if (!signal.aborted) last = thrown;
      throw thrown;
    }
  };
  try {
    const doing = `Asking ${place.name}`;
    return await retrying(note, { clock: systemClock, logger, signal, doing });
  } catch (thrown) {
    if (!signal.aborted) return [failure(toTidemarkError(thrown), place)];
    if (!untilAborted) throw thrown;
    const reason = last instanceof Error ? `: ${last.message}` : "";
    const found = `${place.name} could not be reached in time${reason}`;
    return [fault(place.unavailable, place.check, sentence(found), place.reach)];
  }
}

function failure(error: TidemarkError, place: PlaceAsked): Finding {
  if (error.code === "BUG") throw error;
  return fault(error.code, place.check, sentence(error.message), remedy(error, place));
}

function remedy({ code }: TidemarkError, { login, encrypt, reach }: PlaceAsked): string {
  if (code === "ACCESS_DENIED") return login;
  return code === "SOURCE_SETTING" ? (encrypt ?? reach) : reach;
}

function sentence(text: string): string {
  return `${text.replace(/[.\s]+$/, "")}.`;
}

/** Not an error: a new instance ends the older one, which is how a pipeline moves. */
export function runningFinding(pipeline: string): Finding {
  return warning(
    "mysql.replica_uuid",
    `Another instance of pipeline ${pipeline} reads from this server now; a new one would end it.`,
    "",
  );
}
