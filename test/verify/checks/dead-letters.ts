/**
 * Dead letters under kills. One program has a pipeline to each kind of destination that can refuse a
 * message; all capture the same tables, of which one is refused everywhere. The letters are in files, then
 * in Kafka.
 *
 *   orders ──▶ taken                        killed in a burst of letters, or when the last is released
 *   poison ──▶ refused ─▶ dead letters ──▶ `tidemark redeliver`, when all is mended
 *
 * No letter may be missing, repeated or out of order, and none of its messages may arrive before it is
 * sent again; of `orders` each row arrives, once where the guarantees say so.
 */
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Kafka, Mysql } from "../../../tools/services/services.ts";
import { combined, type Outcome } from "../campaign.ts";
import { LetterFile, LetterTopic, type LetterBox } from "../letter-box.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import {
  LARGE_BYTES,
  REFUSED,
  RefusingKafka,
  RefusingRabbitmq,
  RefusingSqs,
  RefusingWebhook,
  TAKEN,
  type Refusing,
} from "../refusing.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

/** Letters that a round makes of each destination, with as many rows in between that are taken. */
const BURST = 12;
const TIMEOUT_MS = 120_000;
/** Below this share of kills that hit letters before their release, a run says nothing. */
const UNRELEASED_MIN = 0.5;

type Where = "file" | "kafka";

export async function deadLetters(context: CheckContext): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const where of ["file", "kafka"] as const) {
    const scene = await Scene.create(context, where);
    try {
      outcomes.push(await scene.run());
    } finally {
      await scene.close();
    }
    progress(`dead letters in ${where}: ${JSON.stringify(outcomes.at(-1)?.figures)}`);
  }
  return combined(outcomes);
}

class Scene {
  readonly #context: CheckContext;
  readonly #where: Where;
  readonly #mysql: Mysql;
  readonly #kafka: Kafka;
  readonly #dir = mkdtempSync(join(tmpdir(), "tidemark-verify-letters-"));
  readonly #database: string;
  readonly #product: Product;
  readonly #destinations: readonly Refusing[];
  readonly #letters: readonly LetterBox[];
  readonly #taken: ReadonlyMap<Refusing, Tally>;
  readonly #environment: Readonly<Record<string, string>>;
  /** Rows of `orders`, and versions of the row of `poison`. */
  #orders = 0;
  #versions = 0;

  static async create(context: CheckContext, where: Where): Promise<Scene> {
    const { servers } = context;
    const database = `v_letters_${where}`;
    const names = { pipeline: `letters_${where}`, database };
    const kafka = await servers.kafka(1);
    const sqs = await RefusingSqs.create(await servers.elasticmq(), names);
    const destinations: readonly Refusing[] = [
      new RefusingKafka(kafka, names),
      sqs,
      new RefusingRabbitmq(await servers.rabbitmq(), names),
      await RefusingWebhook.create(),
    ];
    for (const destination of destinations) await destination.prepare();
    const mysql = await servers.mysql();
    return new Scene(context, { where, database, kafka, mysql, destinations }, sqs.environment);
  }

  private constructor(
    context: CheckContext,
    made: {
      readonly where: Where;
      readonly database: string;
      readonly kafka: Kafka;
      readonly mysql: Mysql;
      readonly destinations: readonly Refusing[];
    },
    environment: Readonly<Record<string, string>>,
  ) {
    this.#context = context;
    this.#where = made.where;
    this.#database = made.database;
    this.#kafka = made.kafka;
    this.#mysql = made.mysql;
    this.#destinations = made.destinations;
    this.#environment = environment;
    this.#letters = made.destinations.map(({ kind }) => this.#letterBox(kind));
    this.#taken = new Map(made.destinations.map(destination => [destination, new Tally()]));
    // A copy: a build that ends in the meantime must not change what is tested.
    const bundle = join(this.#dir, "tidemark.mjs");
    copyFileSync(builtBundle(context.mutant), bundle);
    const config = join(this.#dir, "tidemark.yaml");
    this.#product = new Product({ bundle, config, dir: this.#dir, environment });
  }

  async run(): Promise<Outcome> {
    const { options } = this.#context;
    const kills = options.kills ?? (options.quick ? 6 : 15);
    const random = new Random(options.seed, `dead letters in ${this.#where}`);
    await this.#makeTables();
    this.#configure(false);
    this.#product.start();
    let unreleased = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const isInBurst = kill % 3 !== 2;
      const before = this.#versions;
      const writing = this.#writeBurst();
      await this.#untilLetters(isInBurst ? before + 1 + random.int(0, BURST - 3) : before + BURST);
      if (!isInBurst) await this.#untilReleased();
      await this.#product.kill();
      for (const box of this.#letters) await box.read();
      if (isInBurst && this.#letters.some(box => box.unreleased > 0)) unreleased += 1;
      this.#product.start();
      await writing;
      await this.#untilLetters(this.#versions);
    }
    await this.#untilTaken(tally => tally.orders.size === this.#orders);
    const early = this.#sum(({ versions }) => versions.length);
    const letters = this.#judgeLetters();
    const redelivery = await this.#redeliver();
    const inBurst = Math.ceil((kills * 2) / 3);
    const figures = {
      ...{ seed: options.seed, kills, kills_before_release: unreleased, ...letters },
      written: this.#orders + this.#versions,
      lost: this.#destinations.length * this.#orders - this.#sum(({ orders }) => orders.size),
      repeated: this.#sum(({ repeated }) => repeated),
      repeated_where_once: this.#repeatedWhereOnce,
      arrived_although_refused: early,
      ...redelivery,
    };
    const { letters_lost, letters_repeated, letters_out_of_order } = letters;
    const faults = [letters_lost, letters_repeated, letters_out_of_order, figures.lost, early];
    const ok =
      [...faults, this.#repeatedWhereOnce].every(count => count === 0) &&
      redelivery.redelivered === this.#destinations.length * this.#versions &&
      redelivery.redelivered_wrong === 0 &&
      redelivery.redelivered_again === 0;
    if (!ok) progress(`dead letters: the end of Tidemark's log:\n${this.#product.logTail()}`);
    return { ok, void: ok && unreleased < inBurst * UNRELEASED_MIN, figures };
  }

  async close(): Promise<void> {
    await this.#product.dispose();
    for (const destination of this.#destinations) await destination.close().catch(() => undefined);
    for (const box of this.#letters) box.close();
    rmSync(this.#dir, { recursive: true, force: true });
    await withConnection(this.#mysql, connection =>
      connection.query(`DROP DATABASE IF EXISTS ${this.#database}`),
    );
  }

  async #makeTables(): Promise<void> {
    const { version } = this.#mysql;
    await withConnection(this.#mysql, async connection => {
      await connection.query(`DROP DATABASE IF EXISTS ${this.#database}`);
      await connection.query(`CREATE DATABASE ${this.#database}`);
      for (const table of [TAKEN, REFUSED]) {
        await connection.query(
          `CREATE TABLE ${this.#database}.${table} (id INT PRIMARY KEY, version INT, body MEDIUMTEXT)`,
        );
      }
      const reset = version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
      await connection.query(reset);
    });
  }

  /** Each statement is a transaction of its own. The refused one is always of the same row. */
  #writeBurst(): Promise<void> {
    return withConnection(this.#mysql, async connection => {
      for (let n = 0; n < BURST; n += 1) {
        const { orders, poison } = { orders: (this.#orders += 1), poison: (this.#versions += 1) };
        await connection.query(`INSERT INTO ${this.#database}.${TAKEN} VALUES (${orders}, 1, 'b')`);
        await connection.query(
          `REPLACE INTO ${this.#database}.${REFUSED} VALUES (1, ${poison}, REPEAT('x', ${LARGE_BYTES}))`,
        );
      }
    });
  }

  #letterBox(kind: string): LetterBox {
    const pipeline = this.#pipeline(kind);
    const checkpoint = join(this.#dir, "state", `${pipeline}.json`);
    return this.#where === "file"
      ? new LetterFile(
          join(this.#dir, `letters-${kind}.jsonl`),
          `letters-${kind}.jsonl`,
          checkpoint,
        )
      : new LetterTopic(this.#kafka, `${pipeline}.letters`, checkpoint);
  }

  #pipeline(kind: string): string {
    return `letters_${this.#where}_${kind}`;
  }

  #configure(isMended: boolean): void {
    const { host, port } = this.#mysql;
    const pipelines = this.#destinations.map((destination, index) => ({
      name: this.#pipeline(destination.kind),
      tables: [`${this.#database}.*`],
      events: ["insert", "update"],
      sink: destination.sink(isMended),
      on_refused: { dead_letter: this.#letters[index]?.sink },
      commit_log: { type: "file", dir: "state" },
    }));
    const source = { host, port, ...cdcUser, start: "earliest" };
    writeFileSync(join(this.#dir, "tidemark.yaml"), JSON.stringify({ source, pipelines }));
  }

  async #untilLetters(count: number): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      if (!this.#product.isRunning) throw new Error("Tidemark has ended by itself.");
      for (const box of this.#letters) await box.read();
      return this.#letters.every(({ letters }) => letters.length >= count);
    };
    const what = `each destination has ${count} dead letters`;
    await until(isThere, { what, timeoutMs: TIMEOUT_MS, intervalMs: 1 });
  }

  #untilReleased(): Promise<void> {
    const isReleased = (): boolean => this.#letters.every(box => box.unreleased === 0);
    return until(isReleased, { what: "the letters are released", timeoutMs: TIMEOUT_MS });
  }

  async #untilTaken(isEnough: (tally: Tally) => boolean): Promise<void> {
    const isTaken = async (): Promise<boolean> => {
      await this.#readTaken();
      return [...this.#taken.values()].every(isEnough);
    };
    await until(isTaken, { what: "what was written is taken", timeoutMs: TIMEOUT_MS });
  }

  async #readTaken(): Promise<void> {
    for (const [destination, tally] of this.#taken) {
      await destination.read(({ id, value }) => tally.add(id, value));
    }
  }

  #sum(count: (tally: Tally) => number): number {
    return [...this.#taken.values()].reduce((sum, tally) => sum + count(tally), 0);
  }

  get #repeatedWhereOnce(): number {
    return [...this.#taken].reduce(
      (sum, [{ once }, tally]) => sum + (once ? tally.repeated : 0),
      0,
    );
  }

  #judgeLetters(): {
    readonly letters: number;
    readonly letters_lost: number;
    readonly letters_repeated: number;
    readonly letters_out_of_order: number;
  } {
    const sums = { letters: 0, letters_lost: 0, letters_repeated: 0, letters_out_of_order: 0 };
    for (const { letters } of this.#letters) {
      const versions = letters.map(({ original }) => versionOf(original.value.data));
      const ids = new Set(letters.map(({ id }) => id));
      sums.letters += letters.length;
      sums.letters_lost += this.#versions - new Set(versions).size;
      sums.letters_repeated += letters.length - ids.size;
      sums.letters_out_of_order += versions.filter((v, at) => v < (versions[at - 1] ?? 0)).length;
    }
    return sums;
  }

  /** Mended, while the pipelines run; a second time, there is nothing left to send. */
  async #redeliver(): Promise<{
    readonly redelivered: number;
    readonly redelivered_wrong: number;
    readonly redelivered_again: number;
  }> {
    await this.#product.terminate();
    for (const destination of this.#destinations) await destination.mend();
    this.#configure(true);
    this.#product.start();
    let again = 0;
    for (const { kind } of this.#destinations) {
      await this.#command(kind);
      again += await this.#command(kind);
    }
    await this.#untilTaken(({ versions }) => versions.length >= this.#versions);
    const wrong = this.#sum(
      ({ versions }) => versions.filter((version, at) => version !== at + 1).length,
    );
    const redelivered = this.#sum(({ versions }) => versions.length);
    return { redelivered, redelivered_wrong: wrong, redelivered_again: again };
  }

  async #command(kind: string): Promise<number> {
    const pipeline = ["--pipeline", this.#pipeline(kind)];
    const args = [this.#product.bundle, "redeliver", "--config", "tidemark.yaml", ...pipeline];
    const env = { ...process.env, ...this.#environment };
    const options = { cwd: this.#dir, env, timeout: TIMEOUT_MS };
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    return Number(/^(\d+) dead letters/.exec(stdout)?.[1]);
  }
}

/** What a destination took. */
class Tally {
  readonly orders = new Set<number>();
  /** Of the row that was refused, in the order in which they came. */
  readonly versions: number[] = [];
  repeated = 0;
  readonly #ids = new Set<string>();

  add(id: string, value: Buffer): void {
    const { source, after } = JSON.parse(value.toString()) as {
      readonly source: { readonly table: string };
      readonly after: { readonly id: number; readonly version: number };
    };
    if (this.#ids.has(id)) {
      this.repeated += 1;
      return;
    }
    this.#ids.add(id);
    if (source.table === REFUSED) this.versions.push(after.version);
    else this.orders.add(after.id);
  }
}

function versionOf(envelope: string): number {
  return (JSON.parse(envelope) as { after: { version: number } }).after.version;
}
