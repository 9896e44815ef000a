/**
 * Every type of every server, with row metadata FULL and MINIMAL: what the built program writes has to be
 * what SELECT says, in the documented form, in the after image of an insert and in both images of an update.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { casesOf, textCasesOf, type TypeCase } from "../types/cases.ts";
import { isShown, question } from "../types/forms.ts";
import type { Envelope, Row } from "../types/file-run.ts";
import { TypesSource, type Metadata } from "../types/source.ts";

const COMBINATIONS: readonly (readonly [version: MysqlVersion, metadata: Metadata])[] = [
  ["mysql-5", "MINIMAL"],
  ["mysql-8", "FULL"],
  ["mysql-8", "MINIMAL"],
  ["mysql-9", "FULL"],
  ["mysql-9", "MINIMAL"],
  ["mariadb", "FULL"],
  ["mariadb", "MINIMAL"],
];

const PAIRS_MIN = 600;
const SHOWN_MAX = 20;

interface Judgement {
  readonly pairs: number;
  readonly wrong: number;
}

export async function matrix(): Promise<Outcome> {
  const figures: Record<string, Figure> = {};
  let ok = true;
  for (const [version, metadata] of COMBINATIONS) {
    const { pairs, wrong } = await judge(version, metadata);
    figures[`${version} ${metadata}`] = pairs;
    figures[`${version} ${metadata} wrong`] = wrong;
    ok &&= wrong === 0 && pairs >= PAIRS_MIN;
  }
  return { ok, void: false, figures };
}

async function judge(version: MysqlVersion, metadata: Metadata): Promise<Judgement> {
  const source = await TypesSource.start(version, metadata);
  try {
    const sets = await source.select(
      "SELECT CHARACTER_SET_NAME AS name FROM information_schema.CHARACTER_SETS ORDER BY name",
    );
    const charsets = sets.flatMap(({ name }) => (name && name !== "binary" ? [name] : []));
    const cases = [...casesOf(version), ...textCasesOf(charsets)];
    for (const [i, one] of cases.entries()) await fillTypes(source, `t${i}`, one);
    const answers = [];
    for (const [i, one] of cases.entries()) answers.push(await ask(source, `t${i}`, one));
    const messages = byTable(await source.messages());
    const pairs = new Set<string>();
    let wrong = 0;
    for (const [i, one] of cases.entries()) {
      const faults = faultsOf(one, answers[i] ?? [], messages.get(`t${i}`) ?? []);
      for (const answer of answers[i] ?? []) pairs.add(`${one.type}=${String(answer)}`);
      wrong += faults.length;
      for (const fault of faults.slice(0, SHOWN_MAX)) {
        progress(`matrix: ${version} ${metadata}: ${one.type}: ${fault}`);
      }
    }
    progress(`matrix: ${version} ${metadata}: ${pairs.size} pairs, ${wrong} wrong`);
    return { pairs: pairs.size, wrong };
  } finally {
    await source.stop();
  }
}

/** A column behind the one in question shows whether that was read to its very end. */
export async function fillTypes(source: TypesSource, table: string, one: TypeCase): Promise<void> {
  const other = one.isGenerated ? "source VARCHAR(40) CHARACTER SET utf8mb4, " : "";
  const filled = one.isGenerated ? "source" : "v";
  const rows = [...one.values, "NULL"].map((value, id) => `(${id}, ${value}, 7)`);
  await source.run(
    `CREATE TABLE ${table} (id INT PRIMARY KEY, ${other}v ${one.type}, tail INT)`,
    ...rows.map(row => `INSERT IGNORE INTO ${table} (id, ${filled}, tail) VALUES ${row}`),
  );
}

/** The values as the server now shows them; then every row is changed beside them. */
async function ask(
  source: TypesSource,
  table: string,
  one: TypeCase,
): Promise<readonly (string | null)[]> {
  const rows = await source.select(
    `SELECT ${question(one.form, "v")} AS answer FROM ${table} ORDER BY id`,
  );
  await source.run(`UPDATE ${table} SET tail = -7`);
  return rows.map(({ answer = null }) => answer);
}

function byTable(messages: readonly Envelope[]): ReadonlyMap<string, readonly Envelope[]> {
  const tables = new Map<string, Envelope[]>();
  for (const message of messages) {
    const list = tables.get(message.source.table);
    if (list) list.push(message);
    else tables.set(message.source.table, [message]);
  }
  return tables;
}

function faultsOf(
  one: TypeCase,
  answers: readonly (string | null)[],
  messages: readonly Envelope[],
): string[] {
  if (messages.length !== 2 * answers.length) {
    return [`${2 * answers.length} messages were expected, ${messages.length} came`];
  }
  return answers.flatMap((answer, id) => {
    const [inserted, updated] = [messages[id], messages[answers.length + id]];
    const images = [
      { image: inserted?.after, tail: "7" },
      { image: updated?.before, tail: "7" },
      { image: updated?.after, tail: "-7" },
    ];
    const isFine = images.every(
      ({ image, tail }) => image && isRow(one, { image, id, answer, tail }),
    );
    if (isFine) return [];
    const shown = JSON.stringify(images.map(({ image }) => image)).slice(0, 400);
    return [`${String(answer).slice(0, 100)} is shown as ${shown}`];
  });
}

function isRow(
  { form }: TypeCase,
  { image, id, answer, tail }: { image: Row; id: number; answer: string | null; tail: string },
): boolean {
  return (
    isShown("integer", String(id), image["id"]) &&
    isShown("integer", tail, image["tail"]) &&
    isShown(form, answer, image["v"])
  );
}
