/**
 * Maxwell's daemon and the program under test, which read the same binlog, each into a file.
 *
 *   MySQL 8.0.15 ─┬─▶ Maxwell  ──▶ out.jsonl ─┐
 *                 └─▶ Tidemark ──▶ out.jsonl ─┴─▶ lines, in the order of the binlog
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMaxwell, type Maxwell } from "../../../tools/services/services.ts";
import { FileLines } from "../file-lines.ts";
import { DATABASE, ParitySource, REPLICA } from "../parity.ts";
import { until } from "../wait.ts";

const COMPLAINT_CHARS = 2_000;
const ARRIVAL_TIMEOUT_MS = 180_000;
const LAST_LINE = '"table":"the_end"';

/** It knows no newer way to log in. */
const maxwellUser = { user: "maxwell", password: "maxwell-Pa55word" } as const;

export interface BothSides {
  readonly maxwell: readonly string[];
  readonly tidemark: readonly string[];
}

export class Sides {
  readonly source: ParitySource;
  readonly #maxwell: Maxwell;

  private constructor(source: ParitySource, maxwell: Maxwell) {
    this.source = source;
    this.#maxwell = maxwell;
  }

  static async start(): Promise<Sides> {
    const { user, password } = maxwellUser;
    const source = await ParitySource.start("mysql-8", [
      `CREATE USER '${user}'@'%' IDENTIFIED WITH mysql_native_password BY '${password}'`,
      `GRANT SELECT, ${REPLICA} TO '${user}'@'%'`,
      `GRANT ALL ON maxwell.* TO '${user}'@'%'`,
    ]);
    const { mysql } = source;
    return new Sides(source, await startMaxwell({ mysql, ...maxwellUser, database: DATABASE }));
  }

  /** All that both wrote of what stands in the binlog now. */
  async lines(): Promise<BothSides> {
    const dir = mkdtempSync(join(tmpdir(), "tidemark-maxwell-"));
    const product = this.source.product(dir, {
      name: "maxwell",
      format: "maxwell",
      sink: { type: "file", path: join(dir, "out.jsonl") },
    });
    const sides = {
      maxwell: { file: new FileLines(this.#maxwell.output), lines: [] as string[] },
      tidemark: { file: new FileLines(join(dir, "out.jsonl")), lines: [] as string[] },
    };
    try {
      const connection = await this.source.connect();
      await connection.query("CREATE TABLE the_end (id INT); INSERT INTO the_end VALUES (1)");
      product.start();
      await until(
        () => {
          if (product.ended) throw new Error(`Tidemark ended:\n${product.logTail(8)}`);
          if (!this.#maxwell.isRunning) throw new Error(`Maxwell ended:\n${this.#complaint()}`);
          return Object.values(sides).every(({ file, lines }) => {
            file.readToEnd(line => lines.push(line));
            return lines.at(-1)?.includes(LAST_LINE) === true;
          });
        },
        { what: "both write everything", timeoutMs: ARRIVAL_TIMEOUT_MS, intervalMs: 200 },
      );
      await product.terminate();
    } finally {
      await product.dispose();
      rmSync(dir, { recursive: true, force: true });
    }
    return { maxwell: sides.maxwell.lines, tidemark: sides.tidemark.lines };
  }

  async stop(): Promise<void> {
    await this.#maxwell.stop();
    await this.source.stop();
  }

  /** What Maxwell says about its end. */
  #complaint(): string {
    const log = readFileSync(join(this.#maxwell.dir, "log"), "utf8");
    const from = Math.max(0, log.search(/ (ERROR|FATAL) |Exception/));
    return log.slice(from, from + COMPLAINT_CHARS);
  }
}
