/**
 * A Kafka cluster of one broker or three, each of them controller as well (KRaft).
 *
 *   <dir>/<node>/server.properties, log4j2.properties, data, log
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Kafka as KafkaClient, logLevel } from "kafkajs";
import { runCommand } from "./commands.ts";
import type { Kafka, KafkaNode, KafkaOptions } from "./interfaces.ts";
import { kafkaProgram } from "./kafka-program.ts";
import { formatArgs, secureAddress, withSecurity } from "./kafka-security.ts";
import { keptFolder } from "./keeper.ts";
import { freePort, host } from "./ports.ts";
import { ServerProcess, withFreshPorts } from "./server-process.ts";

const probeTimeoutMs = 5_000;

/** Warnings and errors only, into the node's log file. */
const loggingProperties = `rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
`;

interface Place {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly securePort: number;
  readonly dir: string;
}

export async function launchKafka(options: KafkaOptions): Promise<Kafka> {
  const classPath = await kafkaProgram();
  return withFreshPorts(async () => {
    const dir = keptFolder("kafka");
    // Kafka's tool takes an id that begins with a dash for an option.
    const clusterId = `T${randomBytes(16).toString("base64url").slice(1)}`;
    const places: Place[] = [];
    for (let id = 1; id <= (options.brokers ?? 1); id += 1) {
      const [port, controllerPort, securePort] = [
        await freePort(),
        await freePort(),
        await freePort(),
      ];
      places.push({ id, port, controllerPort, securePort, dir: join(dir, String(id)) });
    }
    const nodes = await Promise.all(
      places.map(async place => {
        await prepareNode(place, { places, classPath, clusterId, options });
        return new Node(place, { classPath, clusterId, clusterSize: places.length });
      }),
    );
    const started = await Promise.allSettled(nodes.map(node => node.startOnce()));
    const failures = started.flatMap(result => (result.status === "rejected" ? [result] : []));
    if (failures.length > 0) {
      await Promise.all(nodes.map(node => node.discard()));
      throw failures[0]?.reason;
    }
    const secure = options.security === undefined ? [] : places;
    return new Cluster(
      nodes,
      dir,
      secure.map(({ securePort }) => secureAddress(securePort)),
    );
  });
}

class Cluster implements Kafka {
  readonly brokers: readonly string[];
  readonly secureBrokers: readonly string[];
  readonly nodes: readonly Node[];
  readonly dir: string;

  constructor(nodes: readonly Node[], dir: string, secureBrokers: readonly string[]) {
    this.nodes = nodes;
    this.secureBrokers = secureBrokers;
    this.brokers = nodes.map(node => `${host}:${node.port}`);
    this.dir = dir;
  }

  get pid(): number {
    const [first] = this.nodes;
    if (!first) throw new Error("a cluster without nodes");
    return first.pid;
  }

  /** In an orderly way only a node alone: of several, the last would wait for a majority that has gone. */
  async stop(): Promise<void> {
    const alone = this.nodes.length === 1;
    await Promise.all(this.nodes.map(node => (alone ? node.stop() : node.discard())));
  }
}

interface ClusterFacts {
  readonly classPath: string;
  readonly clusterId: string;
  readonly clusterSize: number;
}

class Node implements KafkaNode {
  readonly id: number;
  readonly port: number;
  readonly #process: ServerProcess;
  readonly #facts: ClusterFacts;

  constructor(place: Place, facts: ClusterFacts) {
    this.id = place.id;
    this.port = place.port;
    this.#facts = facts;
    this.#process = new ServerProcess({
      name: `kafka node ${place.id}`,
      command: "java",
      args: [
        facts.clusterSize === 1 ? "-Xmx1g" : "-Xmx512m",
        `-Dlog4j2.configurationFile=${join(place.dir, "log4j2.properties")}`,
        ...["-cp", facts.classPath, "kafka.Kafka", join(place.dir, "server.properties")],
      ],
      folder: place.dir,
      logFile: join(place.dir, "log"),
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  startOnce(): Promise<void> {
    return this.#process.startOnce(() => this.#isMember(this.#facts.clusterSize));
  }

  start(): Promise<void> {
    return this.#process.start(() => this.#isMember(1));
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  discard(): Promise<void> {
    return this.#process.discard();
  }

  /** Asks this very node. The cluster's id tells it from a stranger that took the port. */
  async #isMember(membersMin: number): Promise<boolean> {
    const client = new KafkaClient({
      brokers: [`${host}:${this.port}`],
      clientId: "tidemark-services",
      logLevel: logLevel.NOTHING,
      connectionTimeout: probeTimeoutMs,
      requestTimeout: probeTimeoutMs,
      retry: { retries: 0 },
    });
    const admin = client.admin();
    try {
      await admin.connect();
      const { brokers, clusterId, controller } = await admin.describeCluster();
      const member = brokers.some(broker => broker.nodeId === this.id);
      const ours = clusterId === this.#facts.clusterId;
      return ours && member && controller !== null && brokers.length >= membersMin;
    } finally {
      await admin.disconnect();
    }
  }
}

interface NodeSettings {
  readonly places: readonly Place[];
  readonly classPath: string;
  readonly clusterId: string;
  readonly options: KafkaOptions;
}

/** Writes the node's files and formats its data folder. */
async function prepareNode(place: Place, settings: NodeSettings): Promise<void> {
  mkdirSync(place.dir);
  writeFileSync(join(place.dir, "log4j2.properties"), loggingProperties);
  const file = join(place.dir, "server.properties");
  const { security, properties: extra } = settings.options;
  const own = serverProperties(place, settings.places);
  const { dir, securePort: port } = place;
  const secured = security === undefined ? own : withSecurity(own, { dir, port, security });
  const properties = { ...secured, ...extra };
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, lines.join(""));
  await runCommand("java", [
    ...["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", settings.classPath],
    ...["kafka.tools.StorageTool", "format", "-t", settings.clusterId, "-c", file],
    ...(security === undefined ? [] : formatArgs(security)),
  ]);
}

function serverProperties(place: Place, places: readonly Place[]): Record<string, string> {
  const voters = places.map(({ id, controllerPort }) => `${id}@${host}:${controllerPort}`);
  const replicas = String(places.length);
  const inSyncMin = places.length === 1 ? "1" : "2";
  return {
    "process.roles": "broker,controller",
    "node.id": String(place.id),
    "controller.quorum.voters": voters.join(","),
    listeners: `PLAINTEXT://${host}:${place.port},CONTROLLER://${host}:${place.controllerPort}`,
    "advertised.listeners": `PLAINTEXT://${host}:${place.port}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "log.dirs": join(place.dir, "data"),
    "default.replication.factor": replicas,
    "min.insync.replicas": inSyncMin,
    "offsets.topic.replication.factor": replicas,
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSyncMin,
    "auto.create.topics.enable": "false",
    // Quick: no wait for more members of a group, few internal partitions to load, and a killed
    // broker that is known as dead after 6 s instead of 9.
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
  };
}
