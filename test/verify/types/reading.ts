/** Reads what the program under test makes of a table that is changed, and judges it. */
import { until } from "../wait.ts";
import { shown, TABLE } from "./altered-table.ts";
import type { BinlogPosition, Envelope, FileRun } from "./file-run.ts";

const ARRIVAL_TIMEOUT_MS = 60_000;
const STOPPED = 65;

/** What was written around a change: in front of it and behind it, and where that ended. */
export interface Written {
  readonly before: readonly string[];
  readonly behind: readonly string[];
  readonly end: BinlogPosition;
}

export class Reading {
  readonly run: FileRun;
  #judged = 0;

  constructor(run: FileRun) {
    this.run = run;
  }

  /** Waits for as many messages, or for the program's end. Undefined if they are what is wanted. */
  async differenceTo(wanted: readonly string[]): Promise<string | undefined> {
    const got = await this.#next(wanted.length);
    if (got.join() === wanted.join()) return undefined;
    return `${got.join(" ")} instead of ${wanted.join(" ")}\n${this.run.product.logTail(3)}`;
  }

  async #next(count: number): Promise<readonly string[]> {
    const hasEnded = (): boolean => this.run.product.ended !== undefined;
    await until(() => hasEnded() || this.#messages().length >= this.#judged + count, {
      what: `${count} messages`,
      timeoutMs: ARRIVAL_TIMEOUT_MS,
    }).catch(() => undefined); // The difference says what is lacking.
    const got = this.#messages().slice(this.#judged).map(shown);
    this.#judged += got.length;
    return got;
  }

  /** Those of the table, without those of others that its changes need. */
  #messages(): readonly Envelope[] {
    return this.run.messages().filter(({ source }) => source.table === TABLE);
  }

  /** Undefined if it ended as it should. */
  async stop(): Promise<string | undefined> {
    const { code } = await this.run.product.terminate();
    return code === 0 ? undefined : `it ended with ${code}: ${this.run.product.logTail(3)}`;
  }

  /** Starts it. "resumed", "moved", or what is wrong. */
  async resume(written: Written): Promise<string> {
    this.run.product.start();
    return this.goOn(written);
  }

  /** While it runs: "resumed", "moved" if it stopped and had to be put behind the change, or what is wrong. */
  async goOn({ before, behind, end }: Written): Promise<string> {
    const { product } = this.run;
    const wanted = [...before, ...behind];
    const got = await this.#next(wanted.length);
    if (got.join() === wanted.join()) return "resumed";
    const isPart = got.every((message, i) => message === before[i]);
    if (!isPart || product.ended?.code !== STOPPED || !saysWhat(product.logTail(1))) {
      return `${got.join(" ")} instead of ${wanted.join(" ")}\n${product.logTail(3)}`;
    }
    this.run.setPosition(end);
    product.start();
    return (await this.differenceTo(behind)) ?? "moved";
  }
}

function saysWhat(line: string): boolean {
  return (
    /binlog_row_metadata = FULL/.test(line) && /begin behind the change .*position set/.test(line)
  );
}
