/** How far the copies of existing rows are, as lines at the foot of a terminal: one for each pipeline that copies. */
import type { Vitals } from "../core/vitals.ts";
import type { LivePicture } from "./live-picture.ts";

export interface BarClock {
  nowMs(): number;
}

const DRAWN_MS = 500;
/** A terminal that does not know its size says 0. */
const WIDTH = 80;
const BAR_CELLS = 20;
/** The rate is that of the last seconds. */
const RATE_SAMPLES = 20;

interface Sample {
  readonly ms: number;
  readonly rows: number;
}

export class SnapshotBar {
  readonly #vitals: readonly Vitals[];
  readonly #clock: BarClock;
  readonly #samples = new Map<Vitals, Sample[]>();

  constructor(vitals: readonly Vitals[], clock: BarClock) {
    this.#vitals = vitals;
    this.#clock = clock;
  }

  /** No wider than this. */
  lines(width: number): readonly string[] {
    return this.#vitals.flatMap(vitals => {
      const { copy } = vitals;
      if (copy === undefined || copy.tablesLeft === 0) {
        this.#samples.delete(vitals);
        return [];
      }
      const rate = this.#rate(vitals, copy.rows);
      const { tables, tablesLeft, rows, estimatedRows } = copy;
      const all = estimatedRows === undefined ? undefined : Math.max(estimatedRows, rows);
      const parts: readonly Part[] = [
        { text: vitals.pipeline, rank: 4 },
        { text: all === undefined || all === 0 ? "" : bar(rows / all), rank: 6 },
        { text: `${tables - tablesLeft} of ${tables} tables`, rank: 1 },
        {
          text: `${number(rows)}${all === undefined ? "" : ` of about ${number(all)}`} rows`,
          rank: 2,
        },
        { text: `${number(rate)} rows/s`, rank: 5 },
        {
          text: all === undefined || rate === 0 ? "" : `about ${time((all - rows) / rate)} left`,
          rank: 3,
        },
      ];
      return [fitted(parts, width)];
    });
  }

  #rate(vitals: Vitals, rows: number): number {
    const samples = this.#samples.get(vitals) ?? [];
    this.#samples.set(vitals, samples);
    samples.push({ ms: this.#clock.nowMs(), rows });
    if (samples.length > RATE_SAMPLES) samples.shift();
    const [first = { ms: 0, rows }] = samples;
    const tookMs = this.#clock.nowMs() - first.ms;
    return tookMs <= 0 ? 0 : Math.max(0, Math.round(((rows - first.rows) * 1_000) / tookMs));
  }
}

interface Part {
  readonly text: string;
  /** Those of a high rank are left out first. */
  readonly rank: number;
}

function fitted(parts: readonly Part[], width: number): string {
  let shown = parts.filter(({ text }) => text !== "");
  const lineOf = (): string => shown.map(({ text }) => text).join("  ");
  for (let rank = 6; rank > 1 && lineOf().length > width; rank -= 1) {
    shown = shown.filter(part => part.rank < rank);
  }
  return lineOf().slice(0, width);
}

function bar(done: number): string {
  const cells = Math.round(done * BAR_CELLS);
  return `[${"#".repeat(cells)}${".".repeat(BAR_CELLS - cells)}] ${Math.floor(done * 100)} %`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function time(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Draws while something is copied, and takes itself away when all is. */
export function drawSnapshots(
  vitals: readonly Vitals[],
  {
    picture,
    clock,
    terminal,
  }: {
    readonly picture: LivePicture;
    readonly clock: BarClock;
    readonly terminal: { readonly columns: number };
  },
): { end(): void } {
  for (const each of vitals) each.isCopyDrawn = true;
  const bars = new SnapshotBar(vitals, clock);
  let isDrawn = false;
  const clear = (): void => {
    if (isDrawn) picture.draw([]);
    picture.end();
    isDrawn = false;
  };
  const timer = setInterval(() => {
    // In the last column some terminals begin a new line.
    const lines = bars.lines((terminal.columns || WIDTH) - 1);
    if (lines.length === 0) {
      clear();
      return;
    }
    isDrawn = true;
    picture.draw(lines);
  }, DRAWN_MS);
  process.once("exit", clear); // Also where the process is ended at once: the cursor is hidden meanwhile.
  return {
    end: () => {
      clearInterval(timer);
      clear();
    },
  };
}
