/** The figures of docs/performance.md, as Markdown: everything between its two markers. */
import type { Recorded, Results } from "./results.ts";

const BEGIN = "<!-- figures: `npm run bench -- SCENARIO --write` writes what stands from here -->";
const END = "<!-- to here -->";

type Cell = string | number;

export function withFigures(page: string, results: Results): string {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error("docs/performance.md has lost its markers");
  const figures = [beside, snapshot, latency, start, memory, decode].map(part => part(results));
  const text = [BEGIN, ...figures, END].join("\n\n");
  return page.slice(0, from) + text + page.slice(to + END.length);
}

function beside({ compare }: Results): string {
  if (compare === undefined) return section("Beside others", "compare", undefined);
  const { kafka, file, rows, rounds } = compare.result;
  const kafkaRows = [
    ["Tidemark", kafka.tidemark],
    ["Debezium Server, its defaults", kafka.debezium_defaults],
    ["Debezium Server, set for throughput", kafka.debezium_throughput],
  ] as const;
  const fileRows = [
    ["`mysqlbinlog --raw`: bytes as they are", file.raw],
    ["Tidemark: JSON lines", file.tidemark],
    ["go-mysql and `encoding/json`: JSON lines", file.go_mysql],
  ] as const;
  return section(
    "Beside others",
    "compare",
    compare,
    "![Rows a second, CPU time and memory of Tidemark and the others](performance.svg)",
    `${count(rows)} row changes, medians of ${rounds} rounds. To Kafka, Tidemark has ` +
      `**${kafka.ratio} times** the speed of the faster Debezium Server (${kafka.debezium_settings}), with ` +
      `${percent(kafka.cpu_ratio)} of its CPU time and ${percent(kafka.rss_ratio)} of its memory. To a ` +
      `file, it has ${file.ratio_to_raw} of the speed of \`mysqlbinlog --raw\` and ` +
      `${file.ratio_to_go_mysql} times that of go-mysql.`,
    table(
      ["MySQL to Kafka", "rows/s", "CPU s", "CPU s with the start", "peak MB"],
      kafkaRows.map(([name, of]) => [
        ...[name, of.rows_per_s, of.cpu_s, of.cpu_with_start_s, of.peak_rss_mb],
      ]),
    ),
    table(
      ["MySQL to a file", "rows/s", "seconds with the start"],
      fileRows.map(([name, of]) => [name, of.rows_per_s, of.seconds_with_start]),
    ),
  );
}

function snapshot({ snapshot: recorded }: Results): string {
  if (recorded === undefined) return section("Existing rows", "snapshot", undefined);
  const { rows, rounds, ratio_to_debezium, ratio_to_mysql, ...of } = recorded.result;
  return section(
    "Existing rows",
    "snapshot",
    recorded,
    `${count(rows)} rows of a table to Kafka, medians of ${rounds} rounds. Tidemark has ` +
      `**${ratio_to_debezium} times** the speed of Debezium Server's snapshot, and ${ratio_to_mysql} of that ` +
      "with which `mysql --quick` reads the same rows and delivers them nowhere.",
    table(
      ["existing rows to Kafka", "rows/s", "CPU s with the start", "peak MB"],
      [
        ["Tidemark", of.tidemark_rows_per_s, of.cpu_with_start_s, of.peak_rss_mb],
        [
          ...["Debezium Server, its defaults", of.debezium_rows_per_s],
          ...[of.debezium_cpu_with_start_s, of.debezium_peak_rss_mb],
        ],
        ["`mysql --quick`, to nowhere", of.mysql_rows_per_s, "–", "–"],
      ],
    ),
  );
}

function latency({ latency: recorded }: Results): string {
  if (recorded === undefined) return section("Latency", "latency", undefined);
  const { flush_0, default: byDefault } = recorded.result;
  const rows = [
    ["`flush_interval_ms: 0`", flush_0],
    ["default (100)", byDefault],
  ] as const;
  return section(
    "Latency",
    "latency",
    recorded,
    "From COMMIT's OK at the client to the consumer's callback, at 1,000 transactions of one row a second.",
    table(
      ["", "median ms", "99 of 100 below ms", "longest ms", "rows", "CPU s"],
      rows.map(([name, of]) => [name, of.p50_ms, of.p99_ms, of.max_ms, of.rows, of.cpu_s]),
    ),
  );
}

function start({ start: recorded }: Results): string {
  if (recorded === undefined) return section("Start", "start", undefined);
  const { tables, rounds, first_record_s, slowest_s } = recorded.result;
  return section(
    "Start",
    "start",
    recorded,
    `With ${count(tables)} tables on the server, all of them asked for, the first record is at the consumer ` +
      `**${first_record_s} s** after the start of the process (median of ${rounds}; the slowest: ` +
      `${slowest_s} s).`,
  );
}

function memory({ memory: recorded }: Results): string {
  if (recorded === undefined) return section("Memory", "memory", undefined);
  const { million_rows, rows_of_4_mb, stall } = recorded.result;
  return section(
    "Memory",
    "memory",
    recorded,
    table(
      ["the most that the process holds", "peak MB"],
      [
        ["through one transaction of 1,000,000 rows", million_rows.peak_rss_mb],
        ["through one transaction of rows of 4 MB", rows_of_4_mb.peak_rss_mb],
        [
          `while the broker stands still for ${stall.stall_s / 60} minutes under load`,
          stall.peak_rss_mb,
        ],
      ],
    ),
  );
}

function decode({ decode: recorded }: Results): string {
  if (recorded === undefined) return section("Decoding alone", "decode", undefined);
  const { rows_per_s, mysqlbinlog_rows_per_s = 0, zongji_rows_per_s = 0 } = recorded.result;
  return section(
    "Decoding alone",
    "decode",
    recorded,
    table(
      ["read as a replica", "rows/s"],
      [
        ["`mysqlbinlog --raw`, which decodes nothing", mysqlbinlog_rows_per_s],
        ["Tidemark's reader", rows_per_s],
        ["@vlasky/zongji (`source.reader: zongji`)", zongji_rows_per_s],
      ],
    ),
  );
}

function section(
  title: string,
  scenario: string,
  recorded: Recorded<unknown> | undefined,
  ...text: readonly string[]
): string {
  const command = `\`npm run bench -- ${scenario}\``;
  if (recorded === undefined) return `## ${title}\n\nNot measured yet: ${command}.`;
  const { date, machine } = recorded;
  return [`## ${title}`, ...text, `${command}, ${date}, ${machine}.`].join("\n\n");
}

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]): string =>
    `| ${cells.map(cell => (typeof cell === "number" ? count(cell) : cell)).join(" | ")} |`;
  const rule = `|---|${"---:|".repeat(head.length - 1)}`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}
