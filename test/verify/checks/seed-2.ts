/**
 * examples/table-cdc.yaml, as whoever used MySQL CDC Setup would run it, with the variables of its README: the rows
 * that are there, each as snapshot_insert; an insert, an update and a delete to the letter; no row again at the next
 * start, but all of them with FORCE_SNAPSHOT=true; and the position file.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RowDataPacket } from "mysql2/promise";
import type { Outcome } from "../campaign.ts";
import { Consumer } from "../consumer.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { cdcUser } from "../servers.ts";
import { DATABASE, withExample, type Example } from "../seeds/example.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const ROWS = 20_000;
const TABLE = "orders";
const TOPIC = "cdc-changes-topic";
const PATIENCE_MS = 180_000;
const POSITION_FIELDS = "log_file,log_pos,timestamp,readable_time";

interface Written {
  readonly kind: string;
  readonly id: string;
}

const shown = {
  insert: {
    ...{ kind: "insert", schema: DATABASE, table: TABLE },
    ...{ columnnames: ["id", "item"], columnvalues: [-1, "first"], oldkeys: {} },
  },
  update: {
    ...{ kind: "update", schema: DATABASE, table: TABLE },
    ...{ columnnames: ["id", "item"], columnvalues: [-1, "second"] },
    oldkeys: { keynames: ["id", "item"], keyvalues: [-1, "first"] },
  },
  delete: {
    ...{ kind: "delete", schema: DATABASE, table: TABLE, columnnames: [], columnvalues: [] },
    oldkeys: { keynames: ["id", "item"], keyvalues: [-1, "second"] },
  },
};

export async function seed2({ options, servers }: CheckContext): Promise<Outcome> {
  const [mysql, kafka] = [await servers.mysql(), await servers.kafka(1)];
  const rows = rounds(options, ROWS, 2_000);
  const environment = {
    ...{ MYSQL_USER: cdcUser.user, MYSQL_DATABASE: DATABASE, MYSQL_TABLE: TABLE },
    ...{ INITIAL_SNAPSHOT: "true", FORCE_SNAPSHOT: "false", SNAPSHOT_BATCH_SIZE: "1000" },
    ...{
      Quix__State__Dir: "./tidemark-state",
      output: TOPIC,
      KAFKA_BROKER: kafka.brokers[0] ?? "",
    },
  };
  const topic = new Topic(kafka.brokers);
  const setup = {
    ...{ name: "table-cdc", mysql, environment },
    tables: [`CREATE TABLE ${TABLE} (id INT PRIMARY KEY, item VARCHAR(50))`],
  };
  try {
    return await withExample(setup, async example => {
      const { connection, product } = example;
      await connection.query(`GRANT SELECT ON ${DATABASE}.${TABLE} TO '${cdcUser.user}'@'%'`);
      await connection.query("SET SESSION cte_max_recursion_depth = 1000000");
      await connection.query(
        `INSERT INTO ${TABLE} WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows})
         SELECT id, CONCAT('item ', id) FROM n`,
      );
      const [selected] = await connection.query<RowDataPacket[]>(`SELECT id, item FROM ${TABLE}`);
      const existing = selected.map(({ id, item }) =>
        JSON.stringify({
          ...{ kind: "snapshot_insert", schema: DATABASE, table: TABLE },
          ...{ columnnames: ["id", "item"], columnvalues: [Number(id), String(item)], oldkeys: {} },
        }),
      );
      product.start();
      await topic.holds(rows, product);
      const first = differences(existing, topic.take());

      for (const statement of [
        `INSERT INTO ${TABLE} VALUES (-1, 'first')`,
        `UPDATE ${TABLE} SET item = 'second' WHERE id = -1`,
        `DELETE FROM ${TABLE} WHERE id = -1`,
      ]) {
        await connection.query(statement);
      }
      await topic.holds(3, product);
      const changes = differences(
        Object.values(shown).map(one => JSON.stringify(one)),
        topic.take(),
      );
      const ended = await product.terminate();

      const position = positionFile(example);
      product.start();
      await connection.query(`INSERT INTO ${TABLE} VALUES (-2, 'third')`);
      await topic.holds(1, product);
      await product.terminate();
      await topic.holds(0, product);
      const onlyNew = topic.take().map(text => (JSON.parse(text) as Written).kind);

      product.environment["FORCE_SNAPSHOT"] = "true";
      product.start();
      await topic.holds(rows + 1, product);
      await product.terminate();
      await topic.holds(0, product);
      const third = existing[0]?.replace('[1,"item 1"]', '[-2,"third"]') ?? "";
      const forced = differences([...existing, third], topic.take());
      const figures = {
        ...{ seed: options.seed, rows, snapshot_wrong: first, changes_wrong: changes },
        ...{ second_start: onlyNew.join(), forced_wrong: forced, position },
        exit_code: ended.code,
      };
      const isRight = onlyNew.join() === "insert" && position === "the same";
      return {
        ok: first + changes + forced === 0 && isRight && ended.code === 0,
        void: false,
        figures,
      };
    });
  } finally {
    topic.close();
  }
}

/** How many of each are missing or too many, whatever their order: rows of one read have none. */
function differences(wanted: readonly string[], got: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const text of wanted) counts.set(text, (counts.get(text) ?? 0) + 1);
  for (const text of got) counts.set(text, (counts.get(text) ?? 0) - 1);
  const wrong = [...counts].filter(([, count]) => count !== 0);
  for (const [text, count] of wrong.slice(0, 3)) progress(`seed-2: ${count} of ${text}`);
  return wrong.length;
}

/** What `position show` exports, and `position set` makes of it; "the same" if it is what it should be. */
function positionFile({ dir, product }: Example): string {
  const config = fileURLToPath(new URL("../../../examples/table-cdc.yaml", import.meta.url));
  const command = (...words: readonly string[]) =>
    spawnSync(process.execPath, [product.bundle, "position", ...words, "--config", config], {
      ...{ cwd: dir, encoding: "utf8" as const },
      env: { ...process.env, ...product.environment },
    });
  const exported = command("show", "--format", "file");
  if (exported.status !== 0) return exported.stderr;
  const fields = Object.keys(JSON.parse(exported.stdout) as object).join();
  if (fields !== POSITION_FIELDS) return fields;
  const path = join(dir, `binlog_position_${DATABASE}_${TABLE}.json`);
  writeFileSync(path, exported.stdout);
  if (!existsSync(join(dir, "tidemark-state", "table-cdc.json"))) return "the state is elsewhere";
  const set = command("set", path);
  const isSame =
    set.status === 0 && set.stdout.includes("nothing is skipped and nothing sent again");
  return isSame ? "the same" : set.stdout + set.stderr;
}

class Topic {
  readonly #consumer: Consumer;
  #texts: string[] = [];

  constructor(brokers: readonly string[]) {
    this.#consumer = new Consumer(brokers, topic => topic === TOPIC);
  }

  /** Waits until so many messages are there, and a little for too many. */
  async holds(count: number, product: Example["product"]): Promise<void> {
    await until(
      async () => {
        await this.#consumer.readToEnd(({ value }) => this.#texts.push(value?.toString() ?? ""));
        if (product.ended && this.#texts.length < count)
          throw new Error(`Tidemark ended:\n${product.logTail(5)}`);
        return this.#texts.length >= count;
      },
      { what: `${count} messages`, timeoutMs: PATIENCE_MS, intervalMs: 250 },
    );
  }

  take(): readonly string[] {
    const texts = this.#texts;
    this.#texts = [];
    return texts;
  }

  close(): void {
    this.#consumer.close();
  }
}
