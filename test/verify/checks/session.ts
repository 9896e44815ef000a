/**
 * Sessions that switch compression, partial JSON, row image and checksum in mid-stream: every message
 * shows what SELECT showed, and leaves out no more than the row image of the moment does. A session that
 * logs what does not tell the rows stops the stream there, with the reason.
 */
import type { MysqlVersion } from "../../../tools/services/services.ts";
import type { Outcome } from "../campaign.ts";
import { rounds } from "../options.ts";
import { progress } from "../progress.ts";
import { Random } from "../random.ts";
import { isShown } from "../types/forms.ts";
import { SessionChanges, type Change, type SessionColumn } from "../types/session-changes.ts";
import { readSession, type SessionRead } from "../types/session-run.ts";
import type { Row } from "../types/file-run.ts";
import { TypesSource } from "../types/source.ts";
import type { CheckContext } from "./check.ts";

const VERSIONS: readonly MysqlVersion[] = ["mysql-8", "mysql-9", "mariadb"];
/** On each server; every second one ends with something that cannot be read. */
const ROUNDS = 20;
const ROUNDS_MIN = 6;
const TRANSACTIONS = 40;
const SHOWN_MAX = 10;
const SQL_SHOWN = 200;
const STOPPED = 65;

/** What stops the stream: statements for the table `@`, and what has to be said about it. */
interface Stop {
  readonly name: string;
  readonly statements: readonly string[];
  readonly reason: RegExp;
  readonly onMysqlOnly?: boolean;
}

const STOPS: readonly Stop[] = [
  {
    name: "STATEMENT",
    statements: ["SET SESSION binlog_format = STATEMENT", "UPDATE @ SET n = -1"],
    reason: /logged as a statement/,
  },
  {
    name: "partial JSON without the rest",
    statements: [
      "SET SESSION binlog_row_image = MINIMAL, SESSION binlog_row_value_options = PARTIAL_JSON",
      "UPDATE @ SET j = JSON_SET(j, '$.a', 1000) WHERE id = 100",
    ],
    reason: /column types\.\w+\.j .*not what it was before/,
    onMysqlOnly: true,
  },
  {
    name: "MIXED",
    statements: ["SET SESSION binlog_format = MIXED", "DELETE FROM @ WHERE id = 100"],
    reason: /logged as a statement/,
  },
  {
    name: "no key",
    statements: [
      "ALTER TABLE @ ALTER COLUMN id SET DEFAULT 4711",
      "SET SESSION binlog_row_image = MINIMAL",
      "INSERT INTO @ (n) VALUES (1)",
    ],
    reason: /without key column id/,
    onMysqlOnly: true,
  },
];

interface Figures {
  changes: number;
  switches: number;
  stops: number;
  wrong: number;
}

export async function session({ options }: CheckContext): Promise<Outcome> {
  const figures: Figures = { changes: 0, switches: 0, stops: 0, wrong: 0 };
  const count = rounds(options, ROUNDS, ROUNDS_MIN);
  for (const version of VERSIONS) {
    const source = await TypesSource.start(version, "FULL");
    try {
      for (let round = 0; round < count; round += 1) {
        const random = new Random(options.seed, `session/${version}/${round}`);
        const faults = await run(source, { random, version, round }, figures);
        figures.wrong += faults.length;
        for (const fault of faults.slice(0, SHOWN_MAX)) {
          progress(`session: ${version}, round ${round}: ${fault}`);
        }
      }
    } finally {
      await source.stop();
    }
    progress(`session: ${version}: ${JSON.stringify(figures)}`);
  }
  const planned = VERSIONS.length * Math.floor(count / 2);
  const ok = figures.wrong === 0 && figures.stops === planned;
  return { ok, void: false, figures: { seed: options.seed, ...figures } };
}

async function run(
  source: TypesSource,
  { random, version, round }: { random: Random; version: MysqlVersion; round: number },
  figures: Figures,
): Promise<string[]> {
  const table = `r${round}`;
  const lastTable = `e${round}`;
  await source.run("FLUSH BINARY LOGS");
  const file = (await source.select("SHOW BINARY LOGS")).at(-1)?.["Log_name"] ?? "";
  const written = new SessionChanges(source, { random, version, table });
  await written.reset();
  await written.create();
  for (let i = 0; i < TRANSACTIONS; i += 1) await written.transaction();
  await written.reset();
  const stop = stopOf(version, round);
  if (stop) await bringAbout(source, stop, table);
  await written.reset();
  await source.run(
    `CREATE TABLE ${lastTable} (id INT PRIMARY KEY)`,
    `INSERT INTO ${lastTable} VALUES (1)`,
  );
  const found = await readSession(source.mysql, { file, lastTable });
  figures.changes += written.changes.length;
  figures.switches += written.switches;
  if (stop && isStopped(found, stop)) figures.stops += 1;
  return [...endFaults(found, stop), ...messageFaults(written, found)];
}

function stopOf(version: MysqlVersion, round: number): Stop | undefined {
  const stops = STOPS.filter(({ onMysqlOnly = false }) => version !== "mariadb" || !onMysqlOnly);
  return round % 2 === 0 ? undefined : stops[((round - 1) / 2) % stops.length];
}

/** A row of its own, made in silence, so that there is one to change. */
async function bringAbout(source: TypesSource, stop: Stop, table: string): Promise<void> {
  const document = `'{"a": 1, "pad": "${"p".repeat(200)}"}'`;
  await source.run(
    "SET SESSION sql_log_bin = 0",
    `INSERT INTO ${table} (id, j) VALUES (100, ${document})`,
    "SET SESSION sql_log_bin = 1",
    ...stop.statements.map(sql => sql.replace("@", table)),
  );
}

function isStopped({ exitCode, log }: SessionRead, { reason }: Stop): boolean {
  return exitCode === STOPPED && reason.test(log);
}

function endFaults(found: SessionRead, stop: Stop | undefined): string[] {
  if (stop === undefined) {
    return found.exitCode === undefined
      ? []
      : [`it ended with ${found.exitCode}: ${found.log.slice(-1_000)}`];
  }
  if (isStopped(found, stop)) return [];
  const how = found.exitCode === undefined ? "was passed by" : `ended with ${found.exitCode}`;
  return [`${stop.name} ${how}: ${found.log.slice(-500)}`];
}

interface Expected {
  readonly change: Change;
  readonly op: string;
}

/** A changed key is a delete and a create. */
function expectedOf(change: Change): readonly Expected[] {
  const { before, after } = change;
  if (before === undefined) return [{ change, op: "c" }];
  if (after === undefined) return [{ change, op: "d" }];
  if (before.get("id") === after.get("id")) return [{ change, op: "u" }];
  return [
    { change, op: "d" },
    { change, op: "c" },
  ];
}

/** A stop need not wait for what is on its way: then the messages are the first ones, and no others. */
function messageFaults(written: SessionChanges, { messages, exitCode }: SessionRead): string[] {
  const expected = written.changes.flatMap(expectedOf);
  const due = exitCode === undefined ? expected : expected.slice(0, messages.length);
  const faults = due.flatMap(({ change, op }, i) => {
    const message = messages[i];
    const sql = change.sql.slice(0, SQL_SHOWN);
    if (message?.op !== op) return [`message ${i} is ${message?.op}, not ${op} of ${sql}`];
    return [
      ...(op === "c" ? [] : imageFaults(written.columns, change, message.before, "before")),
      ...(op === "d" ? [] : imageFaults(written.columns, change, message.after, "after")),
    ];
  });
  if (messages.length === due.length) return faults;
  return [`${due.length} messages were expected, ${messages.length} came`, ...faults];
}

function imageFaults(
  columns: readonly SessionColumn[],
  change: Change,
  shown: Row | null,
  which: "before" | "after",
): string[] {
  const answers = change[which];
  if (shown === null || answers === undefined) return [`${which} is missing: ${change.sql}`];
  return columns.flatMap(column => {
    const { name, form } = column;
    const isThere = Object.hasOwn(shown, name);
    if (!isThere && mayLack(column, change, which)) return [];
    if (isThere && isShown(form, answers.get(name) ?? null, shown[name])) return [];
    const what = isThere ? JSON.stringify(shown[name]).slice(0, 100) : "left out";
    return [`${which}.${name} is ${what} with ${change.image}: ${change.sql.slice(0, SQL_SHOWN)}`];
  });
}

/** What the server need not log; a value that changed is always there. */
function mayLack(
  { name, isBlob }: SessionColumn,
  { image, set, before, after }: Change,
  which: "before" | "after",
): boolean {
  if (image === "FULL") return false;
  if (which === "before") return name !== "id" && (image === "MINIMAL" || isBlob);
  if (before === undefined) return !set.has(name) && (image === "MINIMAL" || isBlob);
  return before.get(name) === after?.get(name) && (image === "MINIMAL" || isBlob);
}
