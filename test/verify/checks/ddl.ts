/**
 * Tables that are altered: between rows that are read at once, and between rows that are read later. With
 * row metadata FULL every row comes under the columns of its own time. With MINIMAL it does where that is
 * proven; otherwise Tidemark stops and says what to do. A value under a wrong name is the only wrong answer.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { FileRun, type BinlogPosition, type Envelope } from "../types/file-run.ts";
import { TypesSource, type Metadata } from "../types/source.ts";

const COMBINATIONS: readonly (readonly [version: MysqlVersion, metadata: Metadata])[] = [
  ["mysql-5", "MINIMAL"],
  ["mysql-9", "FULL"],
  ["mysql-9", "MINIMAL"],
  ["mariadb", "MINIMAL"],
];

const TABLE = "altered";
const ARRIVAL_TIMEOUT_MS = 60_000;
const UNUSABLE = 65;

/** In this order, each on what the one before left. */
const ALTERS: readonly string[] = [
  "ADD COLUMN first INT DEFAULT 1 FIRST",
  "ADD COLUMN third VARCHAR(9) DEFAULT 'x' AFTER a",
  "DROP COLUMN third",
  "CHANGE a a2 INT",
  "CHANGE a2 a INT",
  // Two columns of one type change places by name: only the names tell.
  "CHANGE a b INT, CHANGE b a INT",
  "MODIFY a BIGINT",
  "MODIFY a INT",
  "MODIFY t VARCHAR(20) CHARACTER SET latin1",
  "MODIFY t VARCHAR(20) CHARACTER SET utf8mb4",
  "MODIFY u INT UNSIGNED",
  "MODIFY u INT",
  "MODIFY e ENUM('z','y','x')",
  "MODIFY e ENUM('x','y','z')",
  "MODIFY b INT AFTER t",
  "MODIFY b INT FIRST",
  "ADD COLUMN last INT",
  "RENAME TO aside",
  "DROP COLUMN first, ADD COLUMN first INT",
  "DROP PRIMARY KEY, ADD PRIMARY KEY (id, a)",
];

export async function ddl(): Promise<Outcome> {
  const figures: Record<string, Figure> = {};
  let ok = true;
  for (const [version, metadata] of COMBINATIONS) {
    const { live, later, stopped, wrong } = await judge(version, metadata);
    progress(`ddl: ${version} ${metadata}: ${live} live, ${later} later, ${stopped} stopped`);
    for (const fault of wrong) progress(`ddl: ${version} ${metadata}: ${fault}`);
    Object.assign(figures, {
      [`${version} ${metadata} live`]: live,
      [`${version} ${metadata} later`]: later,
      [`${version} ${metadata} stopped`]: stopped,
      [`${version} ${metadata} wrong`]: wrong.length,
    });
    ok &&= wrong.length === 0 && live === ALTERS.length;
    ok &&= metadata === "FULL" ? later === ALTERS.length : later + stopped === ALTERS.length;
  }
  return { ok, void: false, figures };
}

interface Judgement {
  /** ALTERs whose rows before and behind came right: while Tidemark ran, and when it began in front. */
  live: number;
  later: number;
  /** ALTERs in front of which it could not begin, and said why. */
  stopped: number;
  readonly wrong: string[];
}

async function judge(version: MysqlVersion, metadata: Metadata): Promise<Judgement> {
  const source = await TypesSource.start(version, metadata);
  const judgement: Judgement = { live: 0, later: 0, stopped: 0, wrong: [] };
  try {
    await source.run(
      `CREATE TABLE ${TABLE} (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b INT, u INT,
         t VARCHAR(20) CHARACTER SET utf8mb4, e ENUM('x','y','z'))`,
    );
    const starts: BinlogPosition[] = [];
    const rows: string[] = [];
    const run = new FileRun(source.mysql, await source.position());
    try {
      for (const alter of ALTERS) {
        starts.push(await source.position());
        rows.push(await insert(source));
        await arrived(run, rows.length);
        await change(source, alter);
        rows.push(await insert(source));
        const got = (await arrived(run, rows.length)).slice(-2).join(" ");
        const want = rows.slice(-2).join(" ");
        if (got === want) judgement.live += 1;
        else judgement.wrong.push(`${alter}, live: ${got} instead of ${want}`);
      }
    } finally {
      await run.dispose();
    }
    for (const [i, alter] of ALTERS.entries()) {
      await beginIn(source, starts[i], { alter, want: rows.slice(2 * i), judgement });
    }
    return judgement;
  } finally {
    await source.stop();
  }
}

/** Renames there and back, so that the table stays where the next one expects it. */
async function change(source: TypesSource, alter: string): Promise<void> {
  await source.run(`ALTER TABLE ${TABLE} ${alter}`);
  if (alter.startsWith("RENAME")) await source.run(`RENAME TABLE aside TO ${TABLE}`);
}

let written = 0;

/** A row whose values all differ, as SELECT shows it under the columns of now. */
async function insert(source: TypesSource): Promise<string> {
  const columns = (await source.select(`SHOW COLUMNS FROM ${TABLE}`)).filter(
    ({ Field: name }) => name !== "id",
  );
  const values = columns.map(({ Type: type = "" }) => {
    written += 1;
    if (type?.startsWith("enum")) return "'y'";
    return type?.startsWith("varchar") ? `'é${written}'` : `${written}`;
  });
  const names = columns.map(({ Field: name }) => name);
  await source.run(`INSERT INTO ${TABLE} (${names.join(", ")}) VALUES (${values.join(", ")})`);
  const [row = {}] = await source.select(`SELECT * FROM ${TABLE} ORDER BY id DESC LIMIT 1`);
  return JSON.stringify(Object.entries(row));
}

/** Names and values in the order of the columns. */
function shown({ after }: Envelope): string {
  return JSON.stringify(
    Object.entries(after ?? {}).map(([name, value]) => [
      name,
      value !== null && typeof value === "object" && "text" in value ? value.text : value,
    ]),
  );
}

async function arrived(run: FileRun, count: number): Promise<readonly string[]> {
  const messages = await run.until(() => run.messages().length >= count, ARRIVAL_TIMEOUT_MS);
  return messages.map(shown);
}

async function beginIn(
  source: TypesSource,
  start: BinlogPosition | undefined,
  { alter, want, judgement }: { alter: string; want: readonly string[]; judgement: Judgement },
): Promise<void> {
  if (!start) return;
  const run = new FileRun(source.mysql, start);
  try {
    await run
      .until(() => run.messages().length >= want.length, ARRIVAL_TIMEOUT_MS)
      .catch(() => undefined);
    const got = run.messages().map(shown);
    const isRight = got.every((row, i) => row === want[i]);
    const saysWhy = /binlog_row_metadata = FULL/.test(run.product.logTail(3));
    if (!isRight)
      judgement.wrong.push(`${alter}, later: ${got.join(" ")} instead of ${want.join(" ")}`);
    else if (got.length === want.length) judgement.later += 1;
    else if (run.product.ended?.code === UNUSABLE && saysWhy) judgement.stopped += 1;
    else judgement.wrong.push(`${alter}, later: ${run.product.logTail(3)}`);
  } finally {
    await run.dispose();
  }
}
