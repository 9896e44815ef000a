/**
 * A workload over every type and operation; each message equals what a real Maxwell wrote for the same
 * binlog, apart from the differences that docs/formats.md lists.
 */
import type { Connection } from "mysql2/promise";
import type { Figure, Outcome } from "../campaign.ts";
import { Facts } from "../debezium/facts.ts";
import { changeAtRandom } from "../debezium/random-changes.ts";
import { stepsOf } from "../debezium/statements.ts";
import { changeKeys, fillWideTables } from "../debezium/wide-tables.ts";
import { judge } from "../maxwell/judge.ts";
import { DATABASE, Sides } from "../maxwell/sides.ts";
import { rounds, type Options } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { casesOf, textCasesOf } from "../types/cases.ts";
import type { CheckContext } from "./check.ts";

const TRANSACTIONS = 1_000;
const SHOWN_MAX = 40;
/** Fewer records say nothing. */
const RECORDS_MIN = 1_000;

/** Maxwell ends at a column in most of the others. */
const charsets = ["utf8mb4", "latin1"];

/** Statements at which Maxwell ends: a backtick in the name of a table, rare names of types. */
const BEYOND_MAXWELL = /``t``|synonyms/;

export async function maxwell({ options }: CheckContext): Promise<Outcome> {
  const startedMs = performance.now();
  const facts = new Facts();
  const sides = await Sides.start();
  try {
    progress("maxwell: reads the binlog");
    await workload([await sides.connect(), await sides.connect(), await sides.connect()], {
      options,
      facts,
    });
    progress("maxwell: everything is written");
    const verdict = judge(await sides.lines(), facts);
    const { records, transactions, tables, documented, undocumented } = verdict;
    for (const text of undocumented.slice(0, SHOWN_MAX)) progress(`maxwell: ${text}`);
    const figures: Record<string, Figure> = {
      ...{ seed: options.seed, records, transactions, tables, types: facts.types },
      ...documented,
      undocumented: undocumented.length,
      seconds: Math.round((performance.now() - startedMs) / 1000),
    };
    return { ok: undocumented.length === 0, void: records < RECORDS_MIN, figures };
  } finally {
    await sides.stop();
  }
}

async function workload(
  sessions: readonly Connection[],
  { options, facts }: { readonly options: Options; readonly facts: Facts },
): Promise<void> {
  const [first] = sessions;
  if (first === undefined) return;
  const random = new Random(options.seed, "maxwell");
  const cases = [...casesOf("mysql-8"), ...textCasesOf(charsets)];
  await fillWideTables(first, cases, random);
  await changeKeys(first);
  for (const { session, sql } of stepsOf("mysql-8")) {
    if (BEYOND_MAXWELL.test(sql)) continue;
    // A word of 8.0 that it cannot parse.
    const known = sql.replace("RENAME COLUMN v TO w", "CHANGE v w VARCHAR(10)");
    await sessions[session]?.query(known);
    if (/CREATE TABLE|ALTER TABLE/.test(sql)) await facts.collect(first, DATABASE);
  }
  await changeAtRandom(sessions, random, rounds(options, TRANSACTIONS, 200));
  await facts.collect(first, DATABASE);
}
