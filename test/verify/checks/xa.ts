/**
 * XA transactions with `source.xa: at_commit`: several sessions prepare, commit and roll back theirs, interleaved
 * with each other and with ordinary transactions, over rotations of the binlog and kills of the program. As one hand
 * writes it all, the order of the commits is known, and so is every message in turn.
 */
import { createConnection, type Connection } from "mysql2/promise";
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { Digits } from "../types/exact-json.ts";
import { FileRun, type Envelope, type Row } from "../types/file-run.ts";
import { DATABASE, TypesSource, type Metadata } from "../types/source.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const SERVERS: readonly (readonly [version: MysqlVersion, metadata: Metadata])[] = [
  ["mysql-9", "FULL"],
  ["mysql-8", "FULL"],
  ["mysql-8", "MINIMAL"],
  ["mysql-5", "MINIMAL"],
  ["mariadb", "FULL"],
];

const STEPS = 2_000;
const KILLS = 20;
const CHANGES_MIN = 1_000;
const SESSIONS = 8;
const ROTATIONS = 10;
/** More than Tidemark keeps of what is prepared. */
const LARGE_ROWS = 12;
const LARGE_BYTES = 500_000;
const PATIENCE_MS = 120_000;
const STOPPED = 65;

export async function xa({ options }: CheckContext): Promise<Outcome> {
  const figures: Record<string, Figure> = { seed: options.seed };
  const steps = rounds(options, STEPS);
  const kills = options.kills ?? rounds(options, KILLS, 3);
  let [ok, isVoid] = [true, false];
  for (const [version, metadata] of SERVERS) {
    const name = `${version} ${metadata}`;
    const random = new Random(options.seed, name);
    const source = await TypesSource.start(version, metadata);
    const trial = new Trial(source, random);
    try {
      await trial.run(steps, kills);
      const purged = await trial.purge();
      const counts = trial.counts();
      progress(
        `xa: ${name}: ${JSON.stringify(counts)}${purged === "" ? "" : `; purged: ${purged}`}`,
      );
      for (const [figure, count] of Object.entries(counts)) figures[`${name} ${figure}`] = count;
      const { lost, phantom, duplicated, out_of_order: disorder } = counts;
      ok &&= lost + phantom + duplicated + disorder === 0 && purged === "";
      isVoid ||=
        counts.written < rounds(options, CHANGES_MIN) || counts.kills_in_flight < 0.8 * kills;
      isVoid ||= counts.committed === 0 || counts.rolled_back === 0 || counts.across_kill === 0;
    } finally {
      await trial.close();
      await source.stop();
    }
  }
  return { ok: ok && !isVoid, void: ok && isVoid, figures };
}

interface Branch {
  readonly connection: Connection;
  readonly first: number;
  /** Of those that are open. */
  xid: string | undefined;
  changes: string[];
  /** How many kills there had been when it was prepared. */
  kills: number;
}

class Trial {
  readonly #source: TypesSource;
  readonly #random: Random;
  readonly #branches: Branch[] = [];
  /** What has to arrive, in this order. */
  readonly #expected: string[] = [];
  #product: FileRun | undefined;
  #version = 0;
  #alive = new Map<number, number>();
  #totals = {
    prepared: 0,
    committed: 0,
    rolled_back: 0,
    one_phase: 0,
    across_kill: 0,
    rotations: 0,
  };
  #kills = 0;
  #killsInFlight = 0;

  constructor(source: TypesSource, random: Random) {
    this.#source = source;
    this.#random = random;
  }

  get #run(): FileRun {
    if (this.#product === undefined) throw new Error("It was never started.");
    return this.#product;
  }

  async run(steps: number, kills: number): Promise<void> {
    await this.#source.run("CREATE TABLE t (id INT PRIMARY KEY, version INT, pad LONGTEXT)");
    for (let i = 0; i < SESSIONS; i += 1) {
      const { host, port, user, password } = this.#source.mysql;
      const connection = await createConnection({ host, port, user, password, database: DATABASE });
      await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
      const branch: Branch = {
        ...{ connection, first: i * 1_000, xid: undefined, changes: [], kills: 0 },
      };
      this.#branches.push(branch);
    }
    // One is prepared before anything is read, and in an earlier file.
    await this.#prepare(this.#branches[0] as Branch);
    await this.#rotate();
    const start = await this.#source.position();
    this.#product = new FileRun(this.#source.mysql, start, { xa: "at_commit" });
    await until(() => this.#run.hasCheckpoint, {
      what: "the program reads",
      timeoutMs: PATIENCE_MS,
    });
    const [killEvery, rotateEvery] = [Math.floor(steps / kills), Math.floor(steps / ROTATIONS)];
    for (let step = 1; step <= steps; step += 1) {
      await this.#step(step);
      if (step % rotateEvery === 0) await this.#rotate();
      if (step % killEvery === 0) await this.#kill();
    }
    await this.#settle();
  }

  /** Ends what is open, and waits for everything. */
  async #settle(): Promise<void> {
    for (const branch of this.#branches) if (branch.xid !== undefined) await this.#end(branch);
    await this.#ordinary(this.#branches[0] as Branch);
    await this.#arrival();
  }

  async #arrival(): Promise<void> {
    const { product } = this.#run;
    const last = this.#expected.at(-1) ?? "";
    await until(() => product.ended !== undefined || this.#has(last), {
      what: "the last change arrives",
      timeoutMs: PATIENCE_MS,
    });
    if (product.ended) throw new Error(`Tidemark ended:\n${product.logTail(4)}`);
  }

  #has(change: string): boolean {
    return this.#delivered().includes(change, -1);
  }

  #delivered(): string[] {
    return this.#run.messages().map(textOf);
  }

  async #step(step: number): Promise<void> {
    const branch = this.#random.pick(this.#branches);
    if (branch.xid !== undefined) {
      // Some stay prepared for long.
      if (this.#random.chance(0.5)) await this.#end(branch);
      return;
    }
    const kind = this.#random.next();
    if (kind < 0.3) await this.#ordinary(branch);
    else if (kind < 0.5) await this.#onePhase(branch, step % 50 === 0);
    else await this.#prepare(branch, step % 50 === 1);
  }

  async #ordinary(branch: Branch): Promise<void> {
    await branch.connection.query("START TRANSACTION");
    await this.#change(branch);
    await branch.connection.query("COMMIT");
    this.#commit(branch);
  }

  async #begin(branch: Branch, isLarge: boolean): Promise<string> {
    const xid = this.#random.chance(0.5)
      ? `'g${this.#version}'`
      : `'global "${this.#version}"', 'branch', ${this.#random.int(1, 99)}`;
    await branch.connection.query(`XA START ${xid}`);
    await this.#change(branch, isLarge);
    await branch.connection.query(`XA END ${xid}`);
    return xid;
  }

  async #prepare(branch: Branch, isLarge = false): Promise<void> {
    const xid = await this.#begin(branch, isLarge);
    await branch.connection.query(`XA PREPARE ${xid}`);
    branch.xid = xid;
    branch.kills = this.#kills;
    this.#totals.prepared += 1;
  }

  async #onePhase(branch: Branch, isLarge: boolean): Promise<void> {
    const xid = await this.#begin(branch, isLarge);
    await branch.connection.query(`XA COMMIT ${xid} ONE PHASE`);
    this.#commit(branch);
    this.#totals.one_phase += 1;
  }

  async #end(branch: Branch): Promise<void> {
    const isCommit = this.#random.chance(0.6);
    await branch.connection.query(`XA ${isCommit ? "COMMIT" : "ROLLBACK"} ${branch.xid ?? ""}`);
    if (isCommit) {
      this.#commit(branch);
      this.#totals.committed += 1;
      if (branch.kills < this.#kills) this.#totals.across_kill += 1;
    } else {
      branch.changes = [];
      await this.#refresh(branch);
      this.#totals.rolled_back += 1;
    }
    branch.xid = undefined;
  }

  #commit(branch: Branch): void {
    this.#expected.push(...branch.changes);
    branch.changes = [];
  }

  /** After a roll-back the rows are what they were. */
  async #refresh({ first }: Branch): Promise<void> {
    for (let id = first; id < first + 1_000; id += 1) this.#alive.delete(id);
    const rows = await this.#source.select(
      `SELECT id, version FROM t WHERE id BETWEEN ${first} AND ${first + 999}`,
    );
    for (const row of rows) this.#alive.set(Number(row["id"]), Number(row["version"]));
  }

  async #change(branch: Branch, isLarge = false): Promise<void> {
    const count = isLarge ? LARGE_ROWS : this.#random.int(1, 6);
    for (let i = 0; i < count; i += 1) {
      const id = branch.first + this.#random.int(0, isLarge ? 999 : 30);
      const before = this.#alive.get(id);
      this.#version += 1;
      const version = this.#version;
      const pad = `REPEAT('x', ${isLarge ? LARGE_BYTES : this.#random.int(0, 200)})`;
      if (before === undefined) {
        await branch.connection.query(`INSERT INTO t VALUES (${id}, ${version}, ${pad})`);
        branch.changes.push(`c ${id} ${version}`);
        this.#alive.set(id, version);
      } else if (this.#random.chance(0.3)) {
        await branch.connection.query(`DELETE FROM t WHERE id = ${id}`);
        branch.changes.push(`d ${id} ${before}`);
        this.#alive.delete(id);
      } else {
        const set = `version = ${version}, pad = ${pad}`;
        await branch.connection.query(`UPDATE t SET ${set} WHERE id = ${id}`);
        branch.changes.push(`u ${id} ${version}`);
        this.#alive.set(id, version);
      }
    }
  }

  async #rotate(): Promise<void> {
    await this.#source.run("FLUSH BINARY LOGS");
    this.#totals.rotations += 1;
  }

  /** Right behind a commit, whose rows can hardly have arrived. */
  async #kill(): Promise<void> {
    const open = this.#branches.find(branch => branch.xid !== undefined);
    if (open !== undefined) await this.#end(open);
    await this.#ordinary(this.#branches.find(({ xid }) => xid === undefined) as Branch);
    await this.#run.product.kill();
    if (!this.#has(this.#expected.at(-1) ?? "")) this.#killsInFlight += 1;
    this.#kills += 1;
    this.#run.product.start();
  }

  /** What is wrong where the rows of a prepared transaction should be gone when it is committed; "" if nothing is. */
  async purge(): Promise<string> {
    const [branch, other] = this.#branches as [Branch, Branch];
    await this.#prepare(branch);
    await this.#rotate();
    await this.#ordinary(other);
    await this.#arrival();
    await this.#run.product.terminate();
    const kept = await this.#purgeFiles();
    await branch.connection.query(`XA COMMIT ${branch.xid ?? ""}`);
    const { product } = this.#run;
    const before = this.#delivered().length;
    product.start();
    if (kept) {
      this.#commit(branch);
      await this.#arrival();
      return "";
    }
    const ended = (): boolean => product.ended !== undefined;
    await until(ended, { what: "the program ends", timeoutMs: PATIENCE_MS });
    const said = product.logTail(1);
    const isRight =
      product.ended?.code === STOPPED &&
      /XA COMMIT X'.*prepared at \S+:\d+.*position set/.test(said) &&
      this.#delivered().length === before;
    return isRight ? "" : `it ended with ${product.ended?.code}: ${said}`;
  }

  /** All but the newest. MariaDB keeps those that hold what is prepared; then true. */
  async #purgeFiles(): Promise<boolean> {
    const { file } = await this.#source.position();
    await this.#source.run(`PURGE BINARY LOGS TO '${file}'`);
    return (await this.#source.select("SHOW BINARY LOGS")).length > 1;
  }

  counts() {
    const delivered = this.#delivered();
    const seen = new Set<string>();
    let duplicated = 0;
    for (const change of delivered) {
      if (seen.has(change)) duplicated += 1;
      seen.add(change);
    }
    const wanted = new Set(this.#expected);
    const lost = this.#expected.filter(change => !seen.has(change)).length;
    const phantom = delivered.filter(change => !wanted.has(change)).length;
    const disorder = delivered.filter((change, i) => change !== this.#expected[i]).length;
    return {
      ...{ written: this.#expected.length, delivered: delivered.length },
      ...{
        lost,
        phantom,
        duplicated,
        out_of_order: lost + phantom + duplicated > 0 ? 0 : disorder,
      },
      ...{ kills: this.#kills, kills_in_flight: this.#killsInFlight },
      ...this.#totals,
    };
  }

  async close(): Promise<void> {
    for (const { connection } of this.#branches) connection.destroy();
    await this.#product?.dispose();
  }
}

/** No two changes have the same: a version is given once, and removed once. */
function textOf({ op, before, after }: Envelope): string {
  const row: Row = (op === "d" ? before : after) ?? {};
  const digits = (name: string): string => {
    const value = row[name];
    return value instanceof Digits ? value.text : "?";
  };
  return `${op} ${digits("id")} ${digits("version")}`;
}
