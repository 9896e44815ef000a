/** The program under test, reading a server into a file from some place on. */
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mysql } from "../../../tools/services/services.ts";
import { FileLines } from "../file-lines.ts";
import { builtBundle, Product } from "../product.ts";
import { cdcUser } from "../servers.ts";
import { until } from "../wait.ts";
import { parseExactly, type ExactValue } from "./exact-json.ts";
import type { Told } from "./told-statements.ts";

export type Row = Readonly<Record<string, ExactValue>>;

export interface Envelope {
  readonly op: string;
  readonly before: Row | null;
  readonly after: Row | null;
  readonly source: { readonly table: string };
}

export interface BinlogPosition {
  readonly file: string;
  readonly position: number;
}

const CONFIG = "tidemark.yaml";

export class FileRun {
  readonly product: Product;
  readonly #dir: string;
  readonly #lines: FileLines;
  readonly #found: Envelope[] = [];
  readonly #told: Told[] = [];

  /** Starts at once. `source` and `pipeline` are added to what the configuration says of them. */
  constructor(
    mysql: Mysql,
    start: "earliest" | BinlogPosition,
    source: Readonly<Record<string, unknown>> = {},
    pipeline: Readonly<Record<string, unknown>> = {},
  ) {
    this.#dir = mkdtempSync(join(tmpdir(), "tidemark-types-"));
    mkdirSync(join(this.#dir, "state"));
    const config = join(this.#dir, CONFIG);
    writeFileSync(config, JSON.stringify(configOf(mysql, { start, ...source }, pipeline)));
    const bundle = join(this.#dir, "tidemark.mjs");
    copyFileSync(builtBundle(undefined), bundle);
    this.product = new Product({ bundle, config, dir: this.#dir });
    this.#lines = new FileLines(join(this.#dir, "out.jsonl"));
    this.product.start();
  }

  /** It is decided from where on it reads. */
  get hasCheckpoint(): boolean {
    return existsSync(join(this.#dir, "state", "types.json"));
  }

  /** What has arrived so far, tombstones aside. */
  messages(): readonly Envelope[] {
    this.#lines.readToEnd(line => {
      const message = parseExactly(line) as unknown as Envelope | null;
      if (message !== null && "statement" in message) this.#told.push(JSON.parse(line) as Told);
      else if (message !== null) this.#found.push(message);
    });
    return this.#found;
  }

  /** The messages about statements that came since the last time. */
  takeTold(): readonly Told[] {
    this.messages();
    return this.#told.splice(0);
  }

  /** Everything up to the message of which `isLast` is true. */
  async until(
    isLast: (message: Envelope) => boolean,
    timeoutMs: number,
  ): Promise<readonly Envelope[]> {
    await until(
      () => {
        if (this.messages().some(isLast)) return true;
        if (this.product.ended) throw new Error(`Tidemark ended:\n${this.product.logTail(8)}`);
        return false;
      },
      { what: "every row arrives", timeoutMs },
    );
    return this.messages();
  }

  /** `tidemark position set`, while the program is stopped. */
  setPosition({ file, position }: BinlogPosition): void {
    const { status, stderr } = this.command("position", "set", `${file}:${position}`);
    if (status !== 0) throw new Error(`position set ended with ${status}: ${stderr}`);
  }

  /** Another command with the same configuration. */
  command(...words: readonly string[]): SpawnSyncReturns<string> {
    const args = [this.product.bundle, ...words, "--config", CONFIG];
    return spawnSync(process.execPath, args, { cwd: this.#dir, encoding: "utf8" });
  }

  async dispose(): Promise<void> {
    await this.product.dispose();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function configOf(
  { host, port }: Mysql,
  source: Readonly<Record<string, unknown>>,
  pipeline: Readonly<Record<string, unknown>>,
): unknown {
  return {
    source: { host, port, ...cdcUser, ...source },
    pipelines: [
      {
        name: "types",
        tables: ["types.*"],
        ...pipeline,
        format: "debezium",
        sink: { type: "file", path: "out.jsonl" },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
}
