/** `tidemark position` and `decode` against real servers: what an error recommends has to mend it. */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  startKafka,
  startMysql,
  stopAll,
  type Kafka,
  type Mysql,
} from "../../tools/services/services.ts";
import { Observer, never } from "../kafka/support.ts";
import { buildBundle } from "../support/bundle.ts";
import { ask } from "../../tools/services/mysql-statements.ts";
import { Place, until, type Started } from "./support.ts";

let bundle = "";
let mysql: Mysql;
let kafka: Kafka;
let observer: Observer;
let place: Place;
const running: Started[] = [];

beforeAll(async () => {
  bundle = buildBundle();
  [mysql, kafka] = await Promise.all([startMysql("mysql-9"), startKafka()]);
  observer = new Observer(kafka.brokers);
});
afterAll(async () => {
  observer.close();
  await stopAll();
});
beforeEach(async () => {
  place = new Place(bundle);
  await place.prepare(mysql);
});
afterEach(async () => {
  for (const started of running.splice(0)) {
    started.kill("SIGKILL");
    await started.ended;
  }
});

const BEGUN = /begins without a checkpoint|goes on at its checkpoint/;

async function start(): Promise<Started> {
  const started = place.start(["run"]);
  running.push(started);
  await Promise.race([
    until("it reads", () => BEGUN.test(started.output().stderr)),
    started.ended.then(({ stderr }) => {
      throw new Error(`it ended: ${stderr}`);
    }),
  ]);
  return started;
}

async function stop(started: Started): Promise<void> {
  started.kill("SIGTERM");
  expect((await started.ended).status).toBe(0);
}

const insert = (id: number): Promise<unknown> =>
  ask(mysql, `INSERT INTO ${place.database}.orders VALUES (${id}, 'row ${id}')`);

/** The ids of the rows in the topic, in order. */
async function arrived(): Promise<readonly number[]> {
  const partitions = await observer.read(place.topic);
  return partitions.flat().map(({ value }) => {
    const { after } = JSON.parse(value?.toString() ?? "") as { after: { id: number } };
    return after.id;
  });
}

const lines = (path: string): readonly number[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .filter(line => line.startsWith("{"))
    .map(line => (JSON.parse(line) as { after: { id: number } }).after.id);

describe("with a commit log in Kafka", () => {
  beforeEach(() => place.configure(mysql, { kafka }));

  test("a purged position is mended by latest, and by earliest", async () => {
    const first = await start();
    await insert(1);
    await until("row 1", async () => (await arrived()).length === 1);
    await stop(first);
    await insert(2);
    await ask(mysql, "FLUSH BINARY LOGS");
    const [status] = await ask(mysql, "SHOW BINARY LOG STATUS");
    await ask(mysql, `PURGE BINARY LOGS TO '${String(status?.["File"])}'`);
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");

    const set = await place.run(["position", "set", "latest"]);
    expect(set.stderr).toBe("");
    expect(set.status).toBe(0);
    expect(set.stdout).toMatch(/goes on at binlog\.\d+:\d+ \(generation 3\)/);
    expect(set.stdout).toMatch(/Skipped, never to be sent: everything from binlog\.\d+:\d+ to/);
    const second = await start();
    await insert(3);
    await until("row 3", async () => (await arrived()).includes(3));
    await stop(second);
    expect(await arrived()).toEqual([1, 3]);

    const back = await place.run(["position", "set", "earliest"]);
    expect(back.status).toBe(0);
    expect(back.stdout).toContain("Sent again: everything from");
    const third = await start();
    await until("row 3 again", async () => (await arrived()).length === 3);
    await stop(third);
    expect(await arrived()).toEqual([1, 3, 3]);
  });

  test("a topic that is not empty, without a checkpoint", async () => {
    const first = await start();
    await insert(1);
    await until("row 1", async () => (await arrived()).length === 1);
    await stop(first);
    place.configure(mysql, {
      kafka,
      commitLog: { type: "kafka", topic: `${place.commitLogTopic}-2` },
    });
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");
    const set = await place.run(["position", "set", "latest"]);
    expect(set.status).toBe(0);
    expect(set.stdout).toContain("there is no older position to compare with");
    const second = await start();
    await insert(2);
    await until("row 2", async () => (await arrived()).includes(2));
    await stop(second);
    expect(await arrived()).toEqual([1, 2]);
  });

  test.each(["checkpoint", "offsets"])("a damaged record: %s", async kind => {
    const first = await start();
    await insert(1);
    await until("row 1", async () => (await arrived()).length === 1);
    await stop(first);
    const name = `p-${place.id}`;
    const key = Buffer.from(kind === "offsets" ? `${name}/offsets` : name);
    const value = Buffer.from('{"version":1,"generation":9');
    await observer.produce(place.commitLogTopic, 0, [{ key, value, headers: [] }]);
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");
    expect((await place.run(["position", "show"])).status).toBe(65);

    const set = await place.run(["position", "set", "latest"]);
    expect(set.stderr).toBe("");
    expect(set.stdout).toContain("The old record could not be used");
    const second = await start();
    await insert(2);
    await until("row 2", async () => (await arrived()).includes(2));
    await stop(second);
    expect(await arrived()).toEqual([1, 2]);
  });

  test("an instance that runs sees the higher generation and ends with 75", async () => {
    const first = await start();
    await insert(1);
    await until("row 1", async () => (await arrived()).length === 1);
    const set = await place.run(["position", "set", "latest"]);
    expect(set.status).toBe(0);
    expect((await first.ended).status).toBe(75);
    const second = await start();
    await insert(2);
    await until("row 2", async () => (await arrived()).includes(2));
    await stop(second);
  });

  test("a topic that was made anew", async () => {
    const first = await start();
    await insert(1);
    await until("row 1", async () => (await arrived()).length === 1);
    await stop(first);
    await observer.deleteTopic(place.topic);
    await observer.createTopic(place.topic);
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");
    expect((await place.run(["position", "set", "latest"])).status).toBe(0);
    const second = await start();
    await insert(2);
    await until("row 2", async () => (await arrived()).includes(2));
    await stop(second);
    expect(await arrived()).toEqual([2]);
  });

  test("a place that the server has not is refused, and nothing is written", async () => {
    await insert(1);
    const [status] = await ask(mysql, "SHOW BINARY LOG STATUS");
    const file = String(status?.["File"]);
    const end = Number(status?.["Position"]);
    for (const [wrong, reason] of [
      ["binlog.999999:4", "it has no binlog file"],
      [`${file}:${end + 1}`, `the file has ${end} bytes`],
      [`${file}:${end - 5}`, "no event begins there"],
      [`${file}:${end - 31}`, "it lies inside a transaction, before an event Xid"],
      ["6db3edf2-e588-11f1-8730-02fc00000001:1-5", "lacks transactions"],
    ] as const) {
      const { status: code, stderr } = await place.run(["position", "set", wrong]);
      expect({ wrong, code }).toEqual({ wrong, code: 65 });
      expect(stderr).toContain(reason);
    }
    expect((await place.run(["position", "set", "yesterday"])).status).toBe(64);
    expect(await observer.topics.partitions(place.commitLogTopic, never)).toBeUndefined();
    const exact = await place.run(["position", "set", `${file}:${end}`]);
    expect(exact.status).toBe(0);
    const second = await start();
    await insert(2);
    await until("row 2", async () => (await arrived()).includes(2));
    await stop(second);
    expect(await arrived()).toEqual([2]);
  });

  test("a GTID set goes on behind its transactions", async () => {
    const [before] = await ask(mysql, "SELECT @@GLOBAL.gtid_executed AS gtids");
    await insert(1);
    const gtids = String(before?.["gtids"]).replaceAll(/\s/g, "");
    const set = await place.run(["position", "set", gtids]);
    expect(set.stderr).toBe("");
    const shown = await place.run(["position", "show", "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject([{ checkpoint: { gtid_set: gtids } }]);
    const started = await start();
    await until("row 1", async () => (await arrived()).length === 1);
    await stop(started);
  });
});

describe("with a commit log in a file", () => {
  const path = (): string => join(place.folder, "changes.jsonl");
  const log = (): string => join(place.folder, "state", `p-${place.id}.json`);
  beforeEach(() =>
    place.configure(mysql, {
      sink: { type: "file", path: path() },
      commitLog: { type: "file", dir: "state" },
    }),
  );

  async function writeOne(): Promise<void> {
    const first = await start();
    await insert(1);
    await until("row 1", () => lines(path()).length === 1);
    await stop(first);
  }

  test("a damaged record, and a lock that another instance holds", async () => {
    await writeOne();
    const whole = readFileSync(log(), "utf8");
    writeFileSync(log(), whole.slice(0, whole.length / 2));
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");
    const set = await place.run(["position", "set", "latest"]);
    expect(set.stderr).toBe("");
    expect(set.stdout).toContain("The old record could not be used");
    expect(set.stdout).toContain("(generation 2)");
    const second = await start();
    const busy = await place.run(["position", "set", "latest"]);
    expect(busy.status).toBe(75);
    expect(busy.stderr).toContain("holds the lock");
    expect((await place.run(["position", "show"])).stdout).toContain("binlog.");
    await insert(2);
    await until("row 2", () => lines(path()).length === 2);
    await stop(second);
    expect(lines(path())).toEqual([1, 2]);
  });

  test("a file that is not empty, with a torn last line and no checkpoint", async () => {
    await writeOne();
    appendFileSync(path(), '{"torn');
    place.configure(mysql, {
      sink: { type: "file", path: path() },
      commitLog: { type: "file", dir: "state-2" },
    });
    const refused = await place.run(["run"]);
    expect(refused.status).toBe(65);
    expect(refused.stderr).toContain("tidemark position set");
    const set = await place.run(["position", "set", "latest"]);
    expect(set.stdout).toContain("Its last 6 bytes are no whole line");
    const second = await start();
    await insert(2);
    await until("row 2", () => lines(path()).length === 2);
    await stop(second);
    expect(lines(path())).toEqual([1, 2]);
  });

  test("a position file: what show writes, and one whose place lies inside a transaction", async () => {
    await writeOne();
    const shown = await place.run(["position", "show", "--format", "file"]);
    expect(shown.stderr).toBe("");
    const position = JSON.parse(shown.stdout) as Record<string, unknown>;
    expect(Object.keys(position)).toEqual(["log_file", "log_pos", "timestamp", "readable_time"]);
    const { timestamp, readable_time: readable } = position;
    expect(Date.parse(String(readable).replace(" UTC", "Z"))).toBe(
      Math.floor(Number(timestamp)) * 1_000,
    );
    const [status] = await ask(mysql, "SHOW BINARY LOG STATUS");
    const end = `${String(status?.["File"])}:${String(status?.["Position"])}`;
    expect(`${String(position["log_file"])}:${String(position["log_pos"])}`).toBe(end);
    const file = join(place.folder, "binlog_position_shop_orders.json");
    const set = async (value: unknown) => {
      writeFileSync(file, JSON.stringify(value));
      return place.run(["position", "set", file]);
    };

    await insert(2);
    const same = await set(position);
    expect(same.stdout).toContain("The position is the same");
    const second = await start();
    await until("row 2", () => lines(path()).length === 2);
    await stop(second);
    // As it is when the rows of a transaction have been read, and its end has not.
    const events = await ask(mysql, `SHOW BINLOG EVENTS IN '${String(position["log_file"])}'`);
    const inside = events.filter(event => event["Event_type"] === "Write_rows").at(-1);
    const back = await set({ ...position, log_pos: Number(inside?.["End_log_pos"]) });
    expect(back.stdout).toContain(`goes on at ${end}`);
    const third = await start();
    await until("row 2 again", () => lines(path()).length === 3);
    await stop(third);
    expect(lines(path())).toEqual([1, 2, 2]);
  });

  test("show tells that there is none, and MySQL that is away ends set with 69", async () => {
    expect((await place.run(["position", "show"])).stdout).toContain("no checkpoint");
    place.configure({ host: "127.0.0.1", port: 1 }, { sink: { type: "file", path: path() } });
    const away = await place.run(["position", "set", "latest", "--connect-timeout", "1"]);
    expect(away.status).toBe(69);
  });
});

describe("decode", () => {
  interface Line {
    readonly type: string;
    readonly table?: string;
    readonly sql?: string;
    readonly gtid: string | null;
    readonly rows?: readonly {
      before?: Record<string, unknown>;
      after?: Record<string, unknown>;
    }[];
  }
  const parse = (stdout: string): readonly Line[] =>
    stdout
      .split("\n")
      .filter(line => line !== "")
      .map(line => JSON.parse(line) as Line);
  const url = (): string => `mysql://${place.user}@${mysql.host}:${mysql.port}`;

  test("prints the changes of a database from a place on, and ends at its limit", async () => {
    const [status] = await ask(mysql, "SHOW BINARY LOG STATUS");
    const from = `${String(status?.["File"])}:${String(status?.["Position"])}`;
    const { database } = place;
    await ask(
      mysql,
      `CREATE TABLE ${database}.t (id BIGINT UNSIGNED PRIMARY KEY, d DECIMAL(20,4), at DATETIME(3), j JSON, b VARBINARY(9), f BIT(3))`,
      `INSERT INTO ${database}.t VALUES (18446744073709551615, 1.50, '2026-01-02 03:04:05.678', '{"a": 1}', 'xyz', b'101'), (2, NULL, NULL, NULL, NULL, NULL)`,
      `UPDATE ${database}.t SET d = 2 WHERE id = 2`,
      `DELETE FROM ${database}.t WHERE id = 2`,
      `CREATE USER other_${place.id}@'%' IDENTIFIED BY 'secret-word'`,
      `INSERT INTO ${database}.orders VALUES (1, 'a')`,
    );
    const args = ["decode", `${url()}/${database}`, "--start", from];
    const { status: code, stdout, stderr } = await place.run([...args, "--limit", "6"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const found = parse(stdout);
    expect(found.map(({ type, table }) => [type, table])).toEqual([
      ["statement", undefined],
      ["insert", `${database}.t`],
      ["update", `${database}.t`],
      ["delete", `${database}.t`],
      ["statement", undefined],
      ["insert", `${database}.orders`],
    ]);
    expect(stdout).toContain(
      '"id":18446744073709551615,"d":"1.5000","at":"2026-01-02 03:04:05.678"',
    );
    expect(stdout).toContain('"j":{"a": 1},"b":"eHl6","f":"101"');
    expect(found[2]?.rows?.[0]).toMatchObject({ before: { d: null }, after: { d: "2.0000" } });
    expect(found[4]?.sql).toContain("********");
    expect(found[4]?.sql).not.toMatch(/\$A\$/);
    const filtered = await place.run([...args, "--limit", "1", "--tables", `${database}.ord*`]);
    expect(parse(filtered.stdout).filter(({ type }) => type !== "statement")).toEqual([]);
  });

  test("ends with 0 at SIGINT and when its reader is gone, and leaves a pipeline alone", async () => {
    place.configure(mysql, { kafka });
    const pipeline = await start();
    const interrupted = place.start(["decode", url(), "--tables", `${place.database}.*`]);
    running.push(interrupted);
    await until("a line", async () => {
      await insert(Date.now() % 1e9);
      return interrupted.output().stdout.includes("insert");
    });
    interrupted.kill("SIGINT");
    expect((await interrupted.ended).status).toBe(0);
    const piped = place.start(["decode", url(), "--start", "earliest"]);
    running.push(piped);
    piped.closeOutput();
    expect((await piped.ended).status).toBe(0);
    expect(pipeline.output().stderr).not.toMatch(/"level":"(warn|error)".*(waited for|sent away)/);
    await stop(pipeline);
  });
});
