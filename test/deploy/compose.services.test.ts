/**
 * docker-compose.yml without Docker: its syntax, and its settings with the same programs outside of
 * containers. Only addresses are exchanged: ports, folders, and `kafka` as the name of this machine.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createConnection as connectTcp } from "node:net";
import { join } from "node:path";
import { Kafka as KafkaClient, logLevel } from "kafkajs";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../../tools/services/commands.ts";
import { kafkaProgram } from "../../tools/services/kafka-program.ts";
import { keptEnvironment, keptFolder } from "../../tools/services/keeper.ts";
import { installMissing } from "../../tools/services/packages.ts";
import { freePort } from "../../tools/services/ports.ts";
import { ServerProcess } from "../../tools/services/server-process.ts";
import { startMysql, stopAll, type Mysql } from "../../tools/services/services.ts";
import { buildBundle, root } from "../support/bundle.ts";
import { createTopics } from "../support/create-topics.ts";
import { compose, composeText, service, statements, variables } from "./compose.ts";

afterAll(stopAll);

describe("its syntax", () => {
  const clients = [["docker", "compose"], ["docker-compose"]] as const;
  const client = (): readonly string[] | undefined =>
    clients.find(([program, ...args]) => spawnSync(program, [...args, "version"]).status === 0);

  const profiles = Object.values(compose.services).flatMap(({ profiles = [] }) => profiles);

  test("is what docker compose reads", async () => {
    const present = (): boolean => client() !== undefined;
    await installMissing([{ what: "docker-compose", package: "docker-compose", present }]);
    const [program = "", ...args] = client() ?? [];
    const config = spawnSync(program, [...args, "-f", "docker-compose.yml", "config"], {
      cwd: root,
      encoding: "utf8",
      // Without them their services are left out of what it prints.
      env: { ...process.env, COMPOSE_PROFILES: profiles.join(",") },
    });
    expect({ status: config.status, errors: config.stderr }).toMatchObject({ status: 0 });
    for (const name of Object.keys(compose.services)) {
      expect(config.stdout).toContain(`\n  ${name}:\n`);
    }
    expect(config.stdout).not.toContain("${");
  });
});

interface Ports {
  readonly inner: number;
  readonly outer: number;
  readonly controller: number;
}

/** The kafka service's environment with our ports and folder, on the loopback interface alone. */
function kafkaEnvironment(ports: Ports, data: string): Record<string, string> {
  const local = (text: string): string =>
    text
      .replaceAll(/\b19092\b/g, String(ports.inner))
      .replaceAll(/\b9092\b/g, String(ports.outer))
      .replaceAll(/\b9093\b/g, String(ports.controller))
      .replaceAll("://:", "://127.0.0.1:")
      .replace("/var/lib/kafka/data", data);
  const entries = Object.entries(service("kafka").environment ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [name, local(String(value))]));
}

/** What the image does at its start: its own program writes server.properties and formats the folder. */
async function setUpKafka(dir: string, ports: Ports): Promise<string> {
  const [defaults, mounted, final] = ["default", "mounted", "final"].map(name => join(dir, name));
  for (const folder of [defaults, mounted, final]) mkdirSync(folder ?? "");
  for (const name of ["server.properties", "log4j2.yaml", "tools-log4j2.yaml"]) {
    writeFileSync(join(defaults ?? "", name), "");
  }
  const args = ["setup", "--default-configs-dir", defaults ?? ""];
  args.push("--mounted-configs-dir", mounted ?? "", "--final-configs-dir", final ?? "");
  const classPath = await kafkaProgram();
  const env = { ...keptEnvironment(), ...kafkaEnvironment(ports, join(dir, "data")) };
  const java = ["-XX:TieredStopAtLevel=1", "-cp", classPath, "kafka.docker.KafkaDockerWrapper"];
  await runCommand("java", [...java, ...args], { env });
  return join(final ?? "", "server.properties");
}

function canConnect(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connectTcp({ host: "127.0.0.1", port });
    const end = (connected: boolean) => (): void => {
      socket.destroy();
      resolve(connected);
    };
    socket.once("connect", end(true)).once("error", end(false));
  });
}

function clientOf(broker: string): KafkaClient {
  return new KafkaClient({
    brokers: [broker],
    logLevel: logLevel.NOTHING,
    retry: { retries: 8 },
    // What Docker's name server does for containers.
    socketFactory: ({ host, port, onConnect }) =>
      connectTcp({ host: host === "kafka" ? "127.0.0.1" : host, port }, onConnect),
  });
}

describe("its settings", () => {
  let ports: Ports;
  let mysql: Mysql;
  let properties = "";

  beforeAll(async () => {
    const [inner, outer, controller] = [await freePort(), await freePort(), await freePort()];
    ports = { inner, outer, controller };
    const dir = keptFolder("compose");
    properties = await setUpKafka(dir, ports);
    const hosts = join(dir, "hosts");
    writeFileSync(hosts, "127.0.0.1 kafka\n127.0.0.1 localhost\n");
    const broker = new ServerProcess({
      name: "kafka of docker-compose.yml",
      command: "java",
      args: [
        ...["-Xmx512m", `-Djdk.net.hosts.file=${hosts}`, "-cp", await kafkaProgram()],
        ...["kafka.Kafka", properties],
      ],
      folder: dir,
      logFile: join(dir, "log"),
    });
    const args = (service("mysql").command ?? []).slice();
    [mysql] = await Promise.all([
      startMysql("mysql-9", { args }),
      broker.startOnce(async () => (await canConnect(inner)) && canConnect(outer)),
    ]);
  });

  test("reach Kafka as the image's own program reads them", () => {
    const written = readFileSync(properties, "utf8");
    expect(written).toContain(
      `advertised.listeners=INNER://kafka:${ports.inner},OUTER://127.0.0.1:${ports.outer}\n`,
    );
    const names = Object.keys(service("kafka").environment ?? {});
    for (const name of names.filter(name => name.startsWith("KAFKA_"))) {
      expect(written).toContain(`${name.slice(6).toLowerCase().replaceAll("_", ".")}=`);
    }
  });

  test.each([
    ["inner", (): string => `kafka:${ports.inner}`],
    ["outer", (): string => `127.0.0.1:${ports.outer}`],
  ])("let a client of the %s listener produce and consume", async (name, address) => {
    const client = clientOf(address());
    const admin = client.admin();
    await admin.connect();
    // The address that the broker tells its clients to use is the one that they came by.
    const { brokers } = await admin.describeCluster();
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([address()]);
    await admin.disconnect();
    await createTopics([client], [{ topic: name }]);

    const producer = client.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    await producer.send({ topic: name, acks: -1, messages: [{ value: `by ${name}` }] });
    await producer.disconnect();
    expect(await readTopic(client, name, values => values.length >= 1)).toEqual([`by ${name}`]);
  });

  test("let Tidemark carry the shop from MySQL into Kafka", async () => {
    await runInitScripts(mysql);
    const tidemark = startTidemark(mysql, ports.outer, await freePort());
    try {
      const client = clientOf(`127.0.0.1:${ports.outer}`);
      // The sample rows, which may be on different partitions, and a customer's order.
      const values = await readTopic(client, "shop.orders", seen => {
        const created = seen.filter(text => (JSON.parse(text) as { op: string }).op === "c");
        return created.length >= 3 && [1, 2].every(id => seen.some(isOrder(id)));
      });
      expect(values.find(isOrder(1))).toContain('"sku":"LANTERN"');
    } finally {
      const ended = new Promise(resolve => tidemark.once("exit", resolve));
      tidemark.kill("SIGTERM");
      expect(await ended).toBe(0);
    }
  });
});

function isOrder(id: number): (text: string) => boolean {
  return text => (JSON.parse(text) as { after: { id: number } | null }).after?.id === id;
}

/** As the image does: the user of MYSQL_USER first, then the scripts by name. */
async function runInitScripts({ url }: Mysql): Promise<void> {
  const connection = await createConnection(url);
  try {
    const { MYSQL_USER: user } = service("mysql").environment ?? {};
    await connection.query(`CREATE USER ?@'%' IDENTIFIED BY ?`, [user, cdcPassword()]);
    const folder = join(root, "deploy/compose/mysql");
    for (const name of readdirSync(folder).sort()) {
      const script = readFileSync(join(folder, name), "utf8");
      for (const statement of statements(script)) await connection.query(statement);
    }
  } finally {
    await connection.end();
  }
}

function cdcPassword(): string {
  expect(composeText).toContain("MYSQL_PASSWORD: ${MYSQL_CDC_PASSWORD");
  return variables.get("MYSQL_CDC_PASSWORD") ?? "";
}

/** With the command and configuration of its service; only the addresses are of this machine. */
function startTidemark(mysql: Mysql, kafkaPort: number, httpPort: number): ChildProcess {
  const command = (service("tidemark").command ?? []).map(argument =>
    argument === "/etc/tidemark/tidemark.yaml"
      ? join(root, "deploy/compose/tidemark.yaml")
      : argument,
  );
  const addresses = {
    "source.host": mysql.host,
    "source.port": String(mysql.port),
    "http.host": "127.0.0.1",
    "http.port": String(httpPort),
    "pipelines.shop.sink.brokers": JSON.stringify([`127.0.0.1:${kafkaPort}`]),
  };
  const set = Object.entries(addresses).flatMap(([path, value]) => ["--set", `${path}=${value}`]);
  return spawn(process.execPath, [buildBundle(), ...command, ...set], {
    cwd: keptFolder("compose-tidemark"),
    env: { MYSQL_PASSWORD: cdcPassword() },
    stdio: "inherit",
  });
}

/** The values of a topic from its beginning, until there are enough. Waits for the topic too. */
async function readTopic(
  client: KafkaClient,
  topic: string,
  enough: (values: readonly string[]) => boolean,
): Promise<string[]> {
  const admin = client.admin();
  await admin.connect();
  while (!(await admin.listTopics()).includes(topic)) {
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  await admin.disconnect();
  const consumer = client.consumer({ groupId: `reader-of-${topic}` });
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    const values: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
        if (message.value) values.push(message.value.toString());
        if (enough(values)) resolve();
        return Promise.resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    return values;
  } finally {
    await consumer.disconnect();
  }
}
