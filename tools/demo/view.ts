/** What a person sees of the run. One interface, two shows: painted on a terminal, or line by line. */
import type { Writable } from "node:stream";
import { frame, type Figures } from "./frame.ts";
import { plainLine } from "./frame.ts";

export interface View {
  say(text: string): void;
  /** Called ten times a second. */
  update(figures: Figures): void;
  /** From now on nothing is painted over. */
  close(): void;
}

const PLAIN_INTERVAL_MS = 2_000;

export class PlainView implements View {
  readonly #out: Writable;
  readonly #bornAt = performance.now();
  #shownAt = 0;

  constructor(out: Writable) {
    this.#out = out;
  }

  say(text: string): void {
    const seconds = ((performance.now() - this.#bornAt) / 1000).toFixed(1).padStart(6);
    this.#out.write(`${seconds} s  ${text}\n`);
  }

  update(figures: Figures): void {
    if (performance.now() - this.#shownAt < PLAIN_INTERVAL_MS) return;
    this.#shownAt = performance.now();
    this.say(plainLine(figures));
  }

  close(): void {
    // Every line stands as it was written.
  }
}

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const CLEAR_BELOW = "\u001b[J";
const EVENTS_SHOWN = 8;
const HISTORY_MAX = 400;

interface Terminal extends Writable {
  readonly columns?: number;
}

export class LiveView implements View {
  readonly #out: Terminal;
  readonly #hasColors: boolean;
  readonly #bornAt = performance.now();
  readonly #events: string[] = [];
  readonly #history: number[] = [];
  #paintedLines = 0;
  #isLive = false;
  #tick = 0;

  constructor(out: Terminal, hasColors: boolean) {
    this.#out = out;
    this.#hasColors = hasColors;
  }

  /** Before the first figures there is nothing to paint, and lines of others come in between. */
  say(text: string): void {
    const seconds = ((performance.now() - this.#bornAt) / 1000).toFixed(1).padStart(5);
    const line = `${seconds} s  ${text}`;
    if (!this.#isLive) {
      this.#out.write(`  ${line}\n`);
      return;
    }
    this.#events.push(line);
    if (this.#events.length > EVENTS_SHOWN) this.#events.shift();
  }

  update(figures: Figures): void {
    if (!this.#isLive) this.#out.write(`${HIDE_CURSOR}\n`);
    this.#isLive = true;
    this.#tick += 1;
    this.#history.push(figures.written - figures.released);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    this.#paint(figures);
  }

  close(): void {
    if (this.#isLive) this.#out.write(SHOW_CURSOR);
    this.#isLive = false;
    this.#paintedLines = 0;
  }

  #paint(figures: Figures): void {
    const lines = frame(figures, {
      width: Math.min(this.#out.columns ?? 80, 100),
      hasColors: this.#hasColors,
      history: this.#history,
      events: this.#events,
      eventsShown: EVENTS_SHOWN,
      tick: this.#tick,
    });
    const up = this.#paintedLines > 0 ? `\u001b[${this.#paintedLines}A\r` : "";
    this.#out.write(`${up}${CLEAR_BELOW}${lines.join("\n")}\n`);
    this.#paintedLines = lines.length;
  }
}
