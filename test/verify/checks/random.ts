/**
 * Random tables with random rows: what the built program reads from the binlog is, cell by cell, what
 * SELECT answered when the row looked so, and what go-mysql reads from the same files.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import {
  compareGoMysql,
  EXCEPTIONS,
  decoded,
  selected,
  type Comparison,
  type Exception,
  type Shape,
} from "../types/canonical.ts";
import { decodedChanges, type DecodedChange, type DecodedRow } from "../types/decode-lines.ts";
import { GoMysql } from "../types/go-mysql.ts";
import type { Surroundings } from "../types/random-columns.ts";
import { RandomTable, type Answers, type Statement } from "../types/random-table.ts";
import type { Charset } from "../types/random-text.ts";
import { TypesSource } from "../types/source.ts";
import type { CheckContext } from "./check.ts";

const VERSIONS: readonly MysqlVersion[] = ["mysql-8", "mysql-9", "mariadb"];
/** On each server. */
const ROWS = 10_000;
const ROWS_OF_TABLE_MAX = 80;
const SHOWN_MAX = 30;
const DATABASE = "types";
const LAST_TABLE = "the_end";
/** The only one whose table is not its set's: SELECT shows control characters as `?` (docs/types.md). */
const LOSSY_COLLATION = "latin2_czech_cs";

type GoMysqlRow = readonly (string | null)[];
interface GoMysqlChange {
  readonly op: string;
  readonly images: readonly GoMysqlRow[];
}

export async function random({ options }: CheckContext): Promise<Outcome> {
  const goMysql = await GoMysql.prepare();
  const wanted = rounds(options, ROWS);
  const figures: Record<string, number> = {};
  let ok = true;
  for (const version of VERSIONS) {
    const judge = await run(version, { goMysql, wanted, seed: options.seed });
    const found = judge.figures();
    for (const [name, count] of Object.entries(found)) figures[name] = (figures[name] ?? 0) + count;
    ok &&= judge.wrong === 0 && judge.rows >= wanted;
    progress(`random: ${version}: ${JSON.stringify(found)}`);
  }
  return { ok, void: false, figures: { seed: options.seed, ...figures } };
}

async function run(
  version: MysqlVersion,
  { goMysql, wanted, seed }: { goMysql: GoMysql; wanted: number; seed: number },
): Promise<Judge> {
  const source = await TypesSource.start(version, "FULL");
  try {
    const around = {
      random: new Random(seed, `types/${version}`),
      version,
      charsets: await charsetsOf(source, version),
    };
    const tables = await write(source, around, wanted);
    await source.run(
      `CREATE TABLE ${LAST_TABLE} (id INT PRIMARY KEY)`,
      `INSERT INTO ${LAST_TABLE} VALUES (1)`,
      "FLUSH BINARY LOGS", // So that the files are whole.
    );
    const others = await readWithGoMysql(goMysql, source);
    const judge = new Judge(version, tables, others);
    for await (const change of decodedChanges(source.mysql, DATABASE, LAST_TABLE)) {
      judge.take(change);
    }
    judge.end();
    return judge;
  } finally {
    await source.stop();
  }
}

async function charsetsOf(source: TypesSource, version: MysqlVersion): Promise<Charset[]> {
  const sets = await source.select(
    "SELECT CHARACTER_SET_NAME AS name, MAXLEN AS bytes FROM information_schema.CHARACTER_SETS ORDER BY name",
  );
  const full = version === "mariadb" ? "FULL_COLLATION_NAME" : "COLLATION_NAME";
  const rules = await source.select(
    `SELECT ${full} AS rule, CHARACTER_SET_NAME AS name
     FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY
     WHERE COLLATION_NAME <> '${LOSSY_COLLATION}' ORDER BY rule`,
  );
  return sets
    .filter(({ name }) => name !== "binary")
    .map(({ name, bytes }) => ({
      name: name ?? "",
      maxBytes: Number(bytes),
      collations: rules.flatMap(one => (one["name"] === name && one["rule"] ? [one["rule"]] : [])),
    }));
}

async function write(
  source: TypesSource,
  around: Surroundings,
  wanted: number,
): Promise<RandomTable[]> {
  const tables: RandomTable[] = [];
  let rows = 0;
  for (let drafts = 0; rows < wanted; drafts += 1) {
    if (drafts > 100 + 3 * tables.length) throw new Error("Too many tables are refused.");
    const table = await RandomTable.create(`t${drafts}`, source, around);
    if (table === undefined) continue;
    tables.push(table);
    const count = around.random.int(10, ROWS_OF_TABLE_MAX);
    rows += await table.change(Math.min(count, wanted - rows));
  }
  return tables;
}

/** Each table's changes in the order of the log. */
async function readWithGoMysql(
  goMysql: GoMysql,
  { mysql }: TypesSource,
): Promise<Map<string, GoMysqlChange[]>> {
  const data = join(mysql.dir, "data");
  const files = readdirSync(data).filter(name => /^binlog\.\d+$/.test(name));
  const flavor = mysql.version === "mariadb" ? "mariadb" : "mysql";
  const found = new Map<string, GoMysqlChange[]>();
  const paths = files.sort().map(name => join(data, name));
  for await (const { table, op, rows } of goMysql.rows(flavor, DATABASE, paths)) {
    const changes = found.get(table) ?? [];
    found.set(table, changes);
    const size = op === "update" ? 2 : 1;
    for (let i = 0; i < rows.length; i += size) {
      changes.push({ op, images: rows.slice(i, i + size) });
    }
  }
  return found;
}

interface Progress {
  readonly table: RandomTable;
  readonly others: GoMysqlChange[];
  statement: number;
  /** Rows of that statement that were seen already. */
  readonly seen: Set<string>;
  taken: number;
}

class Judge {
  rows = 0;
  wrong = 0;
  readonly #version: string;
  readonly #tables: ReadonlyMap<string, Progress>;
  readonly #exceptions: Partial<Record<Exception, number>> = {};
  /** Where something was wrong: once each, as the next row has the same fault. */
  readonly #shown = new Set<string>();
  #withSelect = 0;
  #withGoMysql = 0;

  constructor(
    version: string,
    tables: readonly RandomTable[],
    others: ReadonlyMap<string, GoMysqlChange[]>,
  ) {
    this.#version = version;
    this.#tables = new Map(
      tables.map(table => [
        table.name,
        {
          ...{ table, others: others.get(table.name) ?? [] },
          ...{ statement: 0, seen: new Set<string>(), taken: 0 },
        },
      ]),
    );
  }

  take(change: DecodedChange): void {
    const place = this.#tables.get(change.table);
    if (place === undefined) {
      this.#fault(change.table, "it is no table of this check");
      return;
    }
    const { table, others } = place;
    const statement = table.statements[place.statement];
    const other = others[place.taken];
    const number = rowNumber(table, change);
    place.taken += 1;
    const expected = statement?.changes.get(number);
    if (!statement || !expected || place.seen.has(number) || change.op !== statement.op) {
      this.#fault(table.name, `${change.op} of row ${number} was not expected`);
      return;
    }
    this.#advance(place, statement, number);
    if (other?.op !== change.op) {
      this.#fault(table.name, `go-mysql has ${other?.op ?? "nothing"} there`);
      return;
    }
    this.rows += 1;
    const images = [
      { ours: change.before, answers: expected.before },
      { ours: change.after, answers: expected.after },
    ].filter(({ ours, answers }) => ours !== null || answers !== null);
    for (const [i, { ours, answers }] of images.entries()) {
      const theirs = other.images[i];
      if (ours && answers && theirs) this.#compare(table, { ours, answers, theirs });
      else this.#fault(table.name, `${change.op} of row ${number} lacks an image`);
    }
  }

  /** Every change has come, to both readers. */
  end(): void {
    for (const { table, others, statement, taken } of this.#tables.values()) {
      const left = table.statements.length - statement;
      if (left > 0) this.#fault(table.name, `rows of ${left} statements did not come`);
      if (others.length !== taken) this.#fault(table.name, `go-mysql has other rows`);
    }
  }

  figures(): Readonly<Record<string, number>> {
    return {
      rows: this.rows,
      tables: this.#tables.size,
      cells_with_select: this.#withSelect,
      cells_with_go_mysql: this.#withGoMysql,
      wrong: this.wrong,
      ...Object.fromEntries(
        EXCEPTIONS.map(kind => [`go-mysql cannot tell: ${kind}`, this.#exceptions[kind] ?? 0]),
      ),
    };
  }

  #advance(place: Progress, { changes }: Statement, number: string): void {
    place.seen.add(number);
    if (place.seen.size < changes.size) return;
    place.statement += 1;
    place.seen.clear();
  }

  #compare(
    { name, columns }: RandomTable,
    { ours, answers, theirs }: { ours: DecodedRow; answers: Answers; theirs: GoMysqlRow },
  ): void {
    if (ours.length !== columns.length || theirs.length !== columns.length) {
      this.#fault(name, `${ours.length} and ${theirs.length} cells came`);
      return;
    }
    for (const [i, { name: columnName, sql, shape, answersAt }] of columns.entries()) {
      const [shownName, cell] = ours[i] ?? ["", ""];
      const answer = answers[answersAt] ?? null;
      const where = `${name}: ${sql.slice(0, 100)}`;
      if (shownName !== columnName) this.#fault(where, `it is called ${shownName}`);
      const want = answer === null ? null : selected(shape, answer);
      const got = shownOf(shape, cell, answer);
      this.#withSelect += 1;
      if (want !== got)
        this.#fault(where, `SELECT says ${brief(want, got)}, not ${brief(got, want)}`);
      const other = theirs[i] ?? null;
      const verdict = compareCell(shape, other, { shown: got, bytes: answers[answersAt + 1] });
      if (verdict === "same") this.#withGoMysql += 1;
      else if (verdict === "different") {
        this.#fault(where, `go-mysql says ${brief(other, null)}, not ${brief(got, null)}`);
      } else this.#exceptions[verdict] = (this.#exceptions[verdict] ?? 0) + 1;
    }
  }

  #fault(where: string, what: string): void {
    this.wrong += 1;
    if (this.#shown.has(where) || this.#shown.size >= SHOWN_MAX) return;
    this.#shown.add(where);
    progress(`random: ${this.#version}: ${where}: ${what}`);
  }
}

/** Empty in a table that has no room for it: it has one row at a time. */
function rowNumber({ isNumbered }: RandomTable, { before, after }: DecodedChange): string {
  if (!isNumbered) return "";
  return (after ?? before)?.find(([name]) => name === "row_no")?.[1] ?? "?";
}

/** `decode` shows NULL and JSON's own null alike: there SELECT tells which of the two it may be. */
function shownOf(shape: Shape, cell: string, answer: string | null): string | null {
  if (cell !== "null") return decoded(shape, cell);
  return shape.kind === "json" && answer !== null ? "null" : null;
}

function compareCell(
  shape: Shape,
  theirs: string | null,
  { shown, bytes }: { shown: string | null; bytes: string | null | undefined },
): Comparison {
  if (theirs === null || shown === null) return theirs === shown ? "same" : "different";
  return compareGoMysql(shape, theirs, { shown, bytes });
}

/** Text from shortly before where it differs from the other. */
function brief(text: string | null, other: string | null): string {
  if (text === null) return "NULL";
  let same = 0;
  while (other !== null && same < text.length && text[same] === other[same]) same += 1;
  const from = Math.max(0, same - 40);
  return text.length <= 160 ? text : `… ${text.slice(from, from + 160)} … (${text.length})`;
}
