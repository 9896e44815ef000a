/**
 * A workload over every type and operation; each record equals what the real Debezium Server wrote for
 * the same binlog, apart from the differences that docs/formats.md lists.
 */
import type { Figure, Outcome } from "../campaign.ts";
import { Facts } from "../debezium/facts.ts";
import { judge } from "../debezium/judge.ts";
import { Sides } from "../debezium/sides.ts";
import { writeParity } from "../parity.ts";
import { progress } from "../progress.ts";
import type { CheckContext } from "./check.ts";

const TRANSACTIONS = 1_000;
const SHOWN_MAX = 30;
/** Fewer records say nothing. */
const RECORDS_MIN = 1_000;

const charsets = [
  "utf8mb4",
  "latin1",
  "utf16",
  "ucs2",
  "sjis",
  "gbk",
  "gb18030",
  "cp1251",
  "koi8r",
];

export async function debezium({ options }: CheckContext): Promise<Outcome> {
  const startedMs = performance.now();
  const facts = new Facts();
  const sides = await Sides.start(options.mysql);
  try {
    progress("debezium: reads the binlog");
    await writeParity(sides.source, {
      ...{ name: "debezium", version: options.mysql, charsets, options, facts },
      transactions: TRANSACTIONS,
    });
    progress("debezium: everything is written");
    const verdict = judge(await sides.records(), facts);
    const { records, tombstones, tables, documented, undocumented } = verdict;
    for (const text of undocumented.slice(0, SHOWN_MAX)) progress(`debezium: ${text}`);
    const figures: Record<string, Figure> = {
      ...{ seed: options.seed, mysql: options.mysql, records, tombstones, tables },
      types: facts.types,
      ...documented,
      undocumented: undocumented.length,
      seconds: Math.round((performance.now() - startedMs) / 1000),
    };
    return { ok: undocumented.length === 0, void: records < RECORDS_MIN, figures };
  } finally {
    await sides.stop();
  }
}
