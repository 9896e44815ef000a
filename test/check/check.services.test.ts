/** `tidemark check` against real servers: each fault has its sentence, its statement and its exit code. */
import kafkajs, { type Admin } from "kafkajs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  startKafka,
  startMysql,
  stopAll,
  type Kafka,
  type Mysql,
} from "../../tools/services/services.ts";
import { buildBundle } from "../support/bundle.ts";
import { Place, query, type Found } from "./support.ts";

// kafkajs is CommonJS, and its enums are there at run time only as properties of the whole.
const {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ConfigResourceTypes,
  Kafka: KafkaClient,
  ResourcePatternTypes,
  logLevel,
} = kafkajs;

let bundle = "";
let mysql: Mysql;
let kafka: Kafka;
let admin: Admin;
let place: Place;

beforeAll(async () => {
  bundle = buildBundle();
  [mysql, kafka] = await Promise.all([
    startMysql("mysql-9"),
    startKafka({
      properties: {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
      },
    }),
  ]);
  admin = new KafkaClient({
    clientId: "test",
    brokers: [...kafka.brokers],
    logLevel: logLevel.NOTHING,
  }).admin();
  await admin.connect();
});
afterAll(async () => {
  await admin.disconnect();
  await stopAll();
});

beforeEach(async () => {
  place = new Place(bundle);
  await place.prepare(mysql);
  place.configure(mysql, { kafka });
});
afterEach(async () => {
  await query(mysql, `DROP DATABASE ${place.database}`, `DROP USER ${place.user}@'%'`);
});

/** Runs the statements of all errors, as a person would, and checks again. */
async function mend(bad: readonly Found[]): Promise<void> {
  for (const { fix, level } of bad) {
    if (level === "warning") continue;
    const config = /kafka-configs\.sh .* --entity-name (\S+) --add-config ([^=]+)=(\S+)$/.exec(fix);
    const acl = /kafka-acls\.sh .*--operation (\w+) --topic (\S+)$/.exec(fix);
    if (config) {
      const [, name = "", key = "", value = ""] = config;
      await admin.alterConfigs({
        validateOnly: false,
        resources: [
          { type: ConfigResourceTypes.TOPIC, name, configEntries: [{ name: key, value }] },
        ],
      });
    } else if (acl) {
      const [, operation = "", topic = ""] = acl;
      await allow("User:ANONYMOUS", topic, OPERATIONS[operation] ?? AclOperationTypes.UNKNOWN);
    } else if (/^(SET|GRANT|ALTER TABLE) /.test(fix)) {
      await query(mysql, ...fix.split("; "));
    } else {
      throw new Error(`no statement: ${fix}`);
    }
  }
}

/** Who else has no rule of their own for this topic is denied from then on. */
async function allow(
  principal: string,
  resourceName: string,
  operation: kafkajs.AclOperationTypes,
): Promise<void> {
  await admin.createAcls({
    acl: [
      {
        ...{ principal, host: "*", resourceName, operation },
        resourceType: AclResourceTypes.TOPIC,
        permissionType: AclPermissionTypes.ALLOW,
        resourcePatternType: ResourcePatternTypes.LITERAL,
      },
    ],
  });
}

const OPERATIONS: Readonly<Record<string, kafkajs.AclOperationTypes>> = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
  DescribeConfigs: AclOperationTypes.DESCRIBE_CONFIGS,
};

async function expectMended(bad: readonly Found[]): Promise<void> {
  await mend(bad);
  const again = await place.check();
  expect(again.bad.filter(({ level }) => level === "error")).toEqual([]);
  expect(again.status).toBe(0);
}

test("finds no error where everything is set up, and says so", async () => {
  const { status, found, bad } = await place.check();
  expect(bad.map(({ check, level }) => ({ check, level }))).toEqual([
    { check: "kafka.replication", level: "warning" },
  ]);
  expect(status).toBe(0);
  expect(Object.keys(found[0] ?? {})).toEqual([
    "check",
    "level",
    "ok",
    "found",
    "fix",
    "exit_code",
  ]);
  const { stdout } = await place.run(["check"]);
  expect(stdout).toMatch(/^ok +mysql\.connection +MySQL 9\.\S+ answers at 127\.0\.0\.1:\d+\.\n/);
  expect(stdout).toContain("0 errors, 1 warning. Nothing keeps this configuration from running.\n");
  expect(await admin.listTopics()).not.toContain(place.commitLogTopic);
});

describe("a server setting", () => {
  const right = {
    binlog_format: "ROW",
    binlog_row_image: "FULL",
    binlog_row_metadata: "FULL",
    binlog_row_value_options: "''",
    binlog_transaction_compression: "OFF",
  };
  afterEach(async () => {
    for (const [name, value] of Object.entries(right)) {
      await query(mysql, `SET PERSIST ${name} = ${value}`);
    }
  });

  test.each([
    ["binlog_format", "MIXED", "ROW"],
    ["binlog_row_image", "MINIMAL", "FULL"],
    ["binlog_row_metadata", "MINIMAL", "FULL"],
    ["binlog_row_value_options", "PARTIAL_JSON", "''"],
    ["binlog_transaction_compression", "ON", "OFF"],
  ])("%s = %s is an error, and its statement mends it", async (name, wrong, wanted) => {
    await query(mysql, `SET GLOBAL ${name} = ${wrong}`);
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad[0]).toMatchObject({
      ...{ check: `mysql.${name}`, level: "error", exit_code: 78 },
      found: expect.stringMatching(new RegExp(`^${name} is ${wrong}: .*\\.$`)) as string,
      fix: `SET PERSIST ${name} = ${wanted}`,
    });
    await expectMended(bad);
  });

  test("all that is wrong is shown at once, with the highest exit code", async () => {
    await query(
      mysql,
      "SET GLOBAL binlog_format = STATEMENT, GLOBAL binlog_row_image = MINIMAL",
      `REVOKE REPLICATION SLAVE, REPLICATION CLIENT ON *.* FROM ${place.user}@'%'`,
      `CREATE TABLE ${place.database}.log (line TEXT)`,
    );
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad.map(({ check, exit_code }) => [check, exit_code])).toEqual([
      ["mysql.binlog_format", 78],
      ["mysql.binlog_row_image", 78],
      ["mysql.privileges", 77],
      ["kafka.replication", 0],
      ["tables.primary_key", 0],
    ]);
    const run = await place.run(["run", "--connect-timeout", "20"]);
    expect(run.status).toBe(78);
    expect(run.stderr).toContain("binlog_format is STATEMENT");
    expect(run.stderr).toContain("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*");
    await expectMended(bad);
  });

  test("a short retention is a warning", async () => {
    await query(mysql, "SET GLOBAL binlog_expire_logs_seconds = 3600");
    const { status, bad } = await place.check();
    await query(mysql, "SET GLOBAL binlog_expire_logs_seconds = 2592000");
    expect(status).toBe(0);
    expect(bad[0]).toMatchObject({
      ...{ check: "mysql.binlog_retention", level: "warning", exit_code: 0 },
      fix: "SET PERSIST binlog_expire_logs_seconds = 604800",
    });
  });
});

test("a server without binlog is an error", async () => {
  const bare = await startMysql("mysql-9", { args: ["--skip-log-bin", "--gtid-mode=OFF"] });
  await place.prepare(bare);
  place.configure(bare, { kafka });
  const { status, bad } = await place.check();
  const run = await place.run(["run"]);
  await bare.stop();
  expect(status).toBe(78);
  expect(bad[0]).toMatchObject({
    ...{ check: "mysql.log_bin", level: "error", exit_code: 78 },
    found: "log_bin is OFF: without a binlog there is nothing to read.",
    fix: expect.stringContaining("--log-bin") as string,
  });
  expect(bad.map(({ check }) => check)).toContain("mysql.gtid_mode");
  expect(run.status).toBe(78);
  expect(run.stderr).toContain("log_bin is OFF");
});

describe("a privilege", () => {
  test.each([["REPLICATION SLAVE"], ["REPLICATION CLIENT"]])("%s that is missing", async lost => {
    await query(mysql, `REVOKE ${lost} ON *.* FROM ${place.user}@'%'`);
    const { status, bad } = await place.check();
    expect(status).toBe(77);
    expect(bad[0]).toMatchObject({
      ...{ check: "mysql.privileges", level: "error", exit_code: 77 },
      found: `\`${place.user}\`@\`%\` lacks ${lost}.`,
      fix: `GRANT ${lost} ON *.* TO \`${place.user}\`@\`%\``,
    });
    await expectMended(bad);
  });

  test("to see the tables is asked for with a warning", async () => {
    await query(mysql, `REVOKE SELECT ON ${place.database}.* FROM ${place.user}@'%'`);
    const { status, bad } = await place.check();
    expect(status).toBe(0);
    const [found] = bad.filter(({ check }) => check === "tables.names");
    expect(found).toMatchObject({
      level: "warning",
      fix: `GRANT SELECT ON \`${place.database}\`.* TO \`${place.user}\`@\`%\``,
    });
    await query(mysql, found?.fix ?? "");
    expect((await place.check()).bad.map(({ check }) => check)).toEqual(["kafka.replication"]);
  });
});

describe("the way to MySQL", () => {
  test("a wrong password ends with 77", async () => {
    const { status, bad } = await place.check([], "wrong");
    expect(status).toBe(77);
    expect(bad[0]).toMatchObject({ check: "mysql.connection", level: "error", exit_code: 77 });
    expect(bad[0]?.found).toContain("Access denied");
    expect(bad[0]?.fix).toContain(`ALTER USER '${place.user}' IDENTIFIED BY`);
    expect(JSON.stringify(bad)).not.toContain("wrong");
  });

  test("a wrong host ends with 69, within the time that was given", async () => {
    place.configure({ host: "127.0.0.1", port: 1 }, { kafka });
    const startedMs = Date.now();
    const { status, found, bad } = await place.check(["--connect-timeout", "2"]);
    expect(Date.now() - startedMs).toBeLessThan(9_000);
    expect(status).toBe(69);
    expect(bad[0]).toMatchObject({ check: "mysql.connection", level: "error", exit_code: 69 });
    expect(bad[0]?.found).toContain("ECONNREFUSED");
    expect(found.find(({ check }) => check === "kafka.connection")?.ok).toBe(true);
  });

  test("TLS that is required and not there ends with 78", async () => {
    const plain = await startMysql("mysql-9", { args: ["--tls-version="] });
    await place.prepare(plain);
    place.configure(plain, { kafka, source: { tls: { mode: "required" } } });
    const { status, bad } = await place.check();
    await plain.stop();
    expect(status).toBe(78);
    expect(bad[0]).toMatchObject({ check: "mysql.connection", level: "error", exit_code: 78 });
    expect(bad[0]?.found).toContain("offers no TLS, but source.tls.mode is required");
    expect(bad[0]?.fix).toContain("source.tls.mode=disabled");
  });

  test("a replica id that the server itself has ends with 78", async () => {
    place.configure(mysql, { kafka, source: { server_id: 1 } });
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad[0]).toMatchObject({ check: "mysql.server_id", level: "error", exit_code: 78 });
    const [, option = ""] = /^--set (\S+)/.exec(bad[0]?.fix ?? "") ?? [];
    const again = await place.check(["--set", option]);
    expect(again.status).toBe(0);
  });

  test("a replica id that another replica has ends with 78", async () => {
    const replica = await startMysql("mysql-9", {
      args: ["--server-id=4711", "--skip-replica-start"],
    });
    try {
      await query(
        mysql,
        `CREATE USER repl@'%' IDENTIFIED BY 'repl'`,
        `GRANT REPLICATION SLAVE ON *.* TO repl@'%'`,
      );
      await query(
        replica,
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${mysql.port},
         SOURCE_USER='repl', SOURCE_PASSWORD='repl', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1`,
        "START REPLICA IO_THREAD",
      );
      place.configure(mysql, { kafka, source: { server_id: 4711 } });
      let { status, bad } = await place.check();
      for (let look = 0; status === 0 && look < 20; look += 1)
        ({ status, bad } = await place.check());
      expect(status).toBe(78);
      expect(bad[0]).toMatchObject({ check: "mysql.replica_id", level: "error", exit_code: 78 });
      expect(bad[0]?.found).toContain("4711");
      const [, option = ""] = /^--set (\S+)/.exec(bad[0]?.fix ?? "") ?? [];
      expect((await place.check(["--set", option])).status).toBe(0);
    } finally {
      await replica.stop();
    }
  });
});

describe("the destination", () => {
  test("Kafka that is away ends with 69", async () => {
    place.configure(mysql, { kafka: { brokers: ["127.0.0.1:1"] } });
    const { status, found, bad } = await place.check(["--connect-timeout", "2"]);
    expect(status).toBe(69);
    expect(bad).toHaveLength(1);
    expect(bad[0]).toMatchObject({ check: "kafka.connection", level: "error", exit_code: 69 });
    expect(bad[0]?.found).toContain("ECONNREFUSED");
    expect(found.find(({ check }) => check === "mysql.connection")?.ok).toBe(true);
  });

  test("a commit-log topic with another policy ends with 78, and its statement mends it", async () => {
    await admin.createTopics({ topics: [{ topic: place.commitLogTopic, numPartitions: 1 }] });
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    const [found] = bad;
    expect(found).toMatchObject({ check: "kafka.commit_log", level: "error", exit_code: 78 });
    expect(found?.found).toContain("cleanup.policy=delete");
    const run = await place.run(["run"]);
    expect(run.status).toBe(78);
    await expectMended(bad);
  });

  test("one broker is a warning that names min.insync.replicas", async () => {
    await admin.createTopics({ topics: [{ topic: place.topic, numPartitions: 1 }] });
    const { status, bad } = await place.check();
    expect(status).toBe(0);
    expect(bad[0]).toMatchObject({ check: "kafka.replication", level: "warning", exit_code: 0 });
    expect(bad[0]?.found).toContain("min.insync.replicas is 1");
  });

  test("topics that our user may not touch end with 77, and the statements mend it", async () => {
    await admin.createTopics({
      topics: [{ topic: place.topic, numPartitions: 2 }],
    });
    await allow("User:other", place.topic, AclOperationTypes.ALL);
    const { status, bad } = await place.check();
    expect(status).toBe(77);
    expect(bad.filter(({ level }) => level === "error").map(({ check }) => check)).toEqual([
      "kafka.acls",
    ]);
    await mend(bad);
    const more = await place.check();
    expect(more.bad.map(({ found }) => found).join("\n")).toMatch(/may not (write|read|look at)/);
    expect(more.status).toBe(77);
    await mend(more.bad);
    await expectMended((await place.check()).bad);
  });

  test("a topic that cannot be made ends with 78", async () => {
    const create_topics = { config: { "cleanup.policy": "sometimes" } };
    place.configure(mysql, { kafka, sink: { create_topics } });
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad[0]).toMatchObject({ check: "kafka.topics", level: "error", exit_code: 78 });
    expect(bad[0]?.found).toContain(`Topic ${place.topic} is not there`);
  });

  test("a folder that is not there ends with 78", async () => {
    const sink = { type: "file", path: "/nowhere/changes.jsonl" };
    place.configure(mysql, { sink, commitLog: { type: "file", dir: "state" } });
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad[0]).toMatchObject({ check: "file.destination", level: "error", exit_code: 78 });
  });
});

describe("tables", () => {
  test("two with one topic end with 78", async () => {
    await query(mysql, `CREATE TABLE ${place.database}.items (id INT PRIMARY KEY)`);
    place.configure(mysql, { kafka, sink: { topic: `all-${place.id}` } });
    const { status, bad } = await place.check();
    expect(status).toBe(78);
    expect(bad.find(({ level }) => level === "error")).toMatchObject({
      ...{ check: "tables.topic_name", level: "error", exit_code: 78 },
      found: `Tables ${place.database}.items and ${place.database}.orders would both go to topic all-${place.id}.`,
    });
    const run = await place.run(["run"]);
    expect(run.status).toBe(78);
    expect(run.stderr).toContain("would both go to topic");
  });

  test("one without key is a warning; on a compacted topic it ends with 78", async () => {
    await query(mysql, `CREATE TABLE ${place.database}.log (line TEXT)`);
    const first = await place.check();
    expect(first.status).toBe(0);
    expect(first.bad.at(-1)).toMatchObject({ check: "tables.primary_key", level: "warning" });
    await admin.createTopics({
      topics: [
        {
          ...{ topic: `${place.database}.log`, numPartitions: 1 },
          configEntries: [{ name: "cleanup.policy", value: "compact,delete" }],
        },
      ],
    });
    const second = await place.check();
    expect(second.status).toBe(78);
    expect(second.bad.at(-1)).toMatchObject({
      ...{ check: "tables.primary_key", level: "error", exit_code: 78 },
      fix: expect.stringContaining("ALTER TABLE") as string,
    });
    const run = await place.run(["run"]);
    expect(run.status).toBe(78);
    await expectMended(second.bad);
  });

  test("a column of which only ASCII is decoded is a warning", async () => {
    await query(
      mysql,
      `CREATE TABLE ${place.database}.old (id INT PRIMARY KEY, n TEXT CHARACTER SET euckr)`,
    );
    const { status, bad } = await place.check();
    expect(status).toBe(0);
    expect(bad.find(({ check }) => check === "tables.columns")?.found).toContain("euckr");
  });
});
