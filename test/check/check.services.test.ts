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
import { casesOf } from "./cases.ts";
import { judge } from "./judge.ts";
import { authorizer } from "./scene.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import { Place } from "./support.ts";

let bundle = "";
let mysql: Mysql;
let kafka: Kafka;
let admin: Admin;
let place: Place;
let three: Promise<Kafka> | undefined;

beforeAll(async () => {
  bundle = buildBundle();
  [mysql, kafka] = await Promise.all([
    startMysql("mysql-9"),
    startKafka({ properties: authorizer }),
  ]);
  admin = new kafkajs.Kafka({ clientId: "test", brokers: [...kafka.brokers] }).admin();
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
  await ask(mysql, `DROP DATABASE ${place.database}`, `DROP USER ${place.user}@'%'`);
});

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

test("all that is wrong is shown at once, with the highest exit code", async () => {
  await ask(
    mysql,
    "SET GLOBAL binlog_format = STATEMENT, GLOBAL binlog_row_image = MINIMAL",
    `REVOKE REPLICATION SLAVE, REPLICATION CLIENT ON *.* FROM ${place.user}@'%'`,
    `CREATE TABLE ${place.database}.log (line TEXT)`,
  );
  const { status, bad } = await place.check();
  const run = await place.run(["run", "--connect-timeout", "20"]);
  await ask(mysql, "SET GLOBAL binlog_format = ROW, GLOBAL binlog_row_image = FULL");
  expect(status).toBe(78);
  expect(bad.map(({ check, exit_code }) => [check, exit_code])).toEqual([
    ["mysql.binlog_format", 78],
    ["mysql.binlog_row_image", 0],
    ["mysql.privileges", 77],
    ["kafka.replication", 0],
    ["tables.primary_key", 0],
  ]);
  expect(run.status).toBe(78);
  expect(run.stderr).toContain("binlog_format is STATEMENT");
  expect(run.stderr).toContain("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*");
});

test.each(casesOf("mysql-9"))("$name", async wrong => {
  const startThree = (): Promise<Kafka> => (three ??= startKafka({ brokers: 3 }));
  expect(await judge({ bundle, mysql, kafka, three: startThree }, wrong)).toEqual([]);
});

describe("the destination", () => {
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
