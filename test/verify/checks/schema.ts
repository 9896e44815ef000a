/**
 * Whatever may become of a captured table in mid-stream, and while Tidemark is stopped: ALTER, RENAME, DROP and
 * CREATE, TRUNCATE, partitions, the swaps of gh-ost and pt-osc, and changes with sql_log_bin = 0. Every row has to come
 * under the columns of its own time, or Tidemark stops and says where to go on, which it does only where the binlog
 * names no columns. Every statement has to be told of, once, with the columns behind it. Of rows that come and go
 * without an event its log has to tell.
 */
import { readFileSync } from "node:fs";
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { progress } from "../progress.ts";
import { AlteredTable, schemaChanges, type SchemaChange } from "../types/altered-table.ts";
import { FileRun } from "../types/file-run.ts";
import { Reading } from "../types/reading.ts";
import { TypesSource, type Metadata } from "../types/source.ts";
import { ToldStatements } from "../types/told-statements.ts";
import type { CheckContext } from "./check.ts";

type Combination = readonly [version: MysqlVersion, metadata: Metadata];

const COMBINATIONS: readonly Combination[] = [
  ["mysql-9", "FULL"],
  ["mysql-9", "MINIMAL"],
  ["mysql-5", "MINIMAL"],
  ["mariadb", "FULL"],
  ["mysql-8", "FULL"],
  ["mysql-8", "MINIMAL"],
  ["mariadb", "MINIMAL"],
];
const QUICK_COMBINATIONS = 2;
const SITUATIONS = ["running", "stopped"] as const;

export async function schema({ options }: CheckContext): Promise<Outcome> {
  const figures: Record<string, Figure> = { seed: options.seed };
  let ok = true;
  const combinations = options.quick ? COMBINATIONS.slice(0, QUICK_COMBINATIONS) : COMBINATIONS;
  for (const [version, metadata] of combinations) {
    const source = await TypesSource.start(version, metadata);
    try {
      for (const situation of SITUATIONS) {
        const name = `${version} ${metadata} ${situation}`;
        const changes = schemaChanges;
        const { right, moved, untold, statements, wrong } = await judge(source, changes, situation);
        for (const fault of wrong) progress(`schema: ${name}: ${fault}`);
        progress(`schema: ${name}: ${right} right, behind the change: ${moved.join(", ")}`);
        Object.assign(figures, {
          [`${name} changes`]: changes.length,
          [`${name} right`]: right,
          [`${name} moved`]: moved.join(", "),
          [`${name} told`]: untold,
          [`${name} statements`]: statements,
          [`${name} wrong`]: wrong.length,
        });
        ok &&= wrong.length === 0 && right + moved.length === changes.length;
        ok &&= metadata === "MINIMAL" || moved.length === 0;
      }
    } finally {
      await source.stop();
    }
  }
  return { ok, void: false, figures };
}

interface Judgement {
  right: number;
  /** Changes at which it stopped, and had to be put behind them. */
  readonly moved: string[];
  /** Changes of which its log told that rows came or went. */
  untold: number;
  /** Messages about statements. */
  statements: number;
  readonly wrong: string[];
}

async function judge(
  source: TypesSource,
  changes: readonly SchemaChange[],
  situation: (typeof SITUATIONS)[number],
): Promise<Judgement> {
  const judgement: Judgement = { right: 0, moved: [], untold: 0, statements: 0, wrong: [] };
  const table = await AlteredTable.create(source);
  const told = new ToldStatements(source);
  const run = new FileRun(
    source.mysql,
    await source.position(),
    {},
    {
      schema_changes: { topic: "schema-changes" },
    },
  );
  const reading = new Reading(run);
  try {
    for (const change of changes) {
      for (let i = 0; i < 3; i += 1) await table.write();
      const before = await reading.differenceTo(table.take());
      const outcome = before ?? (await around(change, { source, table, told, reading, situation }));
      if (outcome === "resumed") judgement.right += 1;
      else if (outcome === "moved") judgement.moved.push(change.name);
      else {
        judgement.wrong.push(`${change.name}: ${outcome}`);
        break; // What follows would be judged by what is in disorder already.
      }
      // Put behind the change, it may have seen its beginning.
      const statements = run.takeTold();
      judgement.statements += statements.length;
      const untrue = told.take(statements, outcome === "resumed");
      if (untrue !== undefined) judgement.wrong.push(`${change.name}: ${untrue}`);
      if (change.isUntold !== true || outcome === "moved") continue;
      if (isTold(reading.run)) judgement.untold += 1;
      else judgement.wrong.push(`${change.name}: the log tells nothing of its rows`);
    }
    return judgement;
  } finally {
    await reading.run.dispose();
  }
}

interface Scene {
  readonly source: TypesSource;
  readonly table: AlteredTable;
  readonly told: ToldStatements;
  readonly reading: Reading;
  readonly situation: (typeof SITUATIONS)[number];
}

async function around(
  change: SchemaChange,
  { source, table, told, reading, situation }: Scene,
): Promise<string> {
  toldSoFar.set(reading.run, tellings(reading.run));
  if (situation === "stopped") {
    const fault = await reading.stop();
    if (fault !== undefined) return fault;
  }
  await table.write();
  const before = table.take();
  await table.change(change, told);
  const end = await source.position();
  await table.write();
  const written = { before, behind: table.take(), end };
  return situation === "stopped" ? reading.resume(written) : reading.goOn(written);
}

const TOLD = /rows of a table came or went by a statement/g;
const toldSoFar = new WeakMap<FileRun, number>();

function tellings({ product }: FileRun): number {
  return readFileSync(product.logFile, "utf8").match(TOLD)?.length ?? 0;
}

function isTold(run: FileRun): boolean {
  return tellings(run) > (toldSoFar.get(run) ?? 0);
}
