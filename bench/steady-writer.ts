/** Writes single-row transactions at a steady rate, on a few connections, and notes when each is committed. */
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection, type Connection } from "mysql2/promise";
import type { Mysql } from "../tools/services/services.ts";
import { nowMs } from "./now.ts";

export interface Written {
  /** By id: when the client had MySQL's OK. */
  readonly committedAt: ReadonlyMap<number, number>;
  readonly seconds: number;
}

const CONNECTIONS = 8;
const ROW = "?, 4711, 'paid', 1234.56, 'an order', '{\"src\": \"web\"}', 12.5, 'a', now(6), now(3)";
const INSERT = `INSERT INTO bench.orders VALUES (${ROW})`;

export class SteadyWriter {
  readonly #connections: readonly Connection[];
  #nextId: number;

  private constructor(connections: readonly Connection[], firstId: number) {
    this.#connections = connections;
    this.#nextId = firstId;
  }

  static async open({ host, port, user, password }: Mysql, firstId = 1): Promise<SteadyWriter> {
    const one = (): Promise<Connection> => createConnection({ host, port, user, password });
    return new SteadyWriter(await Promise.all(Array.from({ length: CONNECTIONS }, one)), firstId);
  }

  /** What could not be written in time is made up for: nothing is left out. */
  async write(rows: number, perSecond: number): Promise<Written> {
    const committedAt = new Map<number, number>();
    const startedAt = nowMs();
    const work: Promise<void>[] = [];
    const insert = async (id: number): Promise<void> => {
      // Kept short, so that what this process does for one row delays no other.
      await (this.#connections[id % CONNECTIONS] as Connection).execute(INSERT, [id]);
      committedAt.set(id, nowMs());
    };
    while (work.length < rows) {
      const due = Math.min(rows, ((nowMs() - startedAt) * perSecond) / 1_000);
      while (work.length < due) work.push(insert(this.#nextId++));
      await sleep(1);
    }
    await Promise.all(work);
    return { committedAt, seconds: (nowMs() - startedAt) / 1_000 };
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map(connection => connection.end()));
  }
}
