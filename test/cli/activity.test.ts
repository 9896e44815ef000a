import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ActivitySampler, type ChangeCounts } from "../../src/cli/activity-sample.ts";
import { activityJson, activityLine, activityTable } from "../../src/cli/activity-view.ts";
import { LivePicture } from "../../src/cli/live-picture.ts";
import { loadActivity, type ActivityForm } from "../../src/config/activity-form.ts";

const counts = (...tables: [string, number, number?, number?][]): Map<string, ChangeCounts> =>
  new Map(
    tables.map(([id, insert, update = 0, deleted = 0]) => [
      id,
      { insert, update, delete: deleted },
    ]),
  );

const time = new Date("2026-11-21T09:10:29Z");
const title = "db:3306, 3 s";

/** After a second look, 2 s after the first. */
function sample() {
  const sampler = new ActivitySampler();
  sampler.sample(counts(["shop.orders", 1_000], ["shop.items", 5], ["quiet.a", 7]), 1);
  return sampler.sample(
    counts(["shop.orders", 1_100, 30, 10], ["shop.items", 8], ["quiet.a", 7], ["hr.x\u001B[2J", 2]),
    2,
  );
}

describe("activity", () => {
  test("is what changed since the last look, the busiest first", () => {
    expect(activityLine(sample(), time)).toBe(
      "2026-11-21T09:10:29.000Z 73 rows/s: shop 72/s (orders 70, items 1.5), hr 1/s (x?[2J 1)",
    );
    expect(JSON.parse(activityJson(sample(), time))).toEqual({
      time: "2026-11-21T09:10:29.000Z",
      seconds: 2,
      rows: 145,
      schemas: [
        {
          ...{ schema: "shop", insert: 103, update: 30, delete: 10 },
          tables: [
            { table: "orders", insert: 100, update: 30, delete: 10 },
            { table: "items", insert: 3, update: 0, delete: 0 },
          ],
        },
        {
          ...{ schema: "hr", insert: 2, update: 0, delete: 0 },
          tables: [{ table: "x\u001B[2J", insert: 2, update: 0, delete: 0 }],
        },
      ],
    });
    expect(activityLine(new ActivitySampler().sample(new Map(), 1), time)).toBe(
      "2026-11-21T09:10:29.000Z no changes",
    );
  });

  test("is a table on a terminal", () => {
    expect(activityTable(sample(), { title, width: 80, height: 24 })).toEqual([
      "db:3306, 3 s, 73 rows/s",
      "schema, table                 rows/s   insert/s   update/s   delete/s       rows",
      "shop                              72         52         15          5      1,148",
      "  orders                          70         50         15          5      1,140",
      "  items                          1.5        1.5          0          0          8",
      "hr                                 1          1          0          0          2",
      "  x?[2J                            1          1          0          0          2",
      "quiet                              0          0          0          0          7",
      "  a                                0          0          0          0          7",
    ]);
  });

  test("is cut to the terminal: schemas first, then the busiest tables", () => {
    const lines = activityTable(sample(), { title, width: 40, height: 8 });
    expect(lines).toEqual([
      "db:3306, 3 s, 73 rows/s",
      "schema, table          rows/s       rows",
      "shop                       72      1,148",
      "  orders                   70      1,140",
      "hr                          1          2",
      "quiet                       0          7",
      "… and 3 more",
    ]);
  });

  test.each([
    ["a_name_that_is_far_too_long_for_it", "a_name_that_is_fa…"],
    ["商品商品商品商品商品", "商品商品商品商品…"],
  ])("shows %s no wider than its column", (name, shown) => {
    const picture = { title, width: 40, height: 20 };
    const named = new ActivitySampler().sample(counts([`${name}.t`, 1]), 1);
    const line = activityTable(named, picture)[2] ?? "";
    expect(line.startsWith(shown)).toBe(true);
    expect(line.endsWith("          1          1")).toBe(true);
  });
});

test("a picture is drawn over itself, and what is logged stands above it", () => {
  let screen = "";
  const picture = new LivePicture(text => (screen += text));
  picture.above("before\n");
  picture.draw(["one", "two"]);
  picture.above("logged\n");
  picture.draw(["three"]);
  picture.end();
  expect(screen).toBe(
    "before\n\u001B[?25lone\ntwo\n\r\u001B[2A\u001B[Jlogged\none\ntwo\n\r\u001B[2A\u001B[Jthree\n\u001B[?25h",
  );
});

describe("the options", () => {
  const form: ActivityForm = {
    ...{ host: "localhost", port: "3306", user: "root", workers: "5", queueSize: "10000" },
    ...{ interval: "1", tables: ["*.*"], name: "activity", stateDir: "state", verbose: false },
    overrides: [],
  };

  test("make a pipeline to the queue, with the defaults of Schema Activity Monitor", () => {
    const queueUrl = "https://sqs.eu-west-1.amazonaws.com/123456789012/MyQueue.fifo";
    const environment = { TIDEMARK_MYSQL_PASSWORD: "from-environment" };
    const { config, warnings } = loadActivity({ ...form, queueUrl }, environment);
    expect(warnings).toEqual([]);
    expect(config).toMatchObject({
      source: {
        ...{ host: "localhost", port: 3306, user: "root", password: "from-environment" },
        ...{ serverId: 42897, start: { kind: "latest" } },
      },
      queue: { maxEntries: 10_000 },
      pipelines: [
        {
          format: { type: "activity", intervalS: 1 },
          sink: { type: "sqs", queue: queueUrl, inFlight: 5, group: "schema" },
          commitLog: { type: "file", dir: "state" },
        },
      ],
      log: { level: "info" },
    });
  });

  test("take everything that is given", () => {
    const passwordFile = join(mkdtempSync(join(tmpdir(), "tidemark-activity-")), "password");
    writeFileSync(passwordFile, "from-file\n", { mode: 0o600 });
    const { config } = loadActivity(
      {
        ...form,
        ...{ passwordFile, serverId: "7", gtidSet: "a:1-200", workers: "10", queueSize: "20000" },
        ...{ queueUrl: "q.fifo", verbose: true, overrides: ["source.tls.mode=required"] },
      },
      { TIDEMARK_MYSQL_PASSWORD: "from-environment" },
    );
    expect(config).toMatchObject({
      source: {
        ...{ password: "from-file", serverId: 7, tls: { mode: "required" } },
        start: { kind: "gtid-set", gtidSet: "a:1-200" },
      },
      queue: { maxEntries: 20_000 },
      pipelines: [{ sink: { inFlight: 10 } }],
      log: { level: "debug" },
    });
  });

  test("warn of a password that others can see, and name what is wrong", () => {
    expect(loadActivity({ ...form, password: "secret" }, {}).warnings).toEqual([
      expect.stringContaining("TIDEMARK_MYSQL_PASSWORD"),
    ]);
    expect(() => loadActivity({ ...form, workers: "none", queueUrl: "q.fifo" }, {})).toThrow(
      "pipelines.activity.sink.in_flight",
    );
  });
});
