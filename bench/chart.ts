/** The comparison as bars, one panel a figure: an SVG that needs nothing but itself. */
import type { Results } from "./results.ts";

interface Bar {
  readonly name: string;
  readonly value: number;
}

interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const OURS = "Tidemark";
const size = { width: 760, name: 200, value: 90, bar: 22, gap: 6, title: 34, margin: 16 } as const;
const colours = { ours: "#0f766e", others: "#94a3b8", text: "#0f172a", paper: "#ffffff" } as const;

export function chart({ compare }: Results): string {
  if (compare === undefined) return picture([]);
  const { kafka, file, rows } = compare.result;
  const toKafka = [
    [OURS, kafka.tidemark],
    ["Debezium, for throughput", kafka.debezium_throughput],
    ["Debezium, its defaults", kafka.debezium_defaults],
  ] as const;
  const written = rows.toLocaleString("en-US");
  return picture([
    {
      title: "MySQL to Kafka: rows a second (more is better)",
      bars: toKafka.map(([name, { rows_per_s }]) => ({ name, value: rows_per_s })),
    },
    {
      title: `CPU seconds for ${written} rows (less is better)`,
      bars: toKafka.map(([name, { cpu_s }]) => ({ name, value: cpu_s })),
    },
    {
      title: "Memory at most, MB (less is better)",
      bars: toKafka.map(([name, { peak_rss_mb }]) => ({ name, value: peak_rss_mb })),
    },
    {
      title: "MySQL to a file: rows a second (more is better)",
      bars: [
        { name: "mysqlbinlog --raw", value: file.raw.rows_per_s },
        { name: OURS, value: file.tidemark.rows_per_s },
        { name: "go-mysql, encoding/json", value: file.go_mysql.rows_per_s },
      ],
    },
  ]);
}

function picture(panels: readonly Panel[]): string {
  const parts: string[] = [];
  let top: number = size.margin;
  for (const { title, bars } of panels) {
    parts.push(text({ x: size.margin, y: top + 18, weight: "bold" }, title));
    top += size.title;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { name, value } of bars) {
      parts.push(...row(name, value, { top, share: value / most }));
      top += size.bar + size.gap;
    }
    top += size.margin;
  }
  const box = `0 0 ${size.width} ${top}`;
  const font = 'font-family="system-ui, sans-serif" font-size="14"';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" width="${size.width}" ${font}>`,
    `<rect width="${size.width}" height="${top}" rx="8" fill="${colours.paper}"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function row(name: string, value: number, { top, share }: { top: number; share: number }) {
  const left = size.margin + size.name;
  const room = size.width - left - size.value - size.margin;
  const width = Math.max(1, Math.round(room * share));
  const colour = name === OURS ? colours.ours : colours.others;
  const y = top + size.bar - 6;
  const shape = `x="${left}" y="${top}" width="${width}" height="${size.bar}" rx="3"`;
  return [
    text({ x: left - 10, y, anchor: "end" }, name),
    `<rect ${shape} fill="${colour}"/>`,
    text({ x: left + width + 8, y }, value.toLocaleString("en-US")),
  ];
}

interface TextPlace {
  readonly x: number;
  readonly y: number;
  readonly anchor?: "start" | "end";
  readonly weight?: "normal" | "bold";
}

function text({ x, y, anchor = "start", weight = "normal" }: TextPlace, words: string): string {
  const style = `text-anchor="${anchor}" font-weight="${weight}" fill="${colours.text}"`;
  return `<text x="${x}" y="${y}" ${style}>${words}</text>`;
}
