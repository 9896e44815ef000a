/**
 * A row that was there, beside the same row as it was inserted: every type of every server. The two messages
 * have to be equal in all that they tell of the row; one comes from an answer to SELECT, the other from the
 * binlog.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { casesOf, textCasesOf, type TypeCase } from "../types/cases.ts";
import type { Envelope, Row } from "../types/file-run.ts";
import { isShown } from "../types/forms.ts";
import { TypesSource } from "../types/source.ts";
import { fillTypes } from "./matrix.ts";

const VERSIONS = ["mysql-5", "mysql-8", "mysql-9", "mariadb"] as const;
const ROWS_MIN = 1_500;
const SHOWN_MAX = 20;

export async function snapshotValues(): Promise<Outcome> {
  const figures: Record<string, Figure> = {};
  let ok = true;
  let isVoid = false;
  for (const version of VERSIONS) {
    const { rows, wrong } = await judge(version);
    figures[`${version} rows`] = rows;
    figures[`${version} wrong`] = wrong;
    ok &&= wrong === 0;
    isVoid ||= rows < ROWS_MIN;
  }
  return { ok: ok && !isVoid, void: isVoid, figures };
}

async function judge(version: MysqlVersion): Promise<{ rows: number; wrong: number }> {
  const source = await TypesSource.start(version, version === "mysql-5" ? "MINIMAL" : "FULL");
  try {
    const sets = await source.select(
      "SELECT CHARACTER_SET_NAME AS name FROM information_schema.CHARACTER_SETS ORDER BY name",
    );
    const charsets = sets.flatMap(({ name }) => (name && name !== "binary" ? [name] : []));
    const cases = [...casesOf(version), ...textCasesOf(charsets)];
    for (const [i, one] of cases.entries()) await fillTypes(source, `t${i}`, one);
    const count = cases.reduce((sum, { values }) => sum + values.length + 1, 0);
    const read = byRow(await source.existing(count));
    const inserted = byRow((await source.messages()).filter(({ op }) => op === "c"));
    let wrong = read.size === inserted.size ? 0 : Math.abs(read.size - inserted.size);
    let rows = 0;
    for (const [name, { after, source: of }] of inserted) {
      const one = cases[Number(of.table.slice(1))];
      const twin = read.get(name);
      rows += 1;
      if (one && twin?.op === "r" && twin.before === null && isSame(one, twin.after, after))
        continue;
      wrong += 1;
      if (wrong > SHOWN_MAX) continue;
      const [mine, its] = [twin?.after, after].map(row =>
        (JSON.stringify(row) as string | undefined)?.slice(0, 300),
      );
      progress(`values: ${version}: ${one?.type}: read as ${mine}, inserted as ${its}`);
    }
    progress(`values: ${version}: ${rows} rows, ${wrong} wrong`);
    return { rows, wrong };
  } finally {
    await source.stop();
  }
}

/** A row that is told of twice is not equal to any. */
function byRow(messages: readonly Envelope[]): ReadonlyMap<string, Envelope> {
  const rows = new Map<string, Envelope>();
  for (const message of messages) {
    if (message.source.table === "behind") continue;
    const name = `${message.source.table} ${JSON.stringify(message.after?.["id"])}`;
    rows.set(name, rows.has(name) ? { ...message, op: "twice" } : message);
  }
  return rows;
}

/** MySQL 5.7 can only be asked for its own text of JSON, in which 1.0 is 1. */
function isSame({ form }: TypeCase, read: Row | null, inserted: Row | null): boolean {
  if (read === null || inserted === null) return false;
  const text = read["v"];
  if (form !== "json-5" || typeof text !== "string") {
    return JSON.stringify(read) === JSON.stringify(inserted);
  }
  return (
    isShown(form, text, inserted["v"]) &&
    JSON.stringify({ ...read, v: null }) === JSON.stringify({ ...inserted, v: null })
  );
}
