/**
 * The privileges of Tidemark's user, given as `tidemark check` asks for them and no further: with them it has
 * to deliver, and with any one of them taken away it has to end and name that one.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Found } from "../../check/support.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { cdcUser } from "../servers.ts";
import { FileRun, type Envelope } from "../types/file-run.ts";
import { DATABASE, TypesSource, type Metadata } from "../types/source.ts";
import { until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

/** Existing rows too; with `lock`, those of a table without a key. */
type Copying = "snapshot" | "lock";
type Server = readonly [version: MysqlVersion, metadata: Metadata, copying?: Copying];

const SERVERS: readonly Server[] = [
  ["mysql-8", "FULL", "snapshot"],
  ["mysql-9", "FULL", "snapshot"],
  ["mysql-9", "FULL", "lock"],
  ["mysql-5", "MINIMAL"],
  ["mysql-8", "FULL"],
  ["mysql-9", "FULL"],
  ["mysql-9", "MINIMAL"],
  ["mariadb", "FULL"],
];

const PATIENCE_MS = 60_000;
const ROUNDS_MAX = 5;
const ACCESS_DENIED = 77;
const USER = `'${cdcUser.user}'@'%'`;

export async function privileges({ options }: CheckContext): Promise<Outcome> {
  const figures: Record<string, Figure> = { seed: options.seed };
  let ok = true;
  for (const [version, metadata, copying] of SERVERS) {
    const name = [version, metadata, copying].join(" ").trimEnd();
    progress(`privileges: ${name}`);
    const source = await TypesSource.start(version, metadata);
    try {
      const { asked, wrong } = await new Trial(source, metadata, copying).judge();
      figures[name] = asked.join(", ");
      for (const fault of wrong) progress(`privileges: ${name}: ${fault}`);
      ok &&= wrong.length === 0;
    } finally {
      await source.stop();
    }
  }
  return { ok, void: false, figures };
}

class Trial {
  readonly #source: TypesSource;
  readonly #metadata: Metadata;
  readonly #copies: boolean;
  readonly #locks: boolean;
  readonly #wrong: string[] = [];
  #rows = 0;

  constructor(source: TypesSource, metadata: Metadata, copying: Copying | undefined) {
    this.#copies = copying !== undefined;
    this.#locks = copying === "lock";
    this.#source = source;
    this.#metadata = metadata;
  }

  async judge(): Promise<{ asked: readonly string[]; wrong: readonly string[] }> {
    await this.#source.run(
      `CREATE TABLE orders (id INT${this.#locks ? "" : " PRIMARY KEY"}, note VARCHAR(20))`,
      "INSERT INTO orders VALUES (0, 'there')",
    );
    await this.#grant([]);
    const mode = this.#copies ? "initial" : "never";
    const snapshot = { mode, no_key: this.#locks ? "lock" : "refuse" };
    const start = await this.#source.position();
    // A table that nobody shows is missed only where the pipeline names it.
    const named = this.#copies ? { tables: [`${DATABASE}.orders`] } : {};
    const run = new FileRun(this.#source.mysql, start, { snapshot }, named);
    try {
      await run.product.exit();
      const asked = await this.#askedFor(run);
      const expected = ["REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*"];
      if (this.#metadata === "MINIMAL") expected.push(`SELECT ON \`${DATABASE}\`.*`);
      if (this.#copies) expected.push(`SELECT ON \`${DATABASE}\`.\`orders\``);
      if (this.#locks) expected.push(`LOCK TABLES ON \`${DATABASE}\`.*`);
      if (asked.join() !== expected.join()) this.#wrong.push(`check asks for ${asked.join(", ")}`);
      run.product.start();
      await this.#delivers(run);
      const copied = (): number => run.messages().length - changes(run).length;
      await until(() => copied() > 0 || !this.#copies, {
        what: "the row that was there arrives",
        timeoutMs: PATIENCE_MS,
      });
      await run.product.terminate();
      for (const privilege of asked) await this.#without(privilege, asked, run);
      if (copied() !== (this.#copies ? 1 : 0)) this.#wrong.push(`${copied()} rows were copied`);
      return { asked, wrong: this.#wrong };
    } finally {
      await run.dispose();
    }
  }

  /** Does what `check` prints until it asks for nothing more; warnings count where it says that they matter. */
  async #askedFor(run: FileRun): Promise<readonly string[]> {
    const asked: string[] = [];
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const { stdout, stderr } = run.command("check", "--json");
      if (stdout === "") throw new Error(`check says nothing: ${stderr}`);
      const found = (JSON.parse(stdout) as Found[]).filter(
        ({ ok, level, fix }) =>
          !ok && fix.startsWith("GRANT ") && (level === "error" || this.#metadata === "MINIMAL"),
      );
      if (found.length === 0) break;
      for (const { fix } of found) {
        const [, names = "", scope = ""] = /^GRANT (.+) ON (\S+) TO /.exec(fix) ?? [];
        asked.push(...names.split(", ").map(name => `${name} ON ${scope}`));
        await this.#source.run(fix);
      }
    }
    return asked;
  }

  async #grant(names: readonly string[]): Promise<void> {
    await this.#source.run(`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${USER}`);
    for (const name of names) await this.#source.run(`GRANT ${name} TO ${USER}`);
  }

  async #write(): Promise<void> {
    this.#rows += 1;
    const id = this.#rows;
    await this.#source.run(
      `INSERT INTO orders VALUES (${id}, 'new')`,
      `UPDATE orders SET note = 'changed' WHERE id = ${id}`,
      `DELETE FROM orders WHERE id = ${id}`,
    );
  }

  async #delivers(run: FileRun): Promise<void> {
    const before = changes(run).length;
    await this.#write();
    const hasEnded = (): boolean => run.product.ended !== undefined;
    await until(() => hasEnded() || changes(run).length >= before + 3, {
      what: "an insert, an update and a delete arrive",
      timeoutMs: PATIENCE_MS,
    });
    const got = changes(run).slice(before);
    const ops = got.map(({ op }) => op).join("");
    if (ops !== "cud") this.#wrong.push(`got ${ops}; ${run.product.logTail(2)}`);
  }

  /** What was written meanwhile has to arrive once it is given back. */
  async #without(name: string, asked: readonly string[], run: FileRun): Promise<void> {
    await this.#grant(asked.filter(one => one !== name));
    const before = changes(run).length;
    run.product.start();
    await this.#write();
    const { code } = await run.product.exit();
    const said = run.product.logTail(1);
    const [privilege = ""] = name.split(" ON ");
    // A missing SELECT is met at the first row: a table that is not shown may not be there yet.
    const isMet = privilege === "SELECT" && !this.#copies;
    const isRight = isMet ? code !== 0 && code !== null : code === ACCESS_DENIED;
    if (!isRight || !said.includes(privilege) || changes(run).length !== before) {
      this.#wrong.push(`without ${name} it ended with ${code}: ${said}`);
    }
    await this.#grant(asked);
    run.product.start();
    const arrived = (): boolean => changes(run).length >= before + 3;
    await until(() => arrived() || run.product.ended !== undefined, {
      what: "what was written meanwhile arrives",
      timeoutMs: PATIENCE_MS,
    });
    if (run.product.ended) this.#wrong.push(`${name} given back: ${run.product.logTail(1)}`);
    else await run.product.terminate();
  }
}

/** Without the rows that were there. */
function changes(run: FileRun): readonly Envelope[] {
  return run.messages().filter(({ op }) => op !== "r");
}
