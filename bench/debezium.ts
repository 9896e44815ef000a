/**
 * Debezium Server as a contender. It can begin nowhere but at the end of the binlog, or where it was
 * stopped: so it is run once before the workload is written, and what it then remembers is given to every
 * run, under the run's own name.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Connection } from "mysql2/promise";
import { until } from "../test/verify/wait.ts";
import { Failure } from "../tools/demo/failure.ts";
import {
  debeziumProducer,
  debeziumProperties,
  debeziumSource,
} from "../tools/services/debezium-properties.ts";
import {
  startDebezium,
  type Debezium,
  type Kafka,
  type Mysql,
} from "../tools/services/services.ts";
import { keptFolder } from "../tools/services/keeper.ts";
import type { Contender } from "./round.ts";

const COMPLAINT_CHARS = 1_000;

/** What its documentation and Kafka's name for throughput, each well above its default. */
export const throughputSettings: Readonly<Record<string, string>> = {
  [`${debeziumSource}.max.batch.size`]: "16384",
  [`${debeziumSource}.max.queue.size`]: "65536",
  [`${debeziumSource}.poll.interval.ms`]: "50",
  [`${debeziumProducer}.linger.ms`]: "20",
  [`${debeziumProducer}.batch.size`]: "900000",
  [`${debeziumProducer}.buffer.memory`]: "134217728",
};

export interface DebeziumSetup {
  /** Its topics begin with it. */
  readonly name: string;
  readonly mysql: Mysql;
  readonly kafka: Kafka;
  readonly settings: Readonly<Record<string, string>>;
  /** A folder that holds `offsets` and `history`. */
  readonly memory: string;
}

/** All names are as long as this one, so that one can stand in the place of another. */
const FIRST_NAME = "debezium-0-00";
const MEMORY_PATIENCE_MS = 30_000;

/** @returns what a stopped Debezium remembers. */
export async function debeziumMemory(
  servers: Pick<DebeziumSetup, "mysql" | "kafka">,
  connection: Connection,
): Promise<string> {
  const memory = keptFolder("bench");
  const settings = { [`${debeziumSource}.offset.flush.interval.ms`]: "0" };
  const contender = new DebeziumContender({ ...servers, name: FIRST_NAME, settings, memory });
  await contender.start();
  // It remembers nothing until there was a change.
  await connection.query("CREATE TABLE bench.begun (id INT PRIMARY KEY)");
  await connection.query("INSERT INTO bench.begun VALUES (1)");
  const offsets = join(memory, "offsets");
  const remembers = (): boolean =>
    existsSync(offsets) && readFileSync(offsets, "latin1").includes(FIRST_NAME);
  await until(remembers, { what: "Debezium notes its offsets", timeoutMs: MEMORY_PATIENCE_MS });
  await contender.stop();
  return memory;
}

/** A copy for a run of its own. */
export function memoryFor(name: string, memory: string): string {
  if (name.length !== FIRST_NAME.length) throw new Error(`${name} is no name for Debezium`);
  const folder = keptFolder("bench");
  for (const file of ["offsets", "history"]) {
    const text = readFileSync(join(memory, file), "latin1").replaceAll(FIRST_NAME, name);
    writeFileSync(join(folder, file), text, "latin1");
  }
  return folder;
}

export class DebeziumContender implements Contender {
  readonly #setup: DebeziumSetup;
  #server: Debezium | undefined;

  constructor(setup: DebeziumSetup) {
    this.#setup = setup;
  }

  get pid(): number | undefined {
    return this.#server?.isRunning === true ? this.#server.pid : undefined;
  }

  async start(): Promise<void> {
    this.#server = await startDebezium({ properties: propertiesOf(this.#setup) });
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  assertRuns(): void {
    if (this.#server?.isRunning === false) {
      throw new Failure(`Debezium ended by itself: ${this.logTail()}`);
    }
  }

  logTail(): string {
    if (this.#server === undefined) return "(not started)";
    const log = readFileSync(join(this.#server.dir, "log"), "utf8");
    const from = log.search(/ ERROR /);
    return from < 0 ? log.slice(-COMPLAINT_CHARS) : log.slice(from, from + COMPLAINT_CHARS);
  }
}

function propertiesOf({ name, mysql, kafka, settings, memory }: DebeziumSetup) {
  return {
    ...debeziumProperties({ mysql, database: "bench", kafka, name }),
    [`${debeziumProducer}.acks`]: "all",
    [`${debeziumProducer}.compression.type`]: "none",
    [`${debeziumSource}.offset.storage.file.filename`]: join(memory, "offsets"),
    [`${debeziumSource}.schema.history.internal.file.filename`]: join(memory, "history"),
    ...settings,
  };
}
