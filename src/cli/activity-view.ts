/** A sample of activity as a table for a terminal, as a line for people, and as a line for programs. */
import {
  busiestFirst,
  sum,
  type ActivitySample,
  type ChangeCounts,
  type SchemaActivity,
  type TableActivity,
} from "./activity-sample.ts";
import { printable } from "./printable.ts";

export interface ActivityPicture {
  /** Which server, and how long it is watched. */
  readonly title: string;
  /** Of the terminal; nothing is wider or longer. */
  readonly width: number;
  readonly height: number;
}

const NUMBER_WIDTH = 11;
/** Narrower than this, the kinds of change are not told apart. */
const WIDE_MIN = 74;
const NAME_MIN = 8;
/** The title and the names of the columns, a line that says how many there are beyond, and one to spare. */
const FRAME_LINES = 4;
const LINE_SCHEMAS_MAX = 10;
const LINE_TABLES_MAX = 5;
const KINDS = ["insert", "update", "delete"] as const;

export function activityTable(sample: ActivitySample, picture: ActivityPicture): string[] {
  const { width, height, title } = picture;
  const kinds = width >= WIDE_MIN ? KINDS : [];
  const nameWidth = Math.max(NAME_MIN, width - NUMBER_WIDTH * (kinds.length + 2));
  const line = (name: string, numbers: readonly string[]): string =>
    fitted(name, nameWidth) + numbers.map(text => text.padStart(NUMBER_WIDTH)).join("");
  const row = (name: string, { rows, total }: TableActivity): string =>
    line(name, [
      rate(sum(rows), sample),
      ...kinds.map(kind => rate(rows[kind], sample)),
      count(total),
    ]);
  const { shown, hidden } = chosen(sample, Math.max(1, height - FRAME_LINES));
  const lines = [
    `${title}, ${rate(sumOf(sample), sample)} rows/s`,
    line("schema, table", ["rows/s", ...kinds.map(kind => `${kind}/s`), "rows"]),
  ];
  for (const { schema, tables } of shown) {
    lines.push(row(schema.name, schema));
    for (const table of tables) lines.push(row(`  ${table.name}`, table));
  }
  if (sample.schemas.length === 0) lines.push("no changes yet");
  if (hidden > 0) lines.push(`… and ${count(hidden)} more`);
  return lines.map(text => fitted(text, width).trimEnd());
}

/** Schemas go first; the room that they leave is for the busiest tables. */
function chosen(
  { schemas }: ActivitySample,
  room: number,
): {
  shown: { schema: SchemaActivity; tables: readonly TableActivity[] }[];
  hidden: number;
} {
  const visible = schemas.slice(0, room);
  const tables = visible.flatMap(schema => schema.tables).sort(busiestFirst);
  const visibleTables = new Set(tables.slice(0, room - visible.length));
  const all = schemas.reduce((lines, schema) => lines + 1 + schema.tables.length, 0);
  return {
    shown: visible.map(schema => ({
      schema,
      tables: schema.tables.filter(table => visibleTables.has(table)),
    })),
    hidden: all - visible.length - visibleTables.size,
  };
}

export function activityLine(sample: ActivitySample, time: Date): string {
  const moment = time.toISOString();
  const busy = sample.schemas.filter(isBusy);
  if (busy.length === 0) return `${moment} no changes`;
  const schemas = busy.slice(0, LINE_SCHEMAS_MAX).map(schema => {
    const tables = schema.tables.filter(isBusy);
    const named = tables
      .slice(0, LINE_TABLES_MAX)
      .map(({ name, rows }) => `${printable(name)} ${rate(sum(rows), sample)}`);
    const list = [...named, ...more(tables.length - LINE_TABLES_MAX)].join(", ");
    return `${printable(schema.name)} ${rate(sum(schema.rows), sample)}/s (${list})`;
  });
  const list = [...schemas, ...more(busy.length - LINE_SCHEMAS_MAX)].join(", ");
  return `${moment} ${rate(sumOf(sample), sample)} rows/s: ${list}`;
}

/** Rows of that time, and only what changed. */
export function activityJson(sample: ActivitySample, time: Date): string {
  const shown = ({ rows }: TableActivity): ChangeCounts => rows;
  return JSON.stringify({
    time: time.toISOString(),
    seconds: Math.round(sample.seconds * 1000) / 1000,
    rows: sumOf(sample),
    schemas: sample.schemas.filter(isBusy).map(schema => ({
      schema: schema.name,
      ...shown(schema),
      tables: schema.tables.filter(isBusy).map(each => ({ table: each.name, ...shown(each) })),
    })),
  });
}

const isBusy = ({ rows }: TableActivity): boolean => sum(rows) > 0;

const sumOf = ({ schemas }: ActivitySample): number =>
  schemas.reduce((all, { rows }) => all + sum(rows), 0);

const more = (hidden: number): string[] => (hidden > 0 ? [`${hidden} more`] : []);

const count = (value: number): string => value.toLocaleString("en-US");

function rate(rows: number, { seconds }: ActivitySample): string {
  const perSecond = seconds > 0 ? rows / seconds : 0;
  return perSecond.toLocaleString("en-US", { maximumFractionDigits: perSecond < 10 ? 1 : 0 });
}

/** Exactly as wide as asked for; what is longer ends in `…`. */
function fitted(text: string, width: number): string {
  let fitting = "";
  let used = 0;
  const characters = Array.from(printable(text));
  const whole = characters.reduce((all, character) => all + widthOf(character), 0);
  const room = whole > width ? width - 1 : width;
  for (const character of characters) {
    if (used + widthOf(character) > room) break;
    fitting += character;
    used += widthOf(character);
  }
  if (whole > width) return `${fitting}…`.padEnd(fitting.length + 1 + (room - used));
  return fitting + " ".repeat(width - used);
}

/** East Asian letters and pictures take two places, marks none. */
function widthOf(character: string): number {
  if (/\p{M}/u.test(character)) return 0;
  return /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u.test(
    character,
  )
    ? 2
    : 1;
}
