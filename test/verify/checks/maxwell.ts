/**
 * A workload over every type and operation; each message equals what a real Maxwell wrote for the same
 * binlog, apart from the differences that docs/formats.md lists.
 */
import type { Figure, Outcome } from "../campaign.ts";
import { Facts } from "../debezium/facts.ts";
import { judge } from "../maxwell/judge.ts";
import { Sides } from "../maxwell/sides.ts";
import { writeParity } from "../parity.ts";
import { progress } from "../progress.ts";
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
    await writeParity(sides.source, {
      ...{ name: "maxwell", version: "mysql-8", charsets, options, facts },
      transactions: TRANSACTIONS,
      statement: knownToMaxwell,
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

function knownToMaxwell(sql: string): string | undefined {
  if (BEYOND_MAXWELL.test(sql)) return undefined;
  // A word of 8.0 that it cannot parse.
  return sql.replace("RENAME COLUMN v TO w", "CHANGE v w VARCHAR(10)");
}
