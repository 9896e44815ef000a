/**
 * MySQL to a file, as a replica: Tidemark's JSON lines, go-mysql's, and mysqlbinlog's copy of the bytes,
 * which is what the server can give at all. They alternate. How fast each was is rows over the time from
 * the first byte in its file to the last, so that no start counts; the whole time stands beside it.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileLines } from "../test/verify/file-lines.ts";
import { Failure } from "../tools/demo/failure.ts";
import { goProgram } from "../tools/services/go-program.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import type { Mysql } from "../tools/services/services.ts";
import { mysqlbinlogCall } from "./mysqlbinlog.ts";
import { OneShot } from "./one-shot.ts";
import { makePipeline } from "./pipeline.ts";
import { measure, median, rounded, type Contender, type Round } from "./round.ts";
import { FileTarget } from "./target.ts";
import { rowChanges, type Counts } from "./workload.ts";

export type FileFigures = {
  readonly rows_per_s: number;
  readonly seconds_with_start: number;
};

export type FileComparison = {
  readonly tidemark_rows_per_s: number;
  readonly ratio_to_raw: number;
  readonly ratio_to_go_mysql: number;
  readonly tidemark: FileFigures;
  readonly raw: FileFigures;
  readonly go_mysql: FileFigures;
};

type Name = "tidemark" | "raw" | "go_mysql";

export interface FileServers {
  readonly mysql: Mysql;
  readonly bundle: string;
  /** The first binlog file. */
  readonly file: string;
}

const GO_SOURCE = fileURLToPath(new URL("go-mysql", import.meta.url));
const LOOK_INTERVAL_MS = 5;
/** How many bytes there will be is not known beforehand. */
const QUIET_MS = 3_000;
const PATIENCE_MS = 60_000;

export class FileCompare {
  readonly #servers: FileServers;
  readonly #expected: Counts;
  readonly #say: (text: string) => void;
  readonly #rounds: Record<Name, Round[]> = { tidemark: [], raw: [], go_mysql: [] };

  constructor(servers: FileServers, expected: Counts, say: (text: string) => void) {
    this.#servers = servers;
    this.#expected = expected;
    this.#say = say;
  }

  async round(round: number): Promise<void> {
    const { mysql, bundle, file } = this.#servers;
    const folder = keptFolder("bench");
    const target = new FileTarget(folder, "file");
    const name = "file";
    const tidemark = makePipeline({ name, mysql, bundle, folder, target, start: "earliest" });
    await this.#run("tidemark", tidemark, join(folder, "file.jsonl"));
    const raw = join(folder, "raw");
    mkdirSync(raw);
    await this.#run("raw", new OneShot(await mysqlbinlogCall(mysql, { file, folder: raw })), raw);
    const lines = join(folder, "go.jsonl");
    await this.#run("go_mysql", new OneShot(await this.#goCall(lines)), lines);
    const shown = Object.entries(this.#rounds).map(
      ([name, rounds]) => `${name} ${this.#speed(rounds.at(-1))} rows/s`,
    );
    this.#say(`round ${round}, to a file: ${shown.join(", ")}`);
    rmSync(folder, { recursive: true });
  }

  result(): FileComparison {
    const [tidemark, raw, go_mysql] = [
      this.#medians("tidemark"),
      this.#medians("raw"),
      this.#medians("go_mysql"),
    ];
    return {
      tidemark_rows_per_s: tidemark.rows_per_s,
      ratio_to_raw: rounded(tidemark.rows_per_s / raw.rows_per_s, 2),
      ratio_to_go_mysql: rounded(tidemark.rows_per_s / go_mysql.rows_per_s, 2),
      tidemark,
      raw,
      go_mysql,
    };
  }

  async #run(name: Name, contender: Contender, path: string): Promise<void> {
    try {
      const round = await measure(
        contender,
        { progress: () => Promise.resolve(bytesIn(path)) },
        {
          ...{ nothing: 0, enough: 1, quietMs: QUIET_MS, patienceMs: PATIENCE_MS },
          lookIntervalMs: LOOK_INTERVAL_MS,
        },
      );
      this.#rounds[name].push(round);
    } finally {
      await contender.stop();
    }
    if (name === "raw") return;
    const counts = { c: 0, u: 0, d: 0 };
    new FileLines(path).readToEnd(line => {
      counts[(JSON.parse(line) as { readonly op: "c" | "u" | "d" }).op] += 1;
    });
    const { c, u, d } = this.#expected;
    if (counts.c !== c || counts.u !== u || counts.d !== d) {
      throw new Failure(
        `${name} wrote ${JSON.stringify(counts)}, not ${JSON.stringify({ c, u, d })}.`,
      );
    }
  }

  async #goCall(lines: string) {
    const { mysql, file } = this.#servers;
    const rows = rowChanges(this.#expected);
    return {
      command: await goProgram("go-mysql-lines-1.13.0", GO_SOURCE),
      args: [mysql.host, String(mysql.port), mysql.user, file, "bench", String(rows), lines],
      env: { MYSQL_PWD: mysql.password },
    };
  }

  #speed(round: Round | undefined): number {
    return Math.round(rowChanges(this.#expected) / (round?.streamingSeconds ?? NaN));
  }

  #medians(name: Name): FileFigures {
    const rounds = this.#rounds[name];
    return {
      rows_per_s: Math.round(median(rounds.map(round => this.#speed(round)))),
      seconds_with_start: rounded(median(rounds.map(({ seconds }) => seconds)), 2),
    };
  }
}

/** Of a file, or of all files of a folder. */
function bytesIn(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.size;
  return readdirSync(path).reduce((sum, file) => sum + bytesIn(join(path, file)), 0);
}
