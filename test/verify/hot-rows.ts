/**
 * Few rows that change all the time, for the check of de-duplication: the writer, and a consumer that knows
 * nothing but the `row-events` in a queue of RabbitMQ.
 */
import { connect, type Channel, type ChannelModel, type ConsumeMessage } from "amqplib";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { Random } from "./random.ts";
import { sleep } from "./wait.ts";

export const DATABASE = "v_dedupe";
const TABLE = `${DATABASE}.hot`;
const EMPTY_MS = 50;

export type Rows = ReadonlyMap<string, string>;

export class HotWriter {
  readonly #connection: Connection;
  readonly #random: Random;
  readonly #alive = new Set<number>();
  /** Changes of each row, by its key: two for a change of the key. */
  readonly changes = new Map<number, number>();
  /** Rows changed, as the binlog counts them. */
  written = 0;
  #version = 0;

  constructor(connection: Connection, seed: number) {
    this.#connection = connection;
    this.#random = new Random(seed, "hot rows");
  }

  /** In a server whose binlog begins anew. */
  async prepare(reset: string): Promise<void> {
    await this.#connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await this.#connection.query(reset);
    await this.#connection.query(`CREATE DATABASE ${DATABASE}`);
    await this.#connection.query(
      `CREATE TABLE ${TABLE} (id INT NOT NULL PRIMARY KEY, version INT NOT NULL, flip INT NOT NULL, note VARCHAR(40))`,
    );
  }

  /** A small transaction on some of these rows: updates only, or all that can happen to a row. */
  async change(ids: readonly number[], kinds: "updates" | "all"): Promise<void> {
    const statements = Array.from({ length: this.#random.int(1, 6) }, () =>
      this.#statement(this.#random.pick(ids), ids, kinds),
    );
    await this.#connection.query("BEGIN");
    for (const statement of statements) await this.#connection.query(statement);
    await this.#connection.query("COMMIT");
  }

  #statement(id: number, ids: readonly number[], kinds: "updates" | "all"): string {
    this.#version += 1;
    this.written += 1;
    this.#count(id);
    if (!this.#alive.has(id)) {
      this.#alive.add(id);
      return `INSERT INTO ${TABLE} VALUES (${id}, ${this.#version}, 0, 'new')`;
    }
    const other = this.#random.pick(ids);
    if (kinds === "all" && this.#random.chance(0.1)) {
      this.#alive.delete(id);
      return `DELETE FROM ${TABLE} WHERE id = ${id}`;
    }
    if (kinds === "all" && !this.#alive.has(other) && this.#random.chance(0.3)) {
      this.#alive.delete(id);
      this.#alive.add(other);
      this.#count(other);
      return `UPDATE ${TABLE} SET id = ${other}, version = ${this.#version} WHERE id = ${id}`;
    }
    // There and back again: what the original drops is the last of three such changes.
    const set = this.#random.chance(0.5) ? "flip = 1 - flip" : `version = ${this.#version}`;
    return `UPDATE ${TABLE} SET ${set} WHERE id = ${id}`;
  }

  #count(id: number): void {
    this.changes.set(id, (this.changes.get(id) ?? 0) + 1);
  }

  /** What the tables say. */
  async rows(): Promise<Rows> {
    const [rows] = await this.#connection.query<RowDataPacket[]>(`SELECT * FROM ${TABLE}`);
    return new Map(rows.map(row => [String(row["id"]), shown(row)]));
  }

  /** Where the binlog ends by now. */
  async position(): Promise<{ readonly file: string; readonly position: number }> {
    const version9 = "SHOW BINARY LOG STATUS";
    const [[row]] = await this.#connection
      .query<RowDataPacket[]>(version9)
      .catch(() => this.#connection.query<RowDataPacket[]>("SHOW MASTER STATUS"));
    return { file: String(row?.["File"]), position: Number(row?.["Position"]) };
  }
}

interface RowEvent {
  readonly type: string;
  readonly keys: Readonly<Record<string, unknown>>;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly after_values?: Readonly<Record<string, unknown>>;
}

export class HotConsumer {
  readonly #rows = new Map<string, Readonly<Record<string, unknown>>>();
  /** By row: messages, and when the last of them came. */
  readonly messages = new Map<number, number>();
  readonly lastMs = new Map<number, number>();
  readonly #places = new Map<string, number>();
  delivered = 0;
  /** Within one run of Tidemark a row must not go back to an earlier place in the binlog. */
  outOfOrder = 0;
  readonly #queue: string;
  readonly #model: ChannelModel;
  readonly #channel: Channel;

  private constructor(model: ChannelModel, channel: Channel, queue: string) {
    this.#model = model;
    this.#channel = channel;
    this.#queue = queue;
  }

  static async open(url: string, queue: string): Promise<HotConsumer> {
    const model = await connect(url);
    const channel = await model.createChannel();
    const consumer = new HotConsumer(model, channel, queue);
    await channel.deleteQueue(queue);
    await channel.assertQueue(queue, { durable: true });
    const take = (message: ConsumeMessage | null): void => {
      if (message !== null) consumer.#take(message);
    };
    await channel.consume(queue, take, { noAck: true });
    return consumer;
  }

  /** What the messages lead to. */
  get rows(): Rows {
    return new Map([...this.#rows].map(([key, row]) => [key, shown(row)]));
  }

  /** Everything is read that had arrived. */
  async drained(): Promise<void> {
    while ((await this.#channel.checkQueue(this.#queue)).messageCount > 0) await sleep(EMPTY_MS);
    await this.#channel.checkQueue(this.#queue);
  }

  async close(): Promise<void> {
    await this.#channel.deleteQueue(this.#queue);
    await this.#model.close();
  }

  #take({ content, properties }: ConsumeMessage): void {
    const event = JSON.parse(content.toString()) as RowEvent;
    const key = String(event.keys["id"]);
    const id = Number(key);
    this.delivered += 1;
    this.messages.set(id, (this.messages.get(id) ?? 0) + 1);
    this.lastMs.set(id, performance.now());
    this.#look(key, String(properties.messageId), properties.headers?.["position"] as string);
    if (event.type === "row_delete") this.#rows.delete(key);
    else if (event.type === "row_insert") this.#rows.set(key, event.values ?? {});
    else this.#rows.set(key, { ...this.#rows.get(key), ...event.after_values });
  }

  #look(key: string, id: string, position: string): void {
    const [, generation = ""] = /:g(\d+)(?::[dc])?$/.exec(id) ?? [];
    const [, file = "0", offset = "0"] = /\.(\d+):(\d+)$/.exec(position) ?? [];
    const place = Number(file) * 2 ** 32 + Number(offset);
    const lane = `${generation}/${key}`;
    if (generation === "" || (this.#places.get(lane) ?? -1) >= place) this.outOfOrder += 1;
    this.#places.set(lane, place);
  }
}

function shown(row: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(["id", "version", "flip", "note"].map(name => row[name]));
}
