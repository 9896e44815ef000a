/**
 * One row of a thousand that an endpoint refuses, for ten minutes: the others must not notice. 200 ms a
 * request and 32 in flight make 160 a second at best. Mended, the row's events arrive in order, also if
 * Tidemark was killed and started again in between. Once as it waits in the queue, once parked on disk.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mysql } from "../../../tools/services/services.ts";
import { combined, type Outcome } from "../campaign.ts";
import { builtBundle, Product } from "../product.ts";
import { progress } from "../progress.ts";
import { cdcUser, withConnection } from "../servers.ts";
import { sleep, until } from "../wait.ts";
import type { CheckContext } from "./check.ts";

const ROWS = 1_000;
const POISON_ID = 500;
const IN_FLIGHT = 32;
const LATENCY_MS = 200;
const WHOLE_MS = 600_000;
const QUICK_MS = 30_000;
/** Best possible rate of the other rows, and how much of it is asked for. */
const BEST_PER_S = IN_FLIGHT / (LATENCY_MS / 1000);
const SHARE_MIN = 0.9;
const DATABASE = "v_poison";

export async function poison(context: CheckContext): Promise<Outcome> {
  const queued = await onePoison(context, false);
  progress(`poison: in the queue: ${JSON.stringify(queued.figures)}`);
  const parked = await onePoison(context, true);
  return combined([queued, parked]);
}

/** Takes every message after a while, but for those of one row. */
class Endpoint {
  isMended = false;
  taken = 0;
  refused = 0;
  outOfOrder = 0;
  /** By row: the last version that was taken. */
  readonly versions = new Map<number, number>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("error", () => undefined);
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const { after } = JSON.parse(Buffer.concat(parts).toString()) as {
          after: { id: number; version: number };
        };
        setTimeout(() => {
          const isTaken = this.isMended || after.id !== POISON_ID;
          if (isTaken) this.#take(after.id, after.version);
          else this.refused += 1;
          response.writeHead(isTaken ? 204 : 500).end();
        }, LATENCY_MS);
      });
    });
  }

  #take(id: number, version: number): void {
    const last = this.versions.get(id) ?? 0;
    if (version > last + 1) this.outOfOrder += 1;
    this.taken += 1;
    this.versions.set(id, version);
  }

  async start(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }
}

async function onePoison({ options, servers }: CheckContext, isParked: boolean): Promise<Outcome> {
  const mysql = await servers.mysql();
  const durationMs = options.quick ? QUICK_MS : WHOLE_MS;
  const dir = mkdtempSync(join(tmpdir(), "tidemark-verify-poison-"));
  const endpoint = new Endpoint();
  await endpoint.start();
  const config = join(dir, "tidemark.yaml");
  writeFileSync(config, JSON.stringify(configuration(mysql, endpoint.url, isParked)));
  const product = new Product({ bundle: builtBundle(undefined), config, dir });
  let ok = false;
  try {
    await makeRows(mysql);
    product.start();
    await until(() => endpoint.taken >= ROWS - 1, {
      what: "every row arrives",
      timeoutMs: 120_000,
    });
    const written = await update(mysql, 2, durationMs + 10_000);
    const beganMs = performance.now();
    const before = endpoint.taken;
    await sleep(durationMs);
    const perSecond = (endpoint.taken - before) / ((performance.now() - beganMs) / 1000);
    progress(`poison: ${perSecond.toFixed(1)} a second`);
    await product.kill();
    product.start();
    await sleep(3_000);
    const refused = endpoint.refused;
    endpoint.isMended = true;
    const last = written + 1;
    await until(
      () => [...endpoint.versions.values()].filter(version => version === last).length === ROWS,
      // What waited behind the row was not released, so all of it may come again.
      { what: "the last version of every row arrives", timeoutMs: 120_000 + 2 * durationMs },
    );
    const exit = await product.terminate();
    const where = isParked ? "parked" : "queued";
    const figures = {
      seed: options.seed,
      [`${where}_per_second`]: Math.round(perSecond * 10) / 10,
      [`${where}_share_of_best`]: Math.round((perSecond / BEST_PER_S) * 1000) / 1000,
      refused,
      out_of_order: endpoint.outOfOrder,
      taken: endpoint.taken,
      peak_rss_mb: product.peakRssMb,
    };
    ok =
      perSecond >= SHARE_MIN * BEST_PER_S &&
      endpoint.outOfOrder === 0 &&
      refused > 2 &&
      exit.code === 0;
    return { ok, void: false, figures };
  } finally {
    if (!ok) progress(`poison: the end of Tidemark's log:\n${product.logTail()}`);
    await product.dispose();
    await endpoint.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

function configuration(mysql: Mysql, url: string, isParked: boolean): object {
  const { host, port } = mysql;
  return {
    source: { host, port, ...cdcUser, start: "earliest" },
    // What waits for the row keeps its place in the queue, delivered or not.
    queue: { max_entries: 1_000_000 },
    pipelines: [
      {
        name: "poison",
        tables: [`${DATABASE}.*`],
        sink: {
          type: "webhook",
          routes: [{ id: "all", url }],
          allow_http: true,
          allow_private: true,
          concurrency: IN_FLIGHT,
          ...(isParked ? { park: { dir: "park" } } : {}),
        },
        commit_log: { type: "file", dir: "state" },
      },
    ],
  };
}

async function makeRows(mysql: Mysql): Promise<void> {
  await withConnection(mysql, async connection => {
    const reset = mysql.version === "mysql-8" ? "RESET MASTER" : "RESET BINARY LOGS AND GTIDS";
    await connection.query(`DROP DATABASE IF EXISTS ${DATABASE}`);
    await connection.query(`CREATE DATABASE ${DATABASE}`);
    await connection.query(
      `CREATE TABLE ${DATABASE}.rows_ (id INT NOT NULL PRIMARY KEY, version INT NOT NULL)`,
    );
    await connection.query(reset);
    const values = Array.from({ length: ROWS }, (_, id) => `(${id}, 1)`).join();
    await connection.query(`INSERT INTO ${DATABASE}.rows_ VALUES ${values}`);
  });
}

/** So many changes of each row that the endpoint is busy for as long. @returns how many of each. */
async function update(mysql: Mysql, from: number, durationMs: number): Promise<number> {
  const rounds = Math.ceil(((durationMs / 1000) * BEST_PER_S) / ROWS);
  await withConnection(mysql, async connection => {
    for (let round = 0; round < rounds; round += 1) {
      await connection.query(`UPDATE ${DATABASE}.rows_ SET version = ${from + round}`);
    }
  });
  return rounds;
}
