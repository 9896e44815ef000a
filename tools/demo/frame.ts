/** One picture of the run, as lines of text. Nothing here knows of a terminal but its width. */

export interface Figures {
  readonly target: "kafka" | "file";
  /** Row changes: committed in MySQL, seen by the reader, covered by the last commit record. */
  readonly written: number;
  readonly delivered: number;
  readonly released: number;
  readonly rowsPerSecond: number;
  /** Since the shop opened. */
  readonly elapsedS: number;
  readonly seconds: number;
  /** Undefined while Tidemark is not running. */
  readonly pid: number | undefined;
  /** It was asked to stop, and did. */
  readonly isStopped: boolean;
  readonly starts: number;
}

export interface FrameOptions {
  readonly width: number;
  readonly hasColors: boolean;
  /** How many row changes were not released yet, one number a picture, the last is now. */
  readonly history: readonly number[];
  readonly events: readonly string[];
  readonly eventsShown: number;
  readonly tick: number;
}

const names = { kafka: "Kafka", file: "file" } as const;
const count = (value: number): string => Math.max(0, value).toLocaleString("en-US");

export function plainLine(figures: Figures): string {
  const { target, written, delivered, released, pid, isStopped } = figures;
  const isDead = pid === undefined && !isStopped;
  return (
    `${count(written)} row changes written in MySQL, ${count(delivered)} in ${names[target]}, ` +
    `${count(released)} released (${count(figures.rowsPerSecond)}/s)${isDead ? "; Tidemark is dead" : ""}`
  );
}

/** No line is longer than the width, so that none wraps and the next picture covers this one. */
export function frame(figures: Figures, options: FrameOptions): string[] {
  const { target, written, delivered, released } = figures;
  const paint = options.hasColors ? colored : (_color: Color, text: string): string => text;
  const lines: [Color, string][] = [
    ["bold", `  ${wave(options.tick)} Tidemark: every row change, in order, none skipped`],
    ["none", ""],
    ["cyan", stage("MySQL", written, `row changes written, ${count(figures.rowsPerSecond)}/s`)],
    ["dim", gap(written - delivered, options.width, "on the way")],
    ["blue", stage(names[target], delivered, "delivered")],
    ["dim", gap(delivered - released, options.width, "delivered, but not yet released")],
    ["green", stage("tidemark", released, "released: below this everything has arrived")],
    ["none", ""],
    ["yellow", `  not released, over time  ${sparkline(options.history, options.width - 28)}`],
    life(figures),
    ["none", ""],
  ];
  const events = [...options.events.map(event => `  ${event}`)];
  while (events.length < options.eventsShown) events.push("");
  return [
    ...lines.map(([color, text]) => paint(color, cut(text, options.width))),
    ...events.map(event => paint(/kill -9/.test(event) ? "red" : "dim", cut(event, options.width))),
  ];
}

function stage(name: string, value: number, what: string): string {
  return `  ${name.padEnd(9)} ${count(value).padStart(9)}  ${what}`;
}

/** What waits between two stages: a block for every 100 row changes. */
function gap(waiting: number, width: number, what: string): string {
  const text = `       ┊ ${count(waiting).padStart(11)}  ${what} `;
  const blocks = Math.min(
    Math.ceil(Math.max(0, waiting) / 100),
    Math.max(0, width - text.length - 2),
  );
  return text + "▒".repeat(blocks);
}

const LEVELS = "▁▂▃▄▅▆▇█";

/** The newest on the right; the highest level is the most that is shown. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-Math.max(1, width));
  const most = Math.max(1, ...shown);
  return shown.map(value => LEVELS[Math.round((Math.max(0, value) / most) * 7)] ?? " ").join("");
}

function wave(tick: number): string {
  const swell = "≈~˜~";
  return Array.from({ length: 4 }, (_, i) => swell[(i + Math.floor(tick / 2)) % 4] ?? "~").join("");
}

function life(figures: Figures): [Color, string] {
  const { pid, starts, isStopped } = figures;
  if (isStopped) return ["green", "  ○ Tidemark was asked to stop, and did"];
  const alive =
    pid === undefined ? "✗ Tidemark is dead" : `● Tidemark runs: pid ${pid}, start ${starts}`;
  return [pid === undefined ? "red" : "green", `  ${alive.padEnd(40)} ${clock(figures)}`];
}

function clock({ elapsedS, seconds }: Figures): string {
  const left = Math.max(0, seconds - elapsedS);
  return left > 0 ? `the shop closes in ${left.toFixed(0)} s` : "the shop is closed";
}

/** Everything painted here is one column wide but for emoji and CJK, of which there are none. */
function cut(text: string, width: number): string {
  const letters = Array.from(text);
  return letters.length < width ? text : `${letters.slice(0, width - 2).join("")}…`;
}

type Color = "none" | "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "cyan";
const codes = { none: 0, bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 };

function colored(color: Color, text: string): string {
  return color === "none" ? text : `\u001b[${codes[color]}m${text}\u001b[0m`;
}
