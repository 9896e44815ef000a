/**
 * Tables that are altered while Tidemark runs, while it is stopped, and many times while it is stopped.
 * With row metadata FULL every row comes under the columns of its own time. With MINIMAL it does where that
 * is proven; otherwise Tidemark stops and says what to do, and doing that goes on. A value under a wrong name
 * is the only wrong answer.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Figure, Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { AlteredTable, altersOf } from "../types/altered-table.ts";
import { FileRun } from "../types/file-run.ts";
import { Reading } from "../types/reading.ts";
import { TypesSource, type Metadata } from "../types/source.ts";
import type { CheckContext } from "./check.ts";

const COMBINATIONS: readonly (readonly [version: MysqlVersion, metadata: Metadata])[] = [
  ["mysql-5", "MINIMAL"],
  ["mysql-8", "FULL"],
  ["mysql-8", "MINIMAL"],
  ["mysql-9", "FULL"],
  ["mysql-9", "MINIMAL"],
  ["mariadb", "FULL"],
  ["mariadb", "MINIMAL"],
];

const ALTERS = 20;
const ALTERS_QUICK = 9;

export async function ddl({ options }: CheckContext): Promise<Outcome> {
  const figures: Record<string, Figure> = {};
  let ok = true;
  for (const [version, metadata] of COMBINATIONS) {
    const count = rounds(options, ALTERS, ALTERS_QUICK);
    const { live, resumed, moved, wrong } = await judge(version, metadata, count);
    const name = `${version} ${metadata}`;
    progress(`ddl: ${name}: ${live} live, ${resumed} resumed, ${moved} resumed behind the ALTER`);
    for (const fault of wrong) progress(`ddl: ${name}: ${fault}`);
    Object.assign(figures, {
      [`${name} live`]: live,
      [`${name} resumed`]: resumed,
      [`${name} moved`]: moved,
      [`${name} wrong`]: wrong.length,
    });
    // One more than ALTERs: all of them in one stop.
    ok &&= wrong.length === 0 && live === count;
    ok &&= metadata === "FULL" ? resumed === count + 1 : resumed + moved === count + 1;
  }
  return { ok, void: false, figures };
}

interface Judgement {
  /** ALTERs around which all rows came right while Tidemark ran. */
  live: number;
  /** Stops after which all rows came right. */
  resumed: number;
  /** Stops after which it said that it needs another position; all rows behind that came right. */
  moved: number;
  readonly wrong: string[];
}

async function judge(version: MysqlVersion, metadata: Metadata, count: number): Promise<Judgement> {
  const source = await TypesSource.start(version, metadata);
  const judgement: Judgement = { live: 0, resumed: 0, moved: 0, wrong: [] };
  const alters = altersOf(version).slice(0, count);
  try {
    await alterWhileRunning(source, alters, judgement);
    for (const stops of [alters.map(alter => [alter]), [alters]]) {
      await alterWhileStopped(source, stops, judgement);
    }
    return judgement;
  } finally {
    await source.stop();
  }
}

async function alterWhileRunning(
  source: TypesSource,
  alters: readonly string[],
  judgement: Judgement,
): Promise<void> {
  const table = await AlteredTable.create(source);
  const reading = new Reading(new FileRun(source.mysql, await source.position()));
  try {
    for (const alter of alters) {
      await table.write();
      const before = await reading.differenceTo(table.take());
      await table.alter(alter);
      await table.write();
      const fault = before ?? (await reading.differenceTo(table.take()));
      if (fault === undefined) judgement.live += 1;
      else judgement.wrong.push(`${alter}, live: ${fault}`);
    }
  } finally {
    await reading.run.dispose();
  }
}

/** @param stops the ALTERs that are made in each of them. */
async function alterWhileStopped(
  source: TypesSource,
  stops: readonly (readonly string[])[],
  judgement: Judgement,
): Promise<void> {
  const table = await AlteredTable.create(source);
  const reading = new Reading(new FileRun(source.mysql, await source.position()));
  try {
    for (const alters of stops) {
      await table.write();
      let fault = await reading.differenceTo(table.take());
      fault ??= await reading.stop();
      const before: string[] = [];
      const behind: string[] = [];
      let end = await source.position();
      for (const alter of alters) {
        await table.write();
        before.push(...behind.splice(0), ...table.take());
        await table.alter(alter);
        end = await source.position();
        await table.write();
        behind.push(...table.take());
      }
      const outcome = fault ?? (await reading.resume({ before, behind, end }));
      if (outcome === "resumed" || outcome === "moved") judgement[outcome] += 1;
      else {
        judgement.wrong.push(`${alters.join("; ")}, while stopped: ${outcome}`);
        return; // What follows would be judged by what is in disorder already.
      }
    }
  } finally {
    await reading.run.dispose();
  }
}
